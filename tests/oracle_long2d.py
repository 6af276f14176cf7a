"""Two-dimensional long convolution and frequency bands from their definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle import Array, Result


def offset_of(mode: str, taps: int) -> int:
    return (taps - 1) // 2 if mode == "same" else 0


def n_out(mode: str, n: int, taps: int) -> int:
    return n + taps - 1 if mode == "full" else n


def pairs(mode: str, n: int, taps: int, tap: int) -> list[tuple[int, int]]:
    """(output, input) indices along an axis that meet at this tap."""
    found = []
    for t in range(n_out(mode, n, taps)):
        s = t + offset_of(mode, taps) - tap
        if mode == "circular":
            s %= n
        if 0 <= s < n:
            found.append((t, s))
    return found


def long_conv2d(u: Array, k: Array, dy: Array | None = None, *, mode: str = "same") -> Any:
    """y, or (du, dk) for a gradient dy; u (B, D, H, W). The dtype of u is that of the sums."""
    (h, w), (kh, kw) = u.shape[2:], k.shape[1:]
    y = np.zeros((*u.shape[:2], n_out(mode, h, kh), n_out(mode, w, kw)), u.dtype)
    du, dk = np.zeros_like(u), np.zeros_like(k)
    for i in range(kh):
        rows = pairs(mode, h, kh, i)
        for j in range(kw):
            columns = pairs(mode, w, kw, j)
            if not rows or not columns:
                continue
            at = (slice(None), slice(None), *np.ix_([p[0] for p in rows], [p[0] for p in columns]))
            of = (slice(None), slice(None), *np.ix_([p[1] for p in rows], [p[1] for p in columns]))
            tap = k[None, :, i, j, None, None]
            if dy is None:
                y[at] += tap * u[of]
            else:
                du[of] += tap * dy[at]
                dk[:, i, j] = (dy[at] * u[of]).sum(axis=(0, 2, 3))
    return y if dy is None else (du, dk)


def norms(a: Array, axes: tuple[int, ...]) -> Array:
    return np.asarray(np.sqrt((a * a).sum(axis=axes, keepdims=True)))


def fft_results(u: Array, k: Array, dy: Array | None, mode: str) -> dict[str, Result]:
    """With the norm bound of transforms: |error| <= tolerance * norm(a) * norm(b) of a plane."""
    k_norm = norms(k, (1, 2))[None]
    if dy is None:
        y = long_conv2d(u, k, mode=mode)
        return {"y": Result(y, np.broadcast_to(norms(u, (2, 3)) * k_norm, y.shape), 1)}
    du, dk = long_conv2d(u, k, dy, mode=mode)
    both = (norms(dy, (2, 3)) * norms(u, (2, 3))).sum(0)
    return {
        "du": Result(du, np.broadcast_to(norms(dy, (2, 3)) * k_norm, du.shape), 1),
        "dk": Result(dk, np.broadcast_to(both, dk.shape), 1),
    }


def direct_results(u: Array, k: Array, dy: Array | None, mode: str) -> dict[str, Result]:
    """With the bound of plain sums."""
    taps = math.prod(k.shape[1:])
    if dy is None:
        y = long_conv2d(u, k, mode=mode)
        return {"y": Result(y, long_conv2d(abs(u), abs(k), mode=mode), taps)}
    du, dk = long_conv2d(u, k, dy, mode=mode)
    du_size, dk_size = long_conv2d(abs(u), abs(k), abs(dy), mode=mode)
    terms = u.shape[0] * math.prod(u.shape[2:])
    return {"du": Result(du, du_size, taps), "dk": Result(dk, dk_size, terms)}


def frequencies(h: int, w: int, metric: str) -> Array:
    u, v = abs(np.fft.fftfreq(h))[:, None], np.fft.rfftfreq(w)[None]
    return np.asarray(np.maximum(u, v) if metric == "max" else np.sqrt(u * u + v * v))


def low_pass(x: Array, cutoff: float, metric: str) -> Array:
    """x without the frequencies above the cutoff; longdouble stays longdouble."""
    h, w = x.shape[-2:]
    keep = frequencies(h, w, metric) <= cutoff
    return np.fft.irfft2(np.fft.rfft2(x) * keep, s=(h, w)).astype(x.dtype)


def bands(x: Array, cutoffs: Sequence[float], metric: str = "max") -> list[Array]:
    if x.size == 0:
        return [x.copy() for _ in range(len(cutoffs) + 1)]
    lows = [x, *(low_pass(x, c, metric) for c in cutoffs), np.zeros_like(x)]
    return [high - low for high, low in itertools.pairwise(lows)]


def band_results(x: Array, cutoffs: Sequence[float], metric: str = "max") -> Result:
    """All bands in one array, with the bound of a transform."""
    value = np.stack(bands(x, cutoffs, metric))
    return Result(value, np.broadcast_to(_band_size(x), value.shape), _steps(x))


def _steps(x: Array) -> int:
    """The error of a transform grows with the root of log2 of its points."""
    return 1 + math.ceil(math.log2(max(2, math.prod(x.shape[-2:]))))


def _band_size(x: Array) -> Array:
    """The error of a transform is spread over the plane, to the root of its mean square; at a
    pixel there is that of the subtraction."""
    n = max(1, math.prod(x.shape[-2:]))
    return np.asarray(norms(x, (-2, -1)) / np.sqrt(x.dtype.type(n)) + abs(x) / 2)


def band_gradient(dys: Sequence[Array], cutoffs: Sequence[float], metric: str = "max") -> Result:
    parts = [bands(dy, cutoffs, metric)[i] for i, dy in enumerate(dys)]
    size = np.sum([_band_size(dy) for dy in dys], axis=0)
    return Result(np.sum(parts, axis=0), 2 * size, _steps(dys[0]))
