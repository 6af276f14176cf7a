"""Every example in the README, the docs and the docstrings runs, and so do its commands."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swath
from support import require
from swath import cli
from swath._demo import photo

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def public_objects() -> Iterator[tuple[str, Any]]:
    """Functions and classes that a user can reach by name, each once."""
    seen: set[int] = set()
    modules = {
        "": swath,
        "info.": swath.info,
        "kernels.": swath.kernels,
        "order.": swath.order,
        "testing.": swath.testing,
        "grad.": swath.grad,
    }
    for prefix, module in modules.items():
        for name, thing in vars(module).items():
            is_ours = getattr(thing, "__module__", "").startswith("swath")
            if not name.startswith("_") and is_ours and callable(thing) and id(thing) not in seen:
                seen.add(id(thing))
                yield prefix + name, thing


OBJECTS = dict(public_objects())


def test_pages_are_found() -> None:
    assert len(PAGES) > 5
    assert sum(len(BLOCK.findall(page.read_text())) for page in PAGES) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_of_a_page_run_in_order(page: Path) -> None:
    text = page.read_text()
    for adapter in ("torch", "jax"):
        if f"import {adapter}\n" in text:
            require(adapter)
    names: dict[str, Any] = {}
    for block in BLOCK.finditer(text):
        # blank lines in front, so that a failure shows the page's own line number
        source = "\n" * (text[: block.start()].count("\n") + 1) + block[1]
        exec(compile(source, str(page), "exec"), names)


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_examples_give_what_they_show(name: str) -> None:
    thing = OBJECTS[name]
    finder = doctest.DocTestFinder(recurse=inspect.isclass(thing))
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    globs: dict[str, Any] = {"np": np, "swath": swath}
    for example in finder.find(thing, name, globs=globs):
        report: list[str] = []
        runner.run(example, out=report.append)
        assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", [name for name in dir(swath) if not name.startswith("_")])
def test_public_functions_say_what_they_do(name: str) -> None:
    thing = getattr(swath, name)
    if callable(thing):
        assert inspect.getdoc(thing)


def test_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_info_command_names_every_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert swath.__version__ in text
    assert all(operator in text for operator in swath.info.operators())


@pytest.mark.filterwarnings("default")  # what the drawing library deprecates is not our concern
def test_demo_command_checks_a_file_and_writes_the_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo, "SECONDS_PER_STEP", 0)
    image = require("matplotlib.image")
    require("scipy")
    picture, sheet = tmp_path / "picture.png", tmp_path / "sheet.png"
    image.imsave(picture, np.random.default_rng(0).random((70, 90, 3)))
    assert cli.main(["demo", str(picture), "--output", str(sheet)]) == 0
    assert "Gaussian blur" in capsys.readouterr().out
    assert image.imread(sheet).shape[2] == 4


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing"], "no demo or file"),
        (["photo", "absent.png"], "cannot read absent.png"),
        (["photo", "a.png", "b.png"], "takes one file, not 2"),
    ],
)
def test_demo_command_says_in_one_line_what_is_wrong(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    require("matplotlib.image")
    assert cli.main(["demo", *arguments]) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
