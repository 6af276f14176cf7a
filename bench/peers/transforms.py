"""long_conv2d and band_split as compositions of SciPy's and PyTorch's transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from peers.base import Prepared, Unsupported, fastest
from workload import Array, Workload


def prepare_scipy(workload: Workload, values: Mapping[str, Array]) -> Prepared:
    from scipy import fft, signal

    check(workload)
    if workload.function == "band_split":
        call = bands_by(fft.rfft2, fft.irfft2, workload, values["x"])
        return Prepared(call, np.asarray)
    u, k = values["u"], values["k"]
    if workload.kwargs.get("mode") == "circular":
        size = u.shape[2:]
        return Prepared(lambda: fft.irfft2(fft.rfft2(u) * fft.rfft2(k, s=size), s=size), np.asarray)
    mode = workload.kwargs.get("mode", "same")
    ways = [
        lambda: signal.fftconvolve(u, k[None], mode=mode, axes=(2, 3)),
        lambda: signal.oaconvolve(u, k[None], mode=mode, axes=(2, 3)),
    ]
    return Prepared(fastest(ways), np.asarray)


def prepare_torch(workload: Workload, tensors: Mapping[str, Any], *, is_last: bool) -> Prepared:
    import torch

    if is_last:
        raise Unsupported("memory format")
    check(workload)
    if workload.function == "band_split":
        made = bands_by(torch.fft.rfft2, torch.fft.irfft2, workload, tensors["x"])
    else:
        made = convolution_by(workload, tensors["u"], tensors["k"])

    def call() -> Any:
        with torch.inference_mode():
            return made()

    return Prepared(call, lambda y: np.asarray(y.numpy()))


def check(workload: Workload) -> None:
    if workload.dtype not in ("f32", "f64"):
        raise Unsupported(workload.dtype)
    if workload.is_gradient or workload.is_channels_last:
        raise Unsupported("gradients and layouts")


def bands_by(forward: Any, inverse: Any, workload: Workload, x: Any) -> Callable[[], Any]:
    """The published composition: a low pass for each cutoff, and differences."""
    h, w = x.shape[-2:]
    u, v = abs(np.fft.fftfreq(h))[:, None], np.fft.rfftfreq(w)
    metric = np.hypot(u, v) if workload.kwargs.get("metric") == "radius" else np.maximum(u, v)
    masks: list[Any] = [(metric <= c).astype(np.float32) for c in workload.kwargs["cutoffs"]]
    if not isinstance(x, np.ndarray):
        masks = [x.new_tensor(m) for m in masks]

    def call() -> Any:
        spectrum, above, bands = forward(x), x, []
        for mask in masks:
            low = inverse(spectrum * mask, s=(h, w))
            bands.append(above - low)
            above = low
        bands.append(above)
        return bands[0]

    return call


def convolution_by(workload: Workload, u: Any, k: Any) -> Callable[[], Any]:
    import torch
    from scipy.fft import next_fast_len

    size = u.shape[2:]
    if workload.kwargs.get("mode") == "circular":
        return lambda: torch.fft.irfft2(torch.fft.rfft2(u) * torch.fft.rfft2(k, s=size), s=size)
    if workload.kwargs.get("mode", "same") != "same":
        raise Unsupported("mode")
    start = [(taps - 1) // 2 for taps in k.shape[1:]]
    n = [next_fast_len(m + t - 1, real=True) for m, t in zip(size, k.shape[1:], strict=True)]
    rows, columns = (slice(s, s + m) for s, m in zip(start, size, strict=True))

    def call() -> Any:
        product = torch.fft.rfft2(u, s=n) * torch.fft.rfft2(k, s=n)
        return torch.fft.irfft2(product, s=n)[..., rows, columns]

    return call
