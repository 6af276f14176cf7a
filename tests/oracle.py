"""Direct float64 sums for every operator of the convolution family.

Each oracle loops over taps and leaves the rest to NumPy, so thousands of small cases stay cheap.
It knows nothing of the library: the formulas are those of the written semantics.
`accumulate=np.longdouble` serves float64 kernels, whose error a float64 sum could not resolve.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Array = NDArray[Any]
Pads = list[tuple[int, int]]

# Largest slope of each activation: how far an error before it can grow (1 where not listed).
_SLOPE = {"gelu": 1.13, "gelu_tanh": 1.13, "silu": 1.1, "hardswish": 1.5}
_DEFAULT_VALUE = {"leaky_relu": 0.01, "elu": 1.0}
_NUMPY_PAD = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@dataclass(frozen=True)
class Result:
    """The exact value, the sum of magnitudes |w||x| behind each output, and the terms of a sum."""

    value: Array
    magnitude: Array
    terms: int


def per_axis(value: Any, ndim: int) -> tuple[int, ...]:
    """An int for every axis, or one per axis."""
    if isinstance(value, (int, np.integer)):
        return (int(value),) * ndim
    assert len(value) == ndim, (value, ndim)
    return tuple(int(v) for v in value)


def resolve_pads(
    padding: Any,
    lengths: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Pads:
    """(before, after) of each axis for every spelling of `padding`."""
    ndim = len(kernel)
    if isinstance(padding, str):
        span = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        same = [(t // 2, t - t // 2) for t in span]
        if padding == "valid":
            return [(0, 0)] * ndim
        if padding == "same":
            return same
        if padding == "causal":
            return [(span[0], 0), *same[1:]]
        assert padding == "same_tf", padding
        pads = []
        for length, t, s in zip(lengths, span, stride, strict=True):
            total = max((math.ceil(length / s) - 1) * s + t + 1 - length, 0)
            pads.append((total // 2, total - total // 2))
        return pads
    if isinstance(padding, (int, np.integer)):
        return [(int(padding), int(padding))] * ndim
    if all(isinstance(p, (int, np.integer)) for p in padding):
        if ndim == 1 and len(padding) == 2:
            return [(int(padding[0]), int(padding[1]))]
        return [(int(p), int(p)) for p in padding]
    return [(int(b), int(a)) for b, a in padding]


def out_lengths(
    lengths: Sequence[int],
    pads: Pads,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    return tuple(
        (n + b + a - d * (k - 1) - 1) // s + 1
        for n, (b, a), k, s, d in zip(lengths, pads, kernel, stride, dilation, strict=True)
    )


def _taps(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], out: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Every tap with the slice of the padded input that it meets."""
    for tap in itertools.product(*(range(k) for k in kernel)):
        yield (
            tap,
            tuple(
                slice(t * d, t * d + (n - 1) * s + 1 if n > 0 else t * d, s)
                for t, d, s, n in zip(tap, dilation, stride, out, strict=True)
            ),
        )


def activate(v: Array, activation: Any) -> tuple[Array, float]:
    """phi(v) and the largest slope of phi."""
    if activation is None:
        return v, 1.0
    name, value = activation if isinstance(activation, tuple) else (activation, None)
    if value is None:
        value = _DEFAULT_VALUE.get(name)
    with np.errstate(all="ignore"):
        out = _phi(v, name, value)
    return out, max(_SLOPE.get(name, 1.0), abs(value or 0.0))


def _sigmoid(v: Array) -> Array:
    e = np.exp(-np.abs(v))
    return np.where(v >= 0, 1 / (1 + e), e / (1 + e))


def _phi(v: Array, name: str, value: float | None) -> Array:
    hard = np.minimum(np.maximum(v + 3, 0), 6) / 6
    tanh_argument = math.sqrt(2 / math.pi) * (v + 0.044715 * v * v * v)
    table = {
        "relu": lambda: np.maximum(v, 0),
        "relu6": lambda: np.minimum(np.maximum(v, 0), 6),
        "leaky_relu": lambda: np.where(v < 0, value * v, v),
        "elu": lambda: np.where(v < 0, value * np.expm1(np.minimum(v, 0)), v),
        "gelu": lambda: v * 0.5 * (1 + erf(np.asarray(v, np.float64) / math.sqrt(2))),
        "gelu_tanh": lambda: 0.5 * v * (1 + np.tanh(tanh_argument)),
        "silu": lambda: v * _sigmoid(v),
        "sigmoid": lambda: _sigmoid(v),
        "hardsigmoid": lambda: hard,
        "hardswish": lambda: v * hard,
        "tanh": lambda: np.tanh(v),
        "softplus": lambda: np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v))),
    }
    result: Array = table[name]()
    return result


