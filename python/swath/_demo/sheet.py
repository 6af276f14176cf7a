"""Writes pictures side by side into one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swath._demo.failure import DemoFailure, optional
from swath._demo.steps import Image

N_COLUMNS = 3
PANEL_INCHES = 4.0
CAPTION_INCHES = 0.55
GAP_INCHES = 0.22
DPI = 128
PAPER, INK, FAINT = "#ffffff", "#1d1d1f", "#6b6b70"


@dataclass(frozen=True)
class Panel:
    """A titled picture: (H, W) values shown in false colours, or (C, H, W) in 0..1."""

    title: str
    note: str
    picture: Image


def write_sheet(panels: Sequence[Panel], output: Path) -> None:
    """Lay the panels out in rows of three and save them as a PNG."""
    figure_class = optional("matplotlib.figure").Figure
    n_rows = -(-len(panels) // N_COLUMNS)
    _, h, w = panels[0].picture.shape
    cell_w = PANEL_INCHES
    cell_h = PANEL_INCHES * h / w + CAPTION_INCHES
    width = N_COLUMNS * cell_w + (N_COLUMNS + 1) * GAP_INCHES
    height = n_rows * cell_h + (n_rows + 1) * GAP_INCHES
    figure = figure_class(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    for index, panel in enumerate(panels):
        row, column = divmod(index, N_COLUMNS)
        left = GAP_INCHES + column * (cell_w + GAP_INCHES)
        top = height - GAP_INCHES - row * (cell_h + GAP_INCHES)
        picture_h = cell_h - CAPTION_INCHES
        box = (left / width, (top - cell_h) / height, cell_w / width, picture_h / height)
        axes = figure.add_axes(box)
        axes.axis("off")
        axes.set_anchor("N")
        axes.imshow(as_pixels(panel.picture), cmap="magma", interpolation="antialiased")
        caption = {"x": left / width, "va": "top", "ha": "left"}
        figure.text(y=top / height, s=panel.title, size=15, weight="bold", color=INK, **caption)
        figure.text(y=(top - 0.29) / height, s=panel.note, size=10.5, color=FAINT, **caption)
    try:
        figure.savefig(output, facecolor=PAPER)
    except OSError as error:
        raise DemoFailure(f"cannot write {output}: {error.strerror}") from None


def as_pixels(picture: Image) -> Image:
    """(C, H, W) or (H, W) to what matplotlib shows: clipped (H, W, 3), or the plane itself."""
    if picture.ndim == 2:
        return picture
    pixels = np.clip(picture.transpose(1, 2, 0), 0, 1)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
