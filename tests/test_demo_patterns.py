"""The demo ``patterns``: its masks are the patterns' own, and the sheet is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import require
from swath import cli
from swath._demo import patterns


def test_each_query_is_drawn_with_its_keys() -> None:
    shown = {entry.title: patterns.mask_of(entry.pattern) for entry in patterns.entries()}
    assert len(shown) == len(patterns.entries())
    row, column = patterns.QUERY
    near = shown["Neighborhood(7)"][patterns.query()].reshape(patterns.GRID)
    assert near[row - 3 : row + 4, column - 3 : column + 4].all()
    assert near.sum() == 49
    for mask in shown.values():
        assert mask.shape == (patterns.N, patterns.N)
        assert mask.any(axis=1).all()  # no query without a key
        assert not mask.all()


@pytest.mark.filterwarnings("default")  # what the drawing library deprecates is not our concern
def test_patterns_command_writes_the_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = require("matplotlib.image")
    require("rich")
    sheet = tmp_path / "sheet.png"
    assert cli.main(["demo", "patterns", "--output", str(sheet)]) == 0
    assert "Disk(4.5)" in capsys.readouterr().out
    assert image.imread(sheet).shape[2] == 4
    assert cli.main(["demo", "patterns", "a.png", "--output", str(sheet)]) == 1
    assert "takes no file" in capsys.readouterr().err