def _column(v: Array | None, ndim: int, like: Any) -> Array | None:
    return None if v is None else np.asarray(v, like).reshape((-1,) + (1,) * ndim)


def epilogue(
    value: Array,
    magnitude: Array,
    ndim: int,
    *,
    activation: Any = None,
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    residual_order: str = "after",
) -> tuple[Array, Array]:
    """* scale + shift, activation, + residual; channels first."""
    like = value.dtype
    for factor in [_column(scale, ndim, like)]:
        if factor is not None:
            value, magnitude = value * factor, magnitude * np.abs(factor)
    offset = _column(shift, ndim, like)
    if offset is not None:
        value, magnitude = value + offset, magnitude + np.abs(offset)
    if residual is not None and residual_order == "before":
        value, magnitude = value + residual, magnitude + np.abs(residual)
    value, slope = activate(value, activation)
    if activation is not None:
        magnitude = magnitude * slope + np.abs(value)
    if residual is not None and residual_order == "after":
        value, magnitude = value + residual, magnitude + np.abs(residual)
    return value, magnitude


def _channels_first(x: Array, ndim: int, layout: str) -> tuple[Array, bool]:
    """(N, C, *spatial) of any layout, and whether N was missing."""
    unbatched = x.ndim == ndim + 1
    if unbatched:
        x = x[None]
    return (np.moveaxis(x, -1, 1) if layout == "channels_last" else x), unbatched


def _restore(y: Array, unbatched: bool, layout: str) -> Array:
    if layout == "channels_last":
        y = np.moveaxis(y, 1, -1)
    return y[0] if unbatched else y


