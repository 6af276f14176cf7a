"""SciPy: the quickest of its direct and FFT filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import scipy
from scipy import fft, ndimage, signal

from peers import fft_rows, transforms
from peers.base import (
    Geometry,
    Peer,
    Prepared,
    Unsupported,
    fastest,
    geometry,
    reject,
    single_plane,
)
from workload import Array, Workload


def long_rows(workload: Workload, values: Mapping[str, Array]) -> Prepared:
    if workload.dtype not in ("f32", "f64"):
        raise Unsupported(workload.dtype)

    def rfft(a: Array, n: int) -> Array:
        return np.asarray(fft.rfft(a, n, workers=1))

    def irfft(a: Array, n: int) -> Array:
        return np.asarray(fft.irfft(a, n, workers=1))

    calls = [fft_rows.prepare(workload, values, rfft, irfft)]
    u, k = values["u"], values["k"]
    if "pre_gate" not in values and k.shape[-1] < u.shape[-1]:
        calls.append(lambda: signal.oaconvolve(u, k[None], axes=-1)[..., : u.shape[-1]])
    return Prepared(fastest(calls), lambda y: y)


class SciPy(Peer):
    name = "scipy"
    version = scipy.__version__
    compositions: ClassVar = {
        **dict.fromkeys(("long_conv2d", "band_split"), transforms.prepare_scipy),
        "long_conv": long_rows,
    }

    def set_threads(self, n_threads: int) -> None:
        """These functions run on one thread whatever is asked."""

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        if workload.op in self.compositions:
            return self.compositions[workload.op](workload, values)
        reject(workload, "bias", "scale", "shift", "residual", "activation", "channels")
        if workload.dtype not in ("f32", "f64"):
            raise Unsupported(workload.dtype)
        if workload.op not in ("sliding_conv", "pooling"):
            raise Unsupported("no such operator")
        g = geometry(workload)
        if not g.is_plain:
            raise Unsupported("stride or dilation")
        if workload.op == "pooling":
            return pool(workload, g, single_plane(workload, values))
        if workload.n_spatial == 1 and g.groups == values["x"].shape[1] > 1:
            return depthwise_rows(workload, g, values)
        return correlate(g, single_plane(workload, values), values["weight"][0, 0])


def correlate(g: Geometry, plane: Array, kernel: Array) -> Prepared:
    if not g.is_same:
        raise Unsupported("padding")
    flipped = np.flip(kernel)
    target = np.empty_like(plane)
    call = fastest(
        [
            lambda: signal.oaconvolve(plane, flipped, mode="same"),
            lambda: ndimage.correlate(plane, kernel, target, mode="constant"),
        ]
    )
    return Prepared(call, lambda y: y[None, None])


def depthwise_rows(workload: Workload, g: Geometry, values: Mapping[str, Array]) -> Prepared:
    if workload.is_channels_last or values["weight"].shape[0] != values["x"].shape[1]:
        raise Unsupported("layout or channel multiplier")
    x, taps = values["x"], np.flip(values["weight"], -1)[None, :, 0]
    # full[t] ends at sample t, so an output with `before` padded samples starts here
    start = g.kernel[0] - 1 - g.pads[0][0]
    length = x.shape[2] + sum(g.pads[0]) - g.kernel[0] + 1
    return Prepared(
        lambda: signal.oaconvolve(x, taps, mode="full", axes=-1),
        lambda y: y[:, :, start : start + length],
    )


def pool(workload: Workload, g: Geometry, plane: Array) -> Prepared:
    """Filters of the whole plane; the windows that reach outside are cut off as a view."""
    if workload.function == "sliding_reduce" or any(pair != (0, 0) for pair in g.pads):
        raise Unsupported("padding")
    filters = {"avg": ndimage.uniform_filter, "max": ndimage.maximum_filter}
    run, target = filters[workload.function[:3]], np.empty_like(plane)
    inside = tuple(
        slice(k // 2, n - (k - 1) // 2) for n, k in zip(plane.shape, g.kernel, strict=True)
    )

    def call() -> Array:
        run(plane, g.kernel, output=target, mode="constant")
        return target

    return Prepared(call, lambda y: y[inside][None, None])
