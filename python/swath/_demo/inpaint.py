"""The demo ``inpaint``: fills the holes of a photograph, beside OpenCV's two methods."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import swath
from swath._demo.failure import DemoFailure, one_file, optional
from swath._demo.fill import Filler, Valid, irregular_holes
from swath._demo.photo import best_times, read_picture
from swath._demo.sheet import Panel, write_sheet
from swath._demo.steps import Image, stack_levels

OPENCV_RADIUS = 3  # the one of its documentation
HOLE_COLOUR = np.float32(1)


def run(files: Sequence[Path], output: Path) -> None:
    """Fill drawn holes of the file (none: the astronaut), print the table, write the sheet."""
    file = one_file(files)
    console = optional("rich.console").Console(highlight=False)
    table = optional("rich.table").Table(box=optional("rich.box").SIMPLE, pad_edge=False)
    picture = read_picture(file)
    c, h, w = picture.shape
    valid = irregular_holes(h, w)
    share = f"{100 * (1 - valid.mean()):.0f} %"
    console.print(f"{file or 'astronaut (scikit-image)'}: {w} x {h}, {c} channels, {share} holes")

    table.add_column("method", no_wrap=True)
    for heading in ("PSNR", "ms", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    fill = Filler(c)
    damaged = np.where(valid, picture, np.float32(np.nan))  # masks keep even this out
    methods: dict[str, Callable[[], Image]] = {"swath": partial(fill, damaged, valid)}
    with swath.num_threads(1), opencv_methods(picture, valid) as others:
        methods |= others
        results = {name: method() for name, method in methods.items()}
        check(results["swath"], picture, valid)
        with console.status("timing"):
            seconds = dict(zip(methods, best_times(*methods.values()), strict=True))

    panels = [
        Panel("Photograph", f"{w} x {h}", picture),
        Panel("Holes", share, np.where(valid, picture, HOLE_COLOUR)),
    ]
    for name, result in results.items():
        decibels = psnr(result, picture, valid)
        ms, ratio = seconds[name] * 1e3, seconds[name] / seconds["swath"]
        table.add_row(name, f"{decibels:.2f}", f"{ms:.1f}", f"{ratio:.1f}x")
        panels.append(Panel(name, f"{decibels:.2f} dB in the holes, {ms:.1f} ms", result))
    levels = [np.where(known, x, HOLE_COLOUR) for x, known in fill.levels(damaged, valid)]
    panels.append(Panel("Levels", "shrunk until no hole is left", stack_levels(levels)))
    console.print(table)
    console.print(
        "PSNR in dB over the pixels of the holes, as they were in the photograph;\n"
        "milliseconds on one thread each, fastest of several runs."
    )
    if not others:
        console.print(
            "OpenCV is not installed: with opencv-python-headless the table shows its methods too."
        )
    write_sheet(panels, output)
    console.print(f"wrote {output}")


@contextmanager
def opencv_methods(picture: Image, valid: Valid) -> Iterator[dict[str, Callable[[], Image]]]:
    """OpenCV's ways to fill the holes, on one thread; none if it is not installed."""
    if importlib.util.find_spec("cv2") is None:
        yield {}
        return
    cv2: Any = importlib.import_module("cv2")
    # It takes 8-bit pictures only, with the channels last. Rounding moves a PSNR of 20 dB by
    # less than 0.001 dB.
    pixels = np.where(valid, picture, 0).transpose(1, 2, 0)
    pixels = np.ascontiguousarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    holes = (~valid).astype(np.uint8)

    def inpaint(flag: int) -> Image:
        filled = cv2.inpaint(pixels, holes, OPENCV_RADIUS, flag).reshape(pixels.shape)
        return np.asarray(filled.transpose(2, 0, 1) / np.float32(255))

    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield {
            "OpenCV, Telea": partial(inpaint, cv2.INPAINT_TELEA),
            "OpenCV, Navier-Stokes": partial(inpaint, cv2.INPAINT_NS),
        }
    finally:
        cv2.setNumThreads(n_threads)


def check(result: Image, picture: Image, valid: Valid) -> None:
    """End the demo unless every hole is filled and every other pixel is as it was."""
    if not np.isfinite(result).all():
        raise DemoFailure("a hole is left in the result")
    if not np.array_equal(result[:, valid], picture[:, valid]):
        raise DemoFailure("a pixel outside the holes has changed")


def psnr(result: Image, picture: Image, valid: Valid) -> float:
    """Peak signal-to-noise ratio in decibels, over the pixels of the holes alone."""
    error = (result - picture)[:, ~valid].astype(np.float64)
    return float(-10 * np.log10(max(np.mean(error**2), np.finfo(np.float64).tiny)))