def _correlate(
    x: Array,
    w: Array,
    groups: int,
    stride: Sequence[int],
    dilation: Sequence[int],
    out: Sequence[int],
) -> Array:
    """Sum over taps of w[:, :, tap] @ x[shifted], group by group. x is already padded."""
    n, c = x.shape[:2]
    o = w.shape[0]
    shape = (n, groups, o // groups, math.prod(out))
    y = np.zeros(shape, x.dtype)
    if 0 in shape or c == 0:
        return y.reshape(n, o, *out)
    wg = w.reshape(groups, o // groups, c // groups, *w.shape[2:])
    for tap, window in _taps(w.shape[2:], stride, dilation, out):
        part = x[(slice(None), slice(None), *window)].reshape(n, groups, c // groups, -1)
        w_tap = wg[(..., *tap)]
        y += w_tap * part if c == groups else w_tap @ part
    return y.reshape(n, o, *out)


def _partial_ratio(
    lengths: Sequence[int],
    pads: Pads,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    out: Sequence[int],
) -> Array:
    """K_window / taps inside, 0 where no tap is inside."""
    ratio = np.ones(())
    for n, (b, _), k, s, d, m in zip(lengths, pads, kernel, stride, dilation, out, strict=True):
        at = np.arange(m)[:, None] * s + np.arange(k) * d - b
        inside = ((at >= 0) & (at < n)).sum(axis=1)
        axis = np.where(inside > 0, k / np.maximum(inside, 1), 0.0)
        ratio = ratio[..., None] * axis
    return ratio


def _conv_one_dilation(
    x: Array,
    w: Array,
    bias: Array | None,
    groups: int,
    stride: Sequence[int],
    padding: Any,
    dilation: Sequence[int],
    padding_mode: str,
) -> tuple[Array, Array]:
    kernel, lengths, ndim = w.shape[2:], x.shape[2:], w.ndim - 2
    pads = resolve_pads(padding, lengths, kernel, stride, dilation)
    out = out_lengths(lengths, pads, kernel, stride, dilation)
    if any(b or a for b, a in pads):
        mode = _NUMPY_PAD["zeros" if padding_mode == "partial" else padding_mode]
        x = np.pad(x, [(0, 0), (0, 0), *pads], mode=mode)  # type: ignore[call-overload]
    y = _correlate(x, w, groups, stride, dilation, out)
    magnitude = _correlate(np.abs(x), np.abs(w), groups, stride, dilation, out)
    column = _column(bias, ndim, x.dtype)
    if padding_mode == "partial":
        ratio = _partial_ratio(lengths, pads, kernel, stride, dilation, out)
        y, magnitude = y * ratio, magnitude * ratio
        if column is not None:
            column = column * (ratio > 0)
    if column is not None:
        y, magnitude = y + column, magnitude + np.abs(column)
    return y, magnitude


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    layout: str = "channels_first",
    channels: tuple[int, int] | None = None,
    passthrough: str = "copy",
    activation: Any = None,
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    residual_order: str = "after",
    accumulate: Any = np.float64,
) -> Result:
    """y[n,o,p] = b[o] + sum_{c,t} w[o,c,t] x[n, g(o) C/G + c, p s + t d - pad], any rank."""
    ndim = weight.ndim - 2
    whole, unbatched = _channels_first(np.asarray(x).astype(accumulate), ndim, layout)
    w = np.asarray(weight).astype(accumulate)
    part = whole if channels is None else whole[:, channels[0] : channels[1]]
    strides = per_axis(stride, ndim)
    d = np.asarray(dilation)
    rows = d if d.ndim == 2 else np.asarray([per_axis(dilation, ndim)] * w.shape[0])
    rows = rows.reshape(w.shape[0], ndim)
    fallback = np.ones((1, ndim), np.int64) if d.ndim == 2 else [per_axis(dilation, ndim)]
    b = None if bias is None else np.asarray(bias).astype(accumulate)
    value = magnitude = np.zeros(0)
    for index, row in enumerate(np.unique(rows, axis=0) if len(rows) else fallback):
        one = tuple(int(v) for v in row)
        v, m = _conv_one_dilation(part, w, b, groups, strides, padding, one, padding_mode)
        if index == 0:
            value, magnitude = v, m
        mine = (rows == row).all(axis=1)
        value[:, mine], magnitude[:, mine] = v[:, mine], m[:, mine]
    if residual is not None:
        residual, _ = _channels_first(np.asarray(residual).astype(accumulate), ndim, layout)
        if channels is not None and passthrough == "copy":
            residual = residual[:, channels[0] : channels[1]]
    value, magnitude = epilogue(
        value,
        magnitude,
        ndim,
        activation=activation,
        scale=scale,
        shift=shift,
        residual=residual,
        residual_order=residual_order,
    )
    if channels is not None and passthrough == "copy":
        full, full_magnitude = whole.copy(), np.zeros_like(whole)
        full[:, channels[0] : channels[1]] = value
        full_magnitude[:, channels[0] : channels[1]] = magnitude
        value, magnitude = full, full_magnitude
    return Result(
        _restore(value, unbatched, layout),
        _restore(magnitude, unbatched, layout),
        math.prod(w.shape[1:]) + 4,
    )


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str = "channels_first",
    accumulate: Any = np.float64,
) -> Result:
    """The adjoint of `conv` with the same arguments; weight (C_in, C_out/groups, *k)."""
    ndim = weight.ndim - 2
    xs, unbatched = _channels_first(np.asarray(x).astype(accumulate), ndim, layout)
    w = np.asarray(weight).astype(accumulate)
    kernel, lengths = w.shape[2:], xs.shape[2:]
    s, d = per_axis(stride, ndim), per_axis(dilation, ndim)
    extra = per_axis(output_padding, ndim)
    pads = resolve_pads(padding, [m * a for m, a in zip(lengths, s, strict=True)], kernel, s, d)
    n, c = xs.shape[:2]
    o = w.shape[1] * groups
    full = tuple(
        (m - 1) * a + e * (k - 1) + 1 + p
        for m, a, e, k, p in zip(lengths, s, d, kernel, extra, strict=True)
    )
    crop = tuple(slice(b, f - a) for (b, a), f in zip(pads, full, strict=True))
    parts = []
    for image, taps in ((xs, w), (np.abs(xs), np.abs(w))):
        y = np.zeros((n, groups, o // groups, *full), accumulate)
        xg = image.reshape(n, groups, c // groups, math.prod(lengths))
        wg = taps.reshape(groups, c // groups, o // groups, *kernel)
        for tap, window in _taps(kernel, s, d, lengths):
            piece = np.swapaxes(wg[(..., *tap)], 1, 2) @ xg
            y[(..., *window)] += piece.reshape(n, groups, o // groups, *lengths)
        parts.append(y.reshape(n, o, *full)[(..., *crop)])
    value, magnitude = parts
    column = _column(bias, ndim, accumulate)
    if column is not None:
        value, magnitude = value + column, magnitude + np.abs(column)
    return Result(
        _restore(value, unbatched, layout),
        _restore(magnitude, unbatched, layout),
        c // groups * math.prod(kernel) + 4,
    )
