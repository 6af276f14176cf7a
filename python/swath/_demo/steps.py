"""The photo demo's filters: each one through swath and through SciPy, with its error bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import swath
from swath._demo.failure import optional

Image = npt.NDArray[Any]  # (C, H, W) in 0..1
Result = list[Image]


@dataclass(frozen=True)
class Step:
    """One filter.

    Attributes
    ----------
    terms : int
        Products in the longest sum behind one output, as `swath.testing.tolerance` counts them.
    gain : float
        Bound on the sum of |weight| |pixel| of one output; the error is relative to it.
    show : callable
        Turns the result into the picture that the sheet shows.
    """

    title: str
    detail: str
    swath: Callable[[Image], Result]
    scipy: Callable[[Image], Result]
    terms: int
    gain: float
    show: Callable[[Result], Image]

    @property
    def allowed(self) -> float:
        return self.gain * swath.testing.tolerance(np.float32, self.terms)


def first(result: Result) -> Image:
    return result[0]


def gaussian_taps(sigma: float) -> Image:
    """Normalised samples of a Gaussian, cut at four sigma as SciPy does."""
    radius = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray((taps / taps.sum()).astype(np.float32))


def depthwise(kernel: Image, n_channels: int) -> Image:
    """The same (kh, kw) kernel for every channel, as a grouped weight (C, 1, kh, kw)."""
    return np.tile(kernel.astype(np.float32), (n_channels, 1, 1, 1))


def disk(size: int) -> Image:
    """A lens opening: a disk with a soft rim."""
    r = np.hypot(*np.mgrid[:size, :size] - (size - 1) / 2)
    kernel = np.clip(size / 2 - r, 0, 1)
    return np.asarray((kernel / kernel.sum()).astype(np.float32))


def streak(size: int, degrees: float) -> Image:
    """A camera moved along a line: one pixel wide, with soft sides."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    angle = np.deg2rad(degrees)
    across = np.abs(x * np.sin(angle) + y * np.cos(angle))
    kernel = np.clip(1 - across, 0, 1) * (np.hypot(x, y) < size / 2)
    return np.asarray((kernel / kernel.sum()).astype(np.float32))


def gaussian_blur(sigma: float, n_channels: int) -> Step:
    ndimage = optional("scipy.ndimage")
    taps = gaussian_taps(sigma)
    column, row = (depthwise(k, n_channels) for k in (taps[:, None], taps[None, :]))

    def run(x: Image) -> Result:
        options: dict[str, Any] = {
            "groups": n_channels,
            "padding": "same",
            "padding_mode": "reflect",
        }
        return [swath.conv2d(swath.conv2d(x, column, **options), row, **options)]

    def run_scipy(x: Image) -> Result:
        return [ndimage.gaussian_filter(x, (0, sigma, sigma), mode="mirror")]

    detail = f"2 x {len(taps)} taps"
    return Step("Gaussian blur", detail, run, run_scipy, 2 * len(taps), 1.0, first)


def large_filter(title: str, kernel: Image, n_channels: int) -> Step:
    signal = optional("scipy.signal")
    weight = depthwise(kernel, n_channels)
    radius = kernel.shape[0] // 2
    flipped = kernel[None, ::-1, ::-1]  # SciPy's is a true convolution

    def run(x: Image) -> Result:
        return [swath.conv2d(x, weight, groups=n_channels, padding="same", padding_mode="reflect")]

    def run_scipy(x: Image) -> Result:
        # through the FFT: SciPy's direct sum takes tens of times longer at this size
        around = np.pad(x, ((0, 0), (radius, radius), (radius, radius)), mode="reflect")
        return [signal.oaconvolve(around, flipped.astype(x.dtype), mode="valid", axes=(1, 2))]

    detail = f"{kernel.shape[0]} x {kernel.shape[1]}"
    return Step(title, detail, run, run_scipy, kernel.size, 1.0, first)


def sobel_edges(grey: Callable[[Image], Image]) -> Step:
    ndimage = optional("scipy.ndimage")
    horizontal = np.outer([1, 2, 1], [-1, 0, 1])
    weight = np.stack([horizontal, horizontal.T])[:, None].astype(np.float32)

    def run(x: Image) -> Result:
        gx, gy = swath.conv2d(grey(x), weight, padding=1, padding_mode="reflect")
        return [np.hypot(gx, gy)]

    def run_scipy(x: Image) -> Result:
        plane = grey(x)[0]
        return [np.hypot(*(ndimage.sobel(plane, axis, mode="mirror") for axis in (1, 0)))]

    def show(result: Result) -> Image:
        return np.asarray(np.clip(result[0] / np.quantile(result[0], 0.995), 0, 1))

    return Step("Sobel edges", "3 x 3, 1 -> 2", run, run_scipy, 9, 16.0, show)


