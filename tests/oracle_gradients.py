"""Oracles of the backward of pooling: every window, one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracle import Array, Result, _channels_first, _restore, per_axis, resolve_pads


def _inside(
    out: tuple[int, ...], tap: tuple[int, ...], lengths: tuple[int, ...], geometry: list[Any]
) -> tuple[list[Array], list[Array]]:
    """Per axis, the outputs whose tap is inside, and the element that it meets."""
    windows, elements = [], []
    for n_out, t, length, (s, d, before) in zip(out, tap, lengths, geometry, strict=True):
        at = np.arange(n_out) * s - before + t * d
        keep = (at >= 0) & (at < length)
        windows.append(np.flatnonzero(keep))
        elements.append(at[keep])
    return windows, elements


def _winners(xs: Array, out: tuple[int, ...], taps: list[Any], geometry: list[Any]) -> Array:
    """For each window the flat index of its maximum: the first of equals, the last NaN."""
    lengths = xs.shape[2:]
    best = np.zeros((*xs.shape[:2], *out), xs.dtype)
    winner = np.full(best.shape, -1)
    flat = np.arange(math.prod(lengths)).reshape(lengths)
    for tap in taps:
        windows, elements = _inside(out, tap, lengths, geometry)
        value = xs[(..., *np.ix_(*elements))]
        there = (..., *np.ix_(*windows))
        is_better = (value > best[there]) | np.isnan(value) | (winner[there] < 0)
        best[there] = np.where(is_better, value, best[there])
        winner[there] = np.where(is_better, flat[np.ix_(*elements)], winner[there])
    return winner


def _scatter(g: Array, winner: Array, shape: tuple[int, ...]) -> Array:
    dx = np.zeros((math.prod(shape[:2]), math.prod(shape[2:])), g.dtype)
    planes = np.arange(len(dx))[:, None]
    if dx.size:
        np.add.at(dx, (planes, winner.reshape(len(dx), -1)), g.reshape(len(dx), -1))
    return dx.reshape(shape)


def pool(
    dy: Array,
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
    """Gradient of the mean ("avg"), sum, maximum or minimum over a window."""
    xs, unbatched = _channels_first(np.asarray(x).astype(accumulate), ndim, layout)
    g, _ = _channels_first(np.asarray(dy).astype(accumulate), ndim, layout)
    kernel = per_axis(window, ndim)
    s = kernel if stride is None else per_axis(stride, ndim)
    d = per_axis(dilation, ndim)
    lengths, out = xs.shape[2:], g.shape[2:]
    pads = resolve_pads(padding, lengths, kernel, s, d)
    geometry = [(s[i], d[i], pads[i][0]) for i in range(ndim)]
    taps = list(np.ndindex(*kernel))
    if kind in ("max", "min"):
        winner = _winners(xs if kind == "max" else -xs, out, taps, geometry)
        value, magnitude = (_scatter(part, winner, xs.shape) for part in (g, np.abs(g)))
        terms = int(_scatter(np.ones(g.shape), winner, xs.shape).max(initial=1))
    else:
        if kind == "avg":
            inside = np.zeros(out)
            for tap in taps:
                inside[np.ix_(*_inside(out, tap, lengths, geometry)[0])] += 1
            g = g / (math.prod(kernel) if count_include_pad else inside)
        value, magnitude = np.zeros(xs.shape, accumulate), np.zeros(xs.shape, accumulate)
        for tap in taps:
            windows, elements = _inside(out, tap, lengths, geometry)
            part = g[(..., *np.ix_(*windows))]
            value[(..., *np.ix_(*elements))] += part
            magnitude[(..., *np.ix_(*elements))] += np.abs(part)
        terms = math.prod(kernel) + 1
    return Result(_restore(value, unbatched, layout), _restore(magnitude, unbatched, layout), terms)


def sliding_reduce(
    dy: Array,
    x: Array,
    window: int,
    *,
    axis: int = -1,
    op: str = "sum",
    padding: Any = 0,
    accumulate: Any = np.float64,
) -> Result:
    """The same along one axis."""

    def as_rows(a: Array) -> Array:
        moved = np.moveaxis(np.asarray(a), axis, -1)
        return moved.reshape(1, math.prod(moved.shape[:-1]), moved.shape[-1])

    def back(rows: Array) -> Array:
        moved = np.moveaxis(np.asarray(x), axis, -1).shape
        return np.moveaxis(rows.reshape(moved), -1, axis)

    kind = "avg" if op == "mean" else op
    found = pool(
        as_rows(dy), as_rows(x), window, kind=kind, ndim=1, stride=1, padding=padding,
        accumulate=accumulate,
    )  # fmt: skip
    return Result(back(found.value), back(found.magnitude), found.terms)
