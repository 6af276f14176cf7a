"""The demo ``denoise``: attention is the formula of non-local means, and removes noise."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import swath
from support import require
from swath import cli
from swath._demo import denoise, photo
from swath._demo.failure import DemoFailure
from swath._demo.steps import Image


def squares(h: int, w: int) -> Image:
    """Three channels of large squares, in 0..1."""
    y, x = np.mgrid[:h, :w]
    board = ((y // 16 + x // 16) % 2).astype(np.float32)
    return np.stack([board, 1 - board, board / 2])


def noisy(picture: Image) -> Image:
    noise = np.random.default_rng(0).normal(0, denoise.SIGMA, picture.shape)
    return np.asarray(picture + noise, np.float32)


def test_patches_are_what_is_around_each_pixel() -> None:
    picture = np.random.default_rng(0).random((2, 9, 8), np.float32)
    p = denoise.patches(picture, 3) * np.sqrt(18)
    assert p.shape == (9, 8, 18)
    np.testing.assert_allclose(p[4, 5], picture[:, 3:6, 4:7].ravel(), rtol=1e-6)
    np.testing.assert_allclose(p[0, 0, :3], picture[0, 1, [1, 0, 1]], rtol=1e-6)


def test_attention_is_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noisy(squares(64, 64))
    denoise.check(picture)
    monkeypatch.setattr(denoise, "WINDOW", 19)
    denoise.check(picture)
    monkeypatch.setattr(denoise, "patches", lambda x, size: np.roll(_patches(x, size), 1, 0))
    denoise.check(picture)  # the formula is about any features
    monkeypatch.setattr(swath, "attention", lambda *args, **_: args[2])
    with pytest.raises(DemoFailure, match="differs from the formula"):
        denoise.check(picture)


_patches = denoise.patches


def test_noise_goes_and_edges_stay() -> None:
    picture = squares(80, 96)
    before = noisy(picture)
    after = denoise.non_local_means(before)
    assert denoise.psnr(after, picture) > denoise.psnr(before, picture) + 8
    edge = np.abs(np.diff(after[0], axis=1))[:, 15::16].mean()
    assert edge > 0.9


@pytest.mark.filterwarnings("default")  # what the drawing library deprecates is not our concern
@pytest.mark.parametrize("has_opencv", [False, True])
def test_denoise_command_writes_the_sheet_with_and_without_opencv(
    has_opencv: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(photo, "SECONDS_PER_STEP", 0)
    image = require("matplotlib.image")
    require("rich")
    require("skimage.restoration")
    if has_opencv:
        require("cv2")
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    picture, sheet = tmp_path / "picture.png", tmp_path / "sheet.png"
    image.imsave(picture, squares(70, 90).transpose(1, 2, 0))
    assert cli.main(["demo", "denoise", str(picture), "--output", str(sheet)]) == 0
    text = capsys.readouterr().out
    assert ("OpenCV is not installed" in text) != has_opencv
    assert image.imread(sheet).shape[2] == 4
