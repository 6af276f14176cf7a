"""The demo ``inpaint``: what fills the holes, how well, and that nothing else is touched."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from support import require
from swath import cli
from swath._demo import photo
from swath._demo.failure import DemoFailure
from swath._demo.fill import Filler, Valid, irregular_holes
from swath._demo.inpaint import check, psnr
from swath._demo.steps import Image

SMOOTH_DECIBELS = 45.0  # a thin plate follows slow waves; the plain mean of the picture has 12
HALF_A_STEP = 0.5 / 255  # of an 8-bit picture


def waves(h: int, w: int) -> Image:
    """Three channels that change slowly, in 0..1."""
    y, x = np.mgrid[:h, :w] / 64.0
    channels = [np.sin(x + 2 * y), np.cos(2 * x - y), np.sin(x) * np.cos(y)]
    return np.asarray(np.stack(channels) * 0.4 + 0.5, np.float32)


def damaged(picture: Image, valid: Valid) -> Image:
    return np.asarray(np.where(valid, picture, np.float32(np.nan)))


@pytest.mark.parametrize(("h", "w"), [(128, 128), (97, 131), (64, 255)])
def test_holes_of_a_smooth_picture_are_filled_well(h: int, w: int) -> None:
    picture, valid = waves(h, w), irregular_holes(h, w)
    result = Filler(3)(damaged(picture, valid), valid)
    assert np.isfinite(result).all()
    assert psnr(result, picture, valid) > SMOOTH_DECIBELS


def test_valid_pixels_keep_their_bits_also_outside_0_to_1() -> None:
    picture, valid = waves(80, 96) * 3 - 1, irregular_holes(80, 96)
    result = Filler(3)(damaged(picture, valid), valid)
    assert result[:, valid].tobytes() == picture[:, valid].tobytes()
    assert result[:, ~valid].min() >= 0
    assert result[:, ~valid].max() <= 1


def test_input_is_not_written_to_and_a_whole_picture_is_copied() -> None:
    picture = waves(64, 64)
    before = picture.copy()
    whole = Filler(3)(picture, np.ones((64, 64), np.bool_))
    assert not np.shares_memory(whole, picture)
    Filler(3)(picture, irregular_holes(64, 64))
    assert np.array_equal(picture, before)
    assert np.array_equal(whole, before)


def test_one_valid_pixel_fills_the_picture_and_none_raises() -> None:
    valid = np.zeros((33, 20), np.bool_)
    picture = np.full((1, 33, 20), np.nan, np.float32)
    with pytest.raises(ValueError, match="no pixel is valid"):
        Filler(1)(picture, valid)
    valid[30, 2], picture[0, 30, 2] = True, 0.25
    assert np.abs(Filler(1)(picture, valid) - 0.25).max() < HALF_A_STEP


@pytest.mark.parametrize("seed", range(6))
def test_holes_are_irregular_repeatable_and_a_fifth_of_the_picture(seed: int) -> None:
    valid = irregular_holes(128, 160, seed=seed)
    assert 0.15 < 1 - valid.mean() < 0.25
    assert np.array_equal(valid, irregular_holes(128, 160, seed=seed))
    assert not np.array_equal(valid, irregular_holes(128, 160, seed=seed + 1))


def test_check_ends_the_demo_on_a_hole_and_on_a_changed_pixel() -> None:
    picture, valid = waves(64, 64), irregular_holes(64, 64)
    check(picture, picture, valid)
    with pytest.raises(DemoFailure, match="a hole is left"):
        check(damaged(picture, valid), picture, valid)
    with pytest.raises(DemoFailure, match="outside the holes"):
        check(picture + np.float32(0.5), picture, valid)


@pytest.mark.filterwarnings("default")  # what the drawing library deprecates is not our concern
@pytest.mark.parametrize("has_opencv", [False, True])
def test_inpaint_command_writes_the_sheet_with_and_without_opencv(
    has_opencv: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(photo, "SECONDS_PER_STEP", 0)
    image = require("matplotlib.image")
    require("rich")
    if has_opencv:
        require("cv2")
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    picture, sheet = tmp_path / "picture.png", tmp_path / "sheet.png"
    image.imsave(picture, waves(70, 90).transpose(1, 2, 0))
    assert cli.main(["demo", "inpaint", str(picture), "--output", str(sheet)]) == 0
    text = capsys.readouterr().out
    assert ("OpenCV, Telea" in text) == has_opencv
    assert ("OpenCV is not installed" in text) != has_opencv
    assert image.imread(sheet).shape[2] == 4