def unsharp_mask(sigma: float, amount: float, n_channels: int) -> Step:
    ndimage = optional("scipy.ndimage")
    taps = gaussian_taps(sigma)
    column, row = (depthwise(k, n_channels) for k in (taps[:, None], taps[None, :]))
    minus = np.full(n_channels, -amount, np.float32)

    def run(x: Image) -> Result:
        options: dict[str, Any] = {
            "groups": n_channels,
            "padding": "same",
            "padding_mode": "reflect",
        }
        blurred = swath.conv2d(x, column, **options)
        # the second pass scales by -amount and adds the picture as it writes each pixel
        return [swath.conv2d(blurred, row, scale=minus, residual=(1 + amount) * x, **options)]

    def run_scipy(x: Image) -> Result:
        blurred = ndimage.gaussian_filter(x, (0, sigma, sigma), mode="mirror")
        return [(1 + amount) * x - amount * blurred]

    gain = 1 + 2 * amount
    detail = f"2 x {len(taps)} taps"
    return Step("Unsharp mask", detail, run, run_scipy, 2 * len(taps) + 1, gain, first)


def max_pool(window: int) -> Step:
    ndimage = optional("scipy.ndimage")

    def run(x: Image) -> Result:
        return [swath.max_pool2d(x, window, stride=1, padding=window // 2)]

    def run_scipy(x: Image) -> Result:
        size = (1, window, window)
        return [ndimage.maximum_filter(x, size, mode="constant", cval=-np.inf)]

    # nothing is summed, so the results are equal and the bound is that of one term
    return Step("Max pooling", f"{window} x {window}", run, run_scipy, 1, 1.0, first)


def local_threshold(window: int, offset: float, grey: Callable[[Image], Image]) -> Step:
    ndimage = optional("scipy.ndimage")

    def run(x: Image) -> Result:
        plane = grey(x)
        mean = swath.avg_pool2d(
            plane, window, stride=1, padding=window // 2, count_include_pad=True
        )
        return [mean - plane]

    def run_scipy(x: Image) -> Result:
        plane = grey(x)
        return [ndimage.uniform_filter(plane, (1, window, window), mode="constant") - plane]

    def show(result: Result) -> Image:
        return np.asarray(1 - np.clip((result[0] - offset) * 60 + 0.5, 0, 1))

    detail = f"{window} x {window} mean"
    return Step("Local threshold", detail, run, run_scipy, window**2 + 1, 2.0, show)


def pyramid(n_levels: int, n_channels: int) -> Step:
    ndimage = optional("scipy.ndimage")
    taps = np.array([1, 4, 6, 4, 1], np.float32) / 16
    weight = depthwise(np.outer(taps, taps), n_channels)

    def run(x: Image) -> Result:
        levels = [x]
        for _ in range(n_levels):
            levels.append(
                swath.conv2d(
                    levels[-1],
                    weight,
                    groups=n_channels,
                    stride=2,
                    padding=2,
                    padding_mode="reflect",
                )
            )
        return levels

    def run_scipy(x: Image) -> Result:
        levels = [x]
        for _ in range(n_levels):
            rows = ndimage.correlate1d(levels[-1], taps, axis=1, mode="mirror")[:, ::2]
            levels.append(ndimage.correlate1d(rows, taps, axis=2, mode="mirror")[:, :, ::2])
        return levels

    detail = f"{n_levels} levels, 5 x 5"
    return Step("Pyramid", detail, run, run_scipy, 25 * n_levels, 1.0, stack_levels)


def stack_levels(levels: Result) -> Image:
    """The largest level on the left, the others below each other on its right."""
    big, *rest = levels[1:]
    height = max(big.shape[1], sum(level.shape[1] for level in rest))
    width = big.shape[2] + max((level.shape[2] for level in rest), default=0)
    sheet = np.ones((big.shape[0], height, width), np.float32)
    sheet[:, : big.shape[1], : big.shape[2]] = big
    top = 0
    for level in rest:
        bottom, right = top + level.shape[1], big.shape[2] + level.shape[2]
        sheet[:, top:bottom, big.shape[2] : right] = level
        top = bottom
    return sheet
