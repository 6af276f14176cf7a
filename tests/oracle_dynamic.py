"""Dynamic convolution and its gradients by NumPy formulas, with the magnitudes that bound rounding.

Arrays have the channels first and N present; `cases.dynamic` moves the axes. One axis of positions
counts as an image of one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle import Array, Result, per_axis, resolve_pads


@dataclass(frozen=True)
class _Geometry:
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Sequence[tuple[int, int]]
    shape: tuple[int, int]  # of x
    out: tuple[int, int]

    def taps(self) -> Iterator[tuple[int, tuple[slice, slice]]]:
        """Each tap's number and the elements of the padded x that it meets."""
        for k in range(self.kernel[0] * self.kernel[1]):
            at = divmod(k, self.kernel[1])
            rows, cols = (
                slice(i * d, i * d + (n - 1) * s + 1, s)
                for i, d, n, s in zip(at, self.dilation, self.out, self.stride, strict=True)
            )
            yield k, (rows, cols)

    def pad(self, x: Array) -> Array:
        return np.pad(x, [(0, 0), (0, 0), *self.pads])

    def unpad(self, x: Array) -> Array:
        rows, cols = (slice(b, b + n) for (b, _), n in zip(self.pads, self.shape, strict=True))
        return x[:, :, rows, cols]


def geometry(
    shape: Sequence[int], kernel: Any, stride: Any, dilation: Any, padding: Any
) -> _Geometry:
    """Of an image; of a sequence with `kernel` an int."""
    is_row = isinstance(kernel, int)
    k, s, d = (per_axis(v, 2 - is_row) for v in (kernel, stride, dilation))
    pads = resolve_pads(padding, shape[is_row:], k, s, d)
    if is_row:
        k, s, d, pads = (1, *k), (1, *s), (1, *d), [(0, 0), *pads]
    out = [
        (n + b + a - di * (ki - 1) - 1) // si + 1
        for n, (b, a), ki, si, di in zip(shape, pads, k, s, d, strict=True)
    ]
    # an empty x that its padding does not fill gives an empty result
    out = [max(m, 0) if n == 0 else m for m, n in zip(out, shape, strict=True)]
    return _Geometry(k, s, d, pads, (shape[0], shape[1]), (out[0], out[1]))


@dataclass(frozen=True)
class _Taps:
    value: Array  # (N, G, K, Ho, Wo) after the softmax
    size: Array  # how far rounding may move them, in units of it


def _softmax(weight: Array, inside: Array | None) -> _Taps:
    if inside is not None:
        weight = np.where(inside, weight, -np.inf)
    most = weight.max(2, keepdims=True, initial=-np.inf)
    most = np.where(np.isneginf(most), 0, most)
    depth = np.where(np.isneginf(weight), 0, most - weight)
    e = np.where(np.isneginf(weight), 0, np.exp(-depth))
    total = e.sum(2, keepdims=True)
    p = e / np.where(total == 0, 1, total)
    return _Taps(p, p * (4 + depth + (p * depth).sum(2, keepdims=True)))


def dynamic(
    x: Array,
    weight: Array,
    dy: Array | None = None,
    *,
    kernel: Any,
    stride: Any = 1,
    dilation: Any = 1,
    padding: Any = "same",
    softmax: bool = False,
    renormalize: bool = False,
    interleaved: bool = False,
) -> dict[str, Result]:
    """y, or dx and dweight: x (N, C, H, W), weight (N, G, K, Ho, Wo) or (G, K)."""
    g = geometry(x.shape[2:], kernel, stride, dilation, padding)
    is_shared = weight.ndim == 2
    n, c = x.shape[:2]
    groups, n_taps = weight.shape[:2] if is_shared else weight.shape[1:3]
    full = np.broadcast_to(
        weight[None, :, :, None, None] if is_shared else weight, (n, groups, n_taps, *g.out)
    )
    taps = _Taps(full, np.abs(full))
    if softmax:
        ones = g.pad(np.ones((1, 1, *x.shape[2:])))
        inside = np.stack([ones[0, 0][at] > 0 for _, at in g.taps()])[None, None]
        taps = _softmax(full, inside if renormalize else None)
    channels = np.arange(c)
    group = channels % groups if interleaved else channels // max(c // groups, 1)
    extra = n_taps if softmax else 0
    if dy is None:
        padded = g.pad(x)
        y, size = np.zeros((2, n, c, *g.out), x.dtype)
        for k, at in g.taps():
            piece = padded[(..., *at)]
            y += taps.value[:, group, k] * piece
            size += taps.size[:, group, k] * np.abs(piece)
        return {"y": Result(y, size, n_taps + extra)}
    dx = _input_grad(g, x, taps, dy, group)
    dp, dp_size = _tap_products(g, x, dy, group, (n, groups, n_taps, *g.out), np.abs)
    if softmax:
        mean = (taps.value * dp).sum(2, keepdims=True)
        mean_size = (taps.size * dp_size).sum(2, keepdims=True)
        dp = taps.value * (dp - mean)
        dp_size = taps.size * (2 * dp_size + 2 * mean_size)
    terms = max(c // groups, 1) + 2 * extra
    if is_shared:
        dp, dp_size = dp.sum((0, 3, 4)), dp_size.sum((0, 3, 4))
        terms *= max(n * g.out[0] * g.out[1], 1)
    return {
        "dx": Result(dx[0], dx[1], n_taps + extra),
        "dweight": Result(dp, dp_size, terms),
    }


def _input_grad(g: _Geometry, x: Array, taps: _Taps, dy: Array, group: Array) -> list[Array]:
    """(value, magnitude)"""
    both = []
    for w, d in ((taps.value, dy), (taps.size, np.abs(dy))):
        padded = g.pad(np.zeros_like(x))
        for k, at in g.taps():
            padded[(..., *at)] += w[:, group, k] * d
        both.append(g.unpad(padded))
    return both


def _tap_products(
    g: _Geometry, x: Array, dy: Array, group: Array, shape: Sequence[int], size: Any
) -> list[Array]:
    both = []
    for a, d in ((x, dy), (size(x), size(dy))):
        padded, total = g.pad(a), np.zeros(shape, x.dtype)
        for k, at in g.taps():
            products = padded[(..., *at)] * d
            for i in range(shape[1]):
                total[:, i, k] = products[:, group == i].sum(1)
        both.append(total)
    return both
