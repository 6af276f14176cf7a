"""Causal long convolutions by a library's real FFTs, with the spectra of the taps at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from peers.base import Unsupported
from workload import Array, Workload


def prepare(
    workload: Workload,
    values: Mapping[str, Any],
    rfft: Callable[[Any, int], Any],
    irfft: Callable[[Any, int], Any],
) -> Callable[[], Any]:
    """The call; `values` are the library's own arrays."""
    if workload.kwargs or workload.dtype not in ("f32", "f64"):
        raise Unsupported("causal float32 and float64 only")
    u, k = values["u"], values["k"]
    length, n_taps = u.shape[-1], k.shape[-1]
    period = 1 << (length + n_taps - 2).bit_length()
    spectrum = rfft(k, period)
    pre, post = values.get("pre_gate"), values.get("post_gate")

    def call() -> Array:
        v = u if pre is None else u * pre
        y = irfft(rfft(v, period) * spectrum, period)[..., :length]
        return y if post is None else y * post

    return call
