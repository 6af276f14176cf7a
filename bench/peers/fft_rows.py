"""Causal long convolutions by a library's real FFTs, with the spectra of the taps at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from peers.base import Unsupported
from workload import Array, Workload

Transform = Callable[[Any, int], Any]


def period_of(workload: Workload, values: Mapping[str, Any]) -> int:
    """A power of two with room for the whole product."""
    if workload.kwargs or workload.dtype not in ("f32", "f64"):
        raise Unsupported("causal float32 and float64 only")
    length, n_taps = values["u"].shape[-1], values["k"].shape[-1]
    return 1 << (length + n_taps - 2).bit_length()


def convolve(
    values: Mapping[str, Any], spectrum: Any, period: int, rfft: Transform, irfft: Transform
) -> Any:
    u, pre, post = values["u"], values.get("pre_gate"), values.get("post_gate")
    v = u if pre is None else u * pre
    y = irfft(rfft(v, period) * spectrum, period)[..., : u.shape[-1]]
    return y if post is None else y * post


def prepare(
    workload: Workload, values: Mapping[str, Any], rfft: Transform, irfft: Transform
) -> Callable[[], Any]:
    """The call; `values` are the library's own arrays."""
    period = period_of(workload, values)
    spectrum = rfft(values["k"], period)

    def call() -> Array:
        return convolve(values, spectrum, period, rfft, irfft)

    return call
