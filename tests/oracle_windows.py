"""Oracles of the operators without weights: pooling, sliding reductions, block rearrangements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracle import (
    Array,
    Result,
    _channels_first,
    _partial_ratio,
    _restore,
    _taps,
    out_lengths,
    per_axis,
    resolve_pads,
)


def pool(
    x: Array,
    window: Any,
    *,
    kind: str,
    ndim: int,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    count_include_pad: bool = True,
    layout: str = "channels_first",
    accumulate: Any = np.float64,
) -> Result:
    """Mean or maximum over a window; the padding of a maximum is -inf, of a mean 0."""
    xs, unbatched = _channels_first(np.asarray(x).astype(accumulate), ndim, layout)
    kernel = per_axis(window, ndim)
    s = kernel if stride is None else per_axis(stride, ndim)
    d = per_axis(dilation, ndim)
    lengths = xs.shape[2:]
    pads = resolve_pads(padding, lengths, kernel, s, d)
    out = out_lengths(lengths, pads, kernel, s, d)
    border = -np.inf if kind == "max" else 0.0
    padded = np.pad(xs, [(0, 0), (0, 0), *pads], constant_values=border)
    shape = (*xs.shape[:2], *out)
    value = np.full(shape, border, accumulate)
    magnitude = np.zeros(shape, accumulate)
    for _, part in _taps(kernel, s, d, out):
        piece = padded[(..., *part)]
        if kind == "max":
            value = np.maximum(value, piece)
        else:
            value, magnitude = value + piece, magnitude + np.abs(piece)
    if kind == "avg":
        share = np.ones(())
        if not count_include_pad:
            share = _partial_ratio(lengths, pads, kernel, s, d, out)
        share = share / math.prod(kernel)
        value, magnitude = value * share, magnitude * share
    return Result(
        _restore(value, unbatched, layout),
        _restore(magnitude, unbatched, layout),
        math.prod(kernel) + 1,
    )


def sliding_reduce(
    x: Array,
    window: int,
    *,
    axis: int = -1,
    op: str = "sum",
    padding: Any = 0,
    accumulate: Any = np.float64,
) -> Result:
    """One axis, stride 1; the padding is the neutral element (a mean divides by the window)."""
    xs = np.moveaxis(np.asarray(x).astype(accumulate), axis, -1)
    pads = resolve_pads(padding, (xs.shape[-1],), (window,), (1,), (1,))
    border = {"max": -np.inf, "min": np.inf}.get(op, 0.0)
    padded = np.pad(xs, [(0, 0)] * (xs.ndim - 1) + pads, constant_values=border)
    views = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)
    magnitude = np.zeros(views.shape[:-1], accumulate)
    if op in ("max", "min"):
        value = views.max(axis=-1) if op == "max" else views.min(axis=-1)
    else:
        share = 1.0 if op == "sum" else 1.0 / window
        value = views.sum(axis=-1) * share
        magnitude = np.abs(views).sum(axis=-1) * share
    return Result(np.moveaxis(value, -1, axis), np.moveaxis(magnitude, -1, axis), window + 1)


def _block_axes(order: str) -> tuple[int, ...]:
    """Axes of (N, C, H, i, W, j) in the order that makes (N, channel parts, H, W)."""
    return {"torch": (0, 1, 3, 5, 2, 4), "tf": (0, 3, 5, 1, 2, 4), "spd": (0, 5, 3, 1, 2, 4)}[order]


def space_to_depth(
    x: Array, block: int, *, order: str = "torch", layout: str = "channels_first"
) -> Array:
    """Each block of pixels becomes channels, in PyTorch's, TensorFlow's or SPD-Conv's order."""
    xs, unbatched = _channels_first(x, 2, layout)
    n, c, h, w = xs.shape
    split = xs.reshape(n, c, h // block, block, w // block, block)
    y = split.transpose(_block_axes(order)).reshape(n, c * block**2, h // block, w // block)
    return _restore(y, unbatched, layout)


def depth_to_space(
    x: Array, block: int, *, order: str = "torch", layout: str = "channels_first"
) -> Array:
    """The inverse of space_to_depth."""
    xs, unbatched = _channels_first(x, 2, layout)
    n, c, h, w = xs.shape
    axes = _block_axes(order)
    sizes = (n, c // block**2, h, block, w, block)
    split = xs.reshape([sizes[a] for a in axes]).transpose(np.argsort(axes))
    return _restore(split.reshape(n, c // block**2, h * block, w * block), unbatched, layout)
