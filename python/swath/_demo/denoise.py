"""The demo ``denoise``: non-local means as one call of neighborhood attention.

Each pixel becomes the mean of the pixels around it, weighted by ``exp(-|p - q|^2 / h^2)`` of the
patches p and q around them (Buades, Coll and Morel 2005). The square is |p|^2 - 2 <p, q> + |q|^2:
the first term is the same for all neighbours and cancels in the softmax, the second is the score
of an attention with scale 2 / h^2, and the third its bias for each key. The pixel itself, whose
patch differs from no other noise, gets a bias of its own from a table over relative places.
"""

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
from swath._demo.photo import best_times, read_picture
from swath._demo.sheet import Panel, write_sheet
from swath._demo.steps import Image

SIGMA = 0.1  # of the noise, of a range of 1
PATCH, WINDOW = 5, 21
# h, of the root mean square difference of two patches. This and the two libraries' were chosen for
# the best PSNR on the middle of the built-in photograph.
STRENGTH = 0.7 * SIGMA
CHECKED = 64  # pixels on a side that the formula itself is computed for


def run(files: Sequence[Path], output: Path) -> None:
    """Add noise to the file (none: the astronaut), remove it, print the table, write the sheet."""
    file = one_file(files)
    console = optional("rich.console").Console(highlight=False)
    table = optional("rich.table").Table(box=optional("rich.box").SIMPLE, pad_edge=False)
    picture = read_picture(file)
    c, h, w = picture.shape
    noise = np.random.default_rng(0).normal(0, SIGMA, picture.shape).astype(np.float32)
    noisy = picture + noise
    console.print(
        f"{file or 'astronaut (scikit-image)'}: {w} x {h}, {c} channels, noise of {SIGMA:g}"
    )
    table.add_column("method", no_wrap=True)
    for heading in ("PSNR", "ms", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    methods: dict[str, Callable[[], Image]] = {
        "swath": partial(non_local_means, noisy),
        "scikit-image": partial(with_skimage, noisy),
    }
    with swath.num_threads(1), opencv_method(noisy) as others:
        methods |= others
        results = {name: method() for name, method in methods.items()}
        check(noisy)
        with console.status("timing"):
            seconds = dict(zip(methods, best_times(*methods.values()), strict=True))
    panels = [
        Panel("Photograph", f"{w} x {h}", picture),
        Panel("Noisy", f"{psnr(noisy, picture):.2f} dB", noisy),
    ]
    for name, result in results.items():
        decibels, ms = psnr(result, picture), seconds[name] * 1e3
        table.add_row(
            name, f"{decibels:.2f}", f"{ms:.0f}", f"{seconds[name] / seconds['swath']:.1f}x"
        )
        panels.append(Panel(name, f"{decibels:.2f} dB, {ms:.0f} ms", result))
    console.print(table)
    console.print(
        f"PSNR in dB (noisy: {psnr(noisy, picture):.2f}); milliseconds on one thread each,\n"
        f"fastest of several runs. Patches of {PATCH} x {PATCH}, neighbours within "
        f"{WINDOW} x {WINDOW};\n"
        "scikit-image moves whole images instead of patches, OpenCV works on 8-bit Lab colours."
    )
    if not others:
        console.print("OpenCV is not installed: opencv-python-headless adds its method.")
    write_sheet(panels, output)
    console.print(f"wrote {output}")


def patches(picture: Image, size: int) -> Image:
    """(H, W, C * size * size): what is around each pixel, scaled so that |p|^2 is a mean square."""
    c, h, w = picture.shape
    r = size // 2
    around = np.pad(picture, ((0, 0), (r, r), (r, r)), mode="reflect")
    views = np.lib.stride_tricks.sliding_window_view(around, (size, size), (1, 2))
    flat = views.transpose(1, 2, 0, 3, 4).reshape(h, w, c * size * size)
    return np.asarray(flat / np.float32(np.sqrt(flat.shape[2])))


def non_local_means(noisy: Image, strength: float = STRENGTH) -> Image:
    """The picture (C, H, W) without its noise."""
    p = patches(noisy, PATCH)
    key_bias = -np.einsum("hwd,hwd->hw", p, p).reshape(1, -1) / np.float32(strength**2)
    tokens = p[None, None]
    pixels = np.ascontiguousarray(noisy.transpose(1, 2, 0))[None, None]
    # two like patches differ by the noise of both, a patch and itself do not: as if they did
    table = np.zeros((1, 2 * WINDOW - 1, 2 * WINDOW - 1), np.float32)
    table[0, WINDOW - 1, WINDOW - 1] = -2 * SIGMA**2 / strength**2
    y = swath.attention(
        tokens, tokens, pixels, pattern=swath.patterns.Neighborhood(WINDOW),
        scale=2 / strength**2, key_bias=key_bias, bias=swath.patterns.RelativeTable(table),
    )  # fmt: skip
    return np.asarray(y[0, 0].transpose(2, 0, 1))


def check(noisy: Image) -> None:
    """End the demo unless a corner is what the formula gives in float64."""
    corner = noisy[:, :CHECKED, :CHECKED]
    _, h, w = corner.shape
    p = patches(corner, PATCH).astype(np.float64).reshape(h * w, -1)
    allowed = swath.patterns.Neighborhood(WINDOW, grid=(h, w)).to_mask()
    result = non_local_means(corner).reshape(corner.shape[0], -1)
    values = corner.reshape(corner.shape[0], -1).astype(np.float64)
    for i in range(0, h * w, 97):
        keys = np.flatnonzero(allowed[i])
        square = ((p[i] - p[keys]) ** 2).sum(1) + 2 * SIGMA**2 * (keys == i)
        weight = np.exp(-square / STRENGTH**2)
        expected = values[:, keys] @ weight / weight.sum()
        error = np.abs(result[:, i] - expected).max()
        # the scores are as large as 2 / h^2: their rounding is what moves the weights
        if not error <= swath.testing.tolerance(np.float32, p.shape[1]) * 2 / STRENGTH**2:
            raise DemoFailure(f"pixel {i} differs from the formula by {error:.2e}")


def with_skimage(noisy: Image) -> Image:
    restoration = optional("skimage.restoration")
    clean = restoration.denoise_nl_means(
        noisy.transpose(1, 2, 0), PATCH, WINDOW // 2, h=0.5 * SIGMA, sigma=SIGMA, channel_axis=2
    )
    return np.asarray(clean.transpose(2, 0, 1))


@contextmanager
def opencv_method(noisy: Image) -> Iterator[dict[str, Callable[[], Image]]]:
    """OpenCV's function, on one thread; none if it is not installed or there are no colours."""
    if importlib.util.find_spec("cv2") is None or noisy.shape[0] != 3:
        yield {}
        return
    cv2: Any = importlib.import_module("cv2")
    pixels = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    pixels = np.ascontiguousarray(pixels)

    def denoise() -> Image:
        h = 0.75 * 255 * SIGMA
        clean = cv2.fastNlMeansDenoisingColored(pixels, None, h, h, PATCH, WINDOW)
        return np.asarray(clean.transpose(2, 0, 1) / np.float32(255))

    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield {"OpenCV": denoise}
    finally:
        cv2.setNumThreads(n_threads)


def psnr(result: Image, picture: Image) -> float:
    """Peak signal-to-noise ratio in decibels."""
    error = np.clip(result, 0, 1).astype(np.float64) - picture
    return float(-10 * np.log10(max(np.mean(error**2), np.finfo(np.float64).tiny)))
