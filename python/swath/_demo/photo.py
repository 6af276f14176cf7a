"""The demo ``photo``: filters a photograph with NumPy arrays only and checks each against SciPy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

import swath
from swath._demo import steps
from swath._demo.failure import DemoFailure, one_file, optional
from swath._demo.sheet import Panel, write_sheet
from swath._demo.steps import Image, Result, Step

MIN_PIXELS = 64  # the 31 x 31 filters on the pyramid's input need room for their reflected border
SECONDS_PER_STEP = 0.8


def run(files: Sequence[Path], output: Path) -> None:
    """Filter the file (none: scikit-image's astronaut), print the table, write the sheet."""
    file = one_file(files)
    console = optional("rich.console").Console(highlight=False)
    table = optional("rich.table").Table(box=optional("rich.box").SIMPLE, pad_edge=False)
    picture = read_picture(file)
    c, h, w = picture.shape
    console.print(f"{file or 'astronaut (scikit-image)'}: {w} x {h}, {c} channels, float32")

    for heading in ("filter", "size"):
        table.add_column(heading, no_wrap=True)
    for heading in ("swath", "SciPy", "ratio", "error", "allowed"):
        table.add_column(heading, justify="right", no_wrap=True)

    panels = [Panel("Photograph", f"{w} x {h}", picture)]
    with swath.num_threads(1), console.status("filtering") as status:
        for step in photo_steps(c):
            status.update(step.title)
            result = step.swath(picture)
            error = max_error(step, picture, result)
            seconds, seconds_scipy = best_times(
                partial(step.swath, picture), partial(step.scipy, picture)
            )
            ratio = seconds_scipy / seconds
            table.add_row(
                step.title,
                step.detail,
                f"{seconds * 1e3:.2f}",
                f"{seconds_scipy * 1e3:.2f}",
                f"{ratio:.1f}x",
                f"{error:.0e}",
                f"{step.allowed:.0e}",
            )
            note = f"{step.detail}: {seconds * 1e3:.1f} ms, SciPy {seconds_scipy * 1e3:.1f} ms"
            panels.append(Panel(step.title, note, step.show(result)))
    console.print(table)
    console.print(
        "Milliseconds, float32, one thread each, fastest of several runs. The error is\n"
        "against SciPy in float64; allowed is swath.testing.tolerance(float32, terms)\n"
        "times the largest sum of |weight| |pixel|."
    )
    write_sheet(panels, output)
    console.print(f"wrote {output}")


def photo_steps(n_channels: int) -> list[Step]:
    """The filters of the sheet, in its order."""
    return [
        steps.gaussian_blur(5.0, n_channels),
        steps.large_filter("Lens blur", steps.disk(31), n_channels),
        steps.large_filter("Motion blur", steps.streak(31, 30), n_channels),
        steps.sobel_edges(grey),
        steps.unsharp_mask(2.0, 1.5, n_channels),
        steps.max_pool(9),
        steps.local_threshold(31, 0.03, grey),
        steps.pyramid(5, n_channels),
    ]


def grey(picture: Image) -> Image:
    """Mean of the channels, as a one-channel picture (1, H, W)."""
    return np.asarray(picture.mean(axis=0, keepdims=True))


def read_picture(file: Path | None) -> Image:
    """A picture as contiguous float32 (C, H, W) in 0..1; transparency is dropped."""
    if file is None:
        pixels = optional("skimage.data").astronaut()
    else:
        try:
            pixels = optional("matplotlib.image").imread(file)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all three
            raise DemoFailure(f"cannot read {file} as a picture: {error}") from None
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] in (2, 4):
        pixels = pixels[:, :, :-1]
    if min(pixels.shape[:2]) < MIN_PIXELS:
        raise DemoFailure(
            f"the picture has {pixels.shape[1]} x {pixels.shape[0]} pixels; "
            f"at least {MIN_PIXELS} x {MIN_PIXELS} are needed"
        )
    if pixels.dtype.kind == "u":
        pixels = pixels / np.float32(np.iinfo(pixels.dtype).max)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)


def max_error(step: Step, picture: Image, result: Result) -> float:
    """Largest difference from SciPy in float64; above the step's bound, the demo ends."""
    expected = step.scipy(picture.astype(np.float64))
    error = max(
        float(np.max(np.abs(got.reshape(want.shape) - want)))
        for got, want in zip(result, expected, strict=True)
    )
    if not error <= step.allowed:
        raise DemoFailure(
            f"{step.title} differs from SciPy by {error:.2e}; allowed is {step.allowed:.2e}"
        )
    return error


def best_times(*calls: Callable[[], object]) -> list[float]:
    """Seconds of each one's fastest call; they take turns, so that a slow moment hits all."""
    best = [float("inf")] * len(calls)
    end = time.perf_counter() + SECONDS_PER_STEP
    while True:
        for index, call in enumerate(calls):
            call()  # fetches the caches back from the other library
            start = time.perf_counter()
            call()
            best[index] = min(best[index], time.perf_counter() - start)
        if time.perf_counter() > end:
            return best
