"""Long convolution and its gradients by their definitions, in wide precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def offset_of(n_taps: int, mode: str, offset: int | None) -> int:
    if mode in ("same", "two_sided"):
        return (n_taps - 1) // 2 if offset is None else offset
    return n_taps - 1 if mode == "valid" else 0


def output_length(length: int, n_taps: int, mode: str = "causal") -> int:
    sizes = {"full": length + n_taps - 1, "valid": max(0, length - n_taps + 1)}
    return sizes.get(mode, length)


def matrix(
    length: int,
    k: Array,
    *,
    mode: str = "causal",
    offset: int | None = None,
    correlate: bool = False,
    freq_mask: Array | None = None,
    n_fft: int | None = None,
) -> Array:
    """(n_out, length): c = matrix @ v, entry by entry from the definition."""
    n_taps = len(k)
    n_out = output_length(length, n_taps, mode)
    t, s = np.arange(n_out)[:, None], np.arange(length)[None]
    if freq_mask is not None or n_fft is not None:
        n = length if n_fft is None else n_fft
        return periodic_taps(k, freq_mask, n)[(t - s) % n]
    if mode == "circular":
        taps = np.concatenate([k, np.zeros(length - n_taps, k.dtype)])
        return taps[(t - s) % length] if length else np.zeros((0, 0))
    shift = offset_of(n_taps, mode, offset)
    j = s - t + shift if correlate else t - s + shift
    return np.where((j >= 0) & (j < n_taps), k[np.clip(j, 0, n_taps - 1)], 0)


def response(freq_mask: Array | None, n: int) -> Array:
    """irfft of a mask by its sum of cosines."""
    bins = np.arange(n // 2 + 1)
    mask = np.ones(len(bins)) if freq_mask is None else np.asarray(freq_mask)[: len(bins)]
    weight = np.where((bins == 0) | (2 * bins == n), 1.0, 2.0) / n
    phase = (np.outer(np.arange(n), bins) % n) * (2 * np.pi / n)
    return (np.cos(phase) * mask * weight).sum(1)


def periodic_taps(k: Array, freq_mask: Array | None, n: int) -> Array:
    h, j, i = response(freq_mask, n), np.arange(len(k))[None], np.arange(n)[:, None]
    return (h[(i - j) % n] * k).sum(1)


def heads(n_channels: int, n_heads: int, head_map: str) -> Array:
    d = np.arange(n_channels)
    return d % n_heads if head_map == "interleaved" else d // max(1, n_channels // max(1, n_heads))


def matrices(length: int, k: Array, n_channels: int, **options: Any) -> Array:
    """(D, n_out, length)"""
    head_map = options.pop("head_map", "blocked")
    options.pop("method", None)
    each = [matrix(length, taps, **options) for taps in k]
    return np.stack(each)[heads(n_channels, k.shape[0], head_map)]


def forward(
    u: Array,
    k: Array,
    skip: Array | None = None,
    bias: Array | None = None,
    pre_gate: Array | None = None,
    post_gate: Array | None = None,
    **options: Any,
) -> Array:
    """u (B, D, L), channels first."""
    v = u if pre_gate is None else u * pre_gate
    m = matrices(u.shape[2], k, u.shape[1], **options)
    y = np.einsum("dts,bds->bdt", m, v)
    if skip is not None:
        y = y + skip[:, None] * v
    if bias is not None:
        y = y + bias[:, None]
    return y if post_gate is None else y * post_gate


def backward(
    dy: Array,
    u: Array,
    k: Array,
    skip: Array | None = None,
    bias: Array | None = None,
    pre_gate: Array | None = None,
    post_gate: Array | None = None,
    **options: Any,
) -> dict[str, Array]:
    v = u if pre_gate is None else u * pre_gate
    dc = dy if post_gate is None else dy * post_gate
    m = matrices(u.shape[2], k, u.shape[1], **options)
    c = np.einsum("dts,bds->bdt", m, v)
    dv = np.einsum("dts,bdt->bds", m, dc)
    if skip is not None:
        c, dv = c + skip[:, None] * v, dv + skip[:, None] * dc
    if bias is not None:
        c = c + bias[:, None]
    found = {"du": dv if pre_gate is None else dv * pre_gate, "dk": np.zeros_like(k)}
    # dk[h, j]: how the matrix depends on one tap
    pairs = np.einsum("bdt,bds->dts", dc, v)
    h = heads(u.shape[1], k.shape[0], options.get("head_map", "blocked"))
    plain = {o: x for o, x in options.items() if o not in ("head_map", "method")}
    for j in range(k.shape[1]):
        unit = np.zeros(k.shape[1], k.dtype)
        unit[j] = 1
        slope = matrix(u.shape[2], unit, **plain)
        for d in range(u.shape[1]):
            found["dk"][h[d], j] += (slope * pairs[d]).sum()
    if pre_gate is not None:
        found["dpre_gate"] = dv * u
    if post_gate is not None:
        found["dpost_gate"] = dy * c
    if skip is not None:
        found["dskip"] = (dc * v).sum((0, 2))
    if bias is not None:
        found["dbias"] = dc.sum((0, 2))
    return found
