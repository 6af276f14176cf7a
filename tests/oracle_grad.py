"""Gradients of the convolutions by float64 sums over taps, each window found by its indices.

Shares no code with `oracle`'s convolution but the spelling of paddings and the activations: windows
are gathered by index arrays and scattered back by `np.add.at`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

import swath
from oracle import Array, Result, out_lengths, per_axis, resolve_pads

_KINKS = {
    "relu": (0,), "relu6": (0, 6), "leaky_relu": (0,), "elu": (0,), "hardsigmoid": (-3, 3),
    "hardswish": (-3, 3),
}  # fmt: skip
_DEFAULT_VALUE = {"leaky_relu": 0.01, "elu": 1.0}
_HALF_UNIT = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1 / (1 + e), e / (1 + e)))


def slope(z: Array, name: str, value: float | None) -> Array:
    """The derivative of an activation; PyTorch's choice at a kink."""
    s = _sigmoid(z)
    c = 2 * math.sqrt(2 / math.pi)
    t = _sigmoid(c * (z + 0.044715 * z**3))
    phi = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    table = {
        "relu": z > 0,
        "relu6": (z > 0) & (z < 6),
        "leaky_relu": np.where(z > 0, 1.0, value or 0.0),
        "elu": np.where(z > 0, 1.0, (value or 0.0) * np.exp(np.minimum(z, 0))),
        "gelu": 0.5 * (1 + erf(np.asarray(z, np.float64) / math.sqrt(2))) + z * phi,
        "gelu_tanh": t + z * t * (1 - t) * c * (1 + 3 * 0.044715 * z**2),
        "silu": s + z * s * (1 - s),
        "sigmoid": s * (1 - s),
        "hardsigmoid": ((z > -3) & (z < 3)) / 6.0,
        "hardswish": np.where(z <= -3, 0.0, np.where(z >= 3, 1.0, z / 3 + 0.5)),
        "tanh": 1 - np.tanh(z) ** 2,
        "softplus": s,
    }
    return np.asarray(table[name], z.dtype)


@dataclass(frozen=True)
class Windows:
    """Where each tap of an axis reads: indices (tap, position) into x, -1 for a zero."""

    axes: list[Array]

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[Array, ...], Array]]:
        """(tap, index arrays of all positions, whether the position is in x)."""
        for tap in itertools.product(*(range(len(axis)) for axis in self.axes)):
            rows = [axis[t] for axis, t in zip(self.axes, tap, strict=True)]
            inside = np.ones((), bool)
            for row in rows:
                inside = inside[..., None] & (row >= 0)
            yield tap, np.ix_(*(np.maximum(row, 0) for row in rows)), inside


def _axis(n: int, out: int, kernel: int, stride: int, dilation: int, pad: int, mode: str) -> Array:
    index = np.arange(out) * stride + np.arange(kernel)[:, None] * dilation - pad
    if mode == "reflect":
        return np.where(index < 0, -index, np.where(index >= n, 2 * (n - 1) - index, index))
    if mode == "replicate":
        return np.clip(index, 0, n - 1)
    if mode == "circular":
        return index % max(n, 1)
    return np.where((index < 0) | (index >= n), -1, index)


def _ratio(windows: Windows) -> Array:
    """Taps over taps inside, 0 where none is."""
    ratio = np.ones(())
    for axis in windows.axes:
        inside = (axis >= 0).sum(axis=0)
        each = np.where(inside > 0, len(axis) / np.maximum(inside, 1), 0.0)
        ratio = ratio[..., None] * each
    return ratio


@dataclass(frozen=True)
class Linear:
    """The sum over taps and its adjoints, for one dilation. x is (N, C, *S), w (O, C/G, *K)."""

    windows: Windows
    groups: int

    def _grouped(self, a: Array) -> Array:
        n, c = a.shape[:2]
        return a.reshape(n, self.groups, c // self.groups, math.prod(a.shape[2:]))

    def apply(self, x: Array, w: Array) -> Array:
        out = [axis.shape[1] for axis in self.windows.axes]
        o, per_group = w.shape[:2]
        wg = w.reshape(self.groups, o // self.groups, per_group, *w.shape[2:])
        y = np.zeros((len(x), self.groups, o // self.groups, math.prod(out)), x.dtype)
        for tap, index, inside in self.windows.taps():
            window = self._grouped(x[(slice(None), slice(None), *index)] * inside)
            y += np.einsum("goc,ngcp->ngop", wg[(..., *tap)], window)
        return y.reshape(len(x), o, *out)

    def weight_grad(self, du: Array, x: Array, shape: tuple[int, ...]) -> Array:
        grad = np.zeros((self.groups, shape[0] // self.groups, *shape[1:]), x.dtype)
        for tap, index, inside in self.windows.taps():
            window = self._grouped(x[(slice(None), slice(None), *index)] * inside)
            grad[(..., *tap)] = np.einsum("ngop,ngcp->goc", self._grouped(du), window)
        return grad.reshape(shape)

    def input_grad(self, du: Array, w: Array, shape: tuple[int, ...]) -> Array:
        o, per_group = w.shape[:2]
        wg = w.reshape(self.groups, o // self.groups, per_group, *w.shape[2:])
        dx = np.zeros(shape, du.dtype)
        for tap, index, inside in self.windows.taps():
            part = np.einsum("goc,ngop->ngcp", wg[(..., *tap)], self._grouped(du))
            part = part.reshape(*shape[:2], *du.shape[2:]) * inside
            np.add.at(dx, (slice(None), slice(None), *index), part)
        return dx


def linears(
    x: Array, w: Array, groups: int, stride: Any, padding: Any, dilation: Any, mode: str
) -> list[tuple[Array, Linear]]:
    """(output channels, their sum) for each dilation."""
    ndim, lengths, kernel = w.ndim - 2, x.shape[2:], w.shape[2:]
    s, d = per_axis(stride, ndim), np.asarray(dilation)
    rows = d if d.ndim == 2 else np.asarray([per_axis(dilation, ndim)] * max(len(w), 1))
    found = []
    for row in np.unique(rows.reshape(-1, ndim), axis=0):
        one = tuple(int(v) for v in row)
        pads = resolve_pads(padding, lengths, kernel, s, one)
        out = out_lengths(lengths, pads, kernel, s, one)
        axes = [
            _axis(n, max(m, 0), k, a, e, before, mode)
            for n, m, k, a, e, (before, _) in zip(lengths, out, kernel, s, one, pads, strict=True)
        ]
        mine = np.nonzero((rows == row).all(axis=1))[0][: len(w)]
        found.append((mine, Linear(Windows(axes), groups)))
    return found


def _only(a: Array, channels: Array, axis: int) -> Array:
    """The array with all other channels set to zero."""
    keep = np.zeros(a.shape[axis], bool)
    keep[channels] = True
    return a * keep.reshape([-1 if i == axis else 1 for i in range(a.ndim)])


class Summed:
    """Several dilations as one operation, and what each does to magnitudes."""

    def __init__(self, parts: Sequence[tuple[Array, Linear]]) -> None:
        self.parts = parts

    def apply(self, x: Array, w: Array) -> Array:
        return sum((_only(f.apply(x, w), mine, 1) for mine, f in self.parts), np.zeros(()))

    def weight_grad(self, du: Array, x: Array, w: Array) -> Array:
        parts = (f.weight_grad(_only(du, mine, 1), x, w.shape) for mine, f in self.parts)
        return sum(parts, np.zeros(()))

    def input_grad(self, du: Array, w: Array, x: Array) -> Array:
        parts = (f.input_grad(_only(du, mine, 1), w, x.shape) for mine, f in self.parts)
        return sum(parts, np.zeros(()))

    def ratio(self, n_out: int) -> Array:
        """(O, *positions)"""
        each = [(mine, _ratio(f.windows)) for mine, f in self.parts]
        ratio = np.zeros((n_out, *each[0][1].shape))
        for mine, one in each:
            ratio[mine] = one
        return ratio


def _first(a: Array, ndim: int, layout: str) -> Array:
    a = a[None] if a.ndim == ndim + 1 else a
    return np.moveaxis(a, -1, 1) if layout == "channels_last" else a


def _like(a: Array, like: Array, layout: str) -> Array:
    a = np.moveaxis(a, 1, -1) if layout == "channels_last" else a
    return a.reshape(like.shape)


def conv_grad(
    dy: Array, x: Array, weight: Array, bias: Array | None = None, *, scale: Array | None = None,
    shift: Array | None = None, residual: Array | None = None, residual_order: str = "after",
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "zeros", layout: str = "channels_first",
    channels: tuple[int, int] | None = None, passthrough: str = "copy", activation: Any = None,
    accumulate: Any = np.float64,
) -> dict[str, Result]:  # fmt: skip
    """Gradients by name, with the magnitudes that bound the error of a computation in x's dtype."""
    ndim, dtype = weight.ndim - 2, swath.testing.dtype_name(x.dtype)
    wide = [a.astype(accumulate) for a in (dy, x, weight)]
    dy_all, x_all, w = _first(wide[0], ndim, layout), _first(wide[1], ndim, layout), wide[2]
    start, stop = channels or (0, x_all.shape[1])
    copies = channels is not None and passthrough == "copy"
    xs = x_all[:, start:stop]
    g = dy_all[:, start:stop] if copies else dy_all
    f = Summed(linears(xs, w, groups, stride, padding, dilation, padding_mode))

    def column(a: Array | None, default: float) -> Array:
        values = np.full(len(w), default) if a is None else np.asarray(a).astype(accumulate)
        return values.reshape((-1,) + (1,) * ndim)

    ratio = f.ratio(len(w)) if padding_mode == "partial" else np.ones(g.shape[1:])
    v = f.apply(xs, w) * ratio + column(bias, 0) * (ratio != 0)
    v_size = f.apply(np.abs(xs), np.abs(w)) * ratio + np.abs(column(bias, 0))
    factor = column(scale, 1)
    z, z_size = v * factor + column(shift, 0), v_size * np.abs(factor) + np.abs(column(shift, 0))
    res = None if residual is None else _first(residual.astype(accumulate), ndim, layout)
    if res is not None and res.shape[1] != len(w):
        res = res[:, start:stop]
    if res is not None and residual_order == "before":
        z, z_size = z + res, z_size + np.abs(res)
    terms = max(math.prod(w.shape[1:]), len(w) // groups * math.prod(w.shape[2:]),
                math.prod(g.shape) // max(g.shape[1], 1)) + 4  # fmt: skip
    unit = swath.testing.tolerance(dtype, 1)
    dz, dz_size = g, np.abs(g)
    if activation is not None:
        name, value = activation if isinstance(activation, tuple) else (activation, None)
        value = _DEFAULT_VALUE.get(name) if value is None else value
        dz = g * slope(z, name, value)
        dz_size = 4 * np.abs(dz) + 2 * np.abs(g) * z_size
        near = (swath.testing.tolerance(dtype, terms) + _HALF_UNIT.get(dtype, 0)) * z_size
        for kink in _KINKS.get(name, ()):
            dz_size = dz_size + np.where(np.abs(z - kink) <= near, np.abs(g) / unit, 0)
    changes = activation is not None or scale is not None or padding_mode == "partial"
    if changes:  # du and the sum are stored in between
        dz_size = dz_size * (1 + 2 * _HALF_UNIT.get(dtype, 0) / unit)
    dv, dv_size = dz * factor, dz_size * np.abs(factor)
    du, du_size = dv * ratio, dv_size * ratio
    found: dict[str, Result] = {}

    dx = np.zeros_like(x_all) if not copies else dy_all.copy()
    dx_size = np.abs(dx)
    dx[:, start:stop] = f.input_grad(du, w, xs)
    dx_size[:, start:stop] = f.input_grad(du_size, np.abs(w), xs)
    found["dx"] = Result(_like(dx, x, layout), _like(dx_size, x, layout), terms)
    found["dweight"] = Result(
        f.weight_grad(du, xs, w), f.weight_grad(du_size, np.abs(xs), w), terms
    )
    axes = (0, *range(2, 2 + ndim))
    found["dbias"] = Result(
        (dv * (ratio != 0)).sum(axes), (dv_size * (ratio != 0)).sum(axes), terms
    )
    if scale is not None:
        size = np.abs(dz) * v_size * (1 + _HALF_UNIT.get(dtype, 0) / unit) + dz_size * np.abs(v)
        found["dscale"] = Result((dz * v).sum(axes), size.sum(axes), terms)
    if shift is not None:
        found["dshift"] = Result(dz.sum(axes), dz_size.sum(axes), terms)
    if residual is not None:
        full, size = (
            np.zeros_like(_first(residual.astype(accumulate), ndim, layout)) for _ in "ab"
        )
        mine = slice(start, stop) if full.shape[1] != len(w) else slice(None)
        before = residual_order == "before"
        full[:, mine], size[:, mine] = (dz, dz_size) if before else (g, np.abs(g))
        found["dresidual"] = Result(
            _like(full, residual, layout), _like(size, residual, layout), terms
        )
    return found


def conv_transpose_grad(
    dy: Array, x: Array, weight: Array, bias: Array | None = None, *, stride: Any = 1,
    padding: Any = 0, output_padding: Any = 0, dilation: Any = 1, groups: int = 1,
    layout: str = "channels_first", accumulate: Any = np.float64,
) -> dict[str, Result]:  # fmt: skip
    """The forward is the adjoint of a convolution from dy's space to x's."""
    del bias, output_padding
    ndim = weight.ndim - 2
    wide = [a.astype(accumulate) for a in (dy, x, weight)]
    g, xs, w = _first(wide[0], ndim, layout), _first(wide[1], ndim, layout), wide[2]
    s, d = per_axis(stride, ndim), per_axis(dilation, ndim)
    lengths = [m * a for m, a in zip(xs.shape[2:], s, strict=True)]
    pads = resolve_pads(padding, lengths, w.shape[2:], s, d)
    axes = [
        _axis(n, m, k, a, e, before, "zeros")
        for n, m, k, a, e, (before, _) in zip(
            g.shape[2:], xs.shape[2:], w.shape[2:], s, d, pads, strict=True
        )
    ]
    f = Linear(Windows(axes), groups)
    terms = max(math.prod(w.shape[1:]), math.prod(g.shape) // max(g.shape[1], 1)) + 4
    found = {
        "dx": Result(
            _like(f.apply(g, w), x, layout), _like(f.apply(np.abs(g), np.abs(w)), x, layout), terms
        ),
        "dweight": Result(
            f.weight_grad(xs, g, w.shape), f.weight_grad(np.abs(xs), np.abs(g), w.shape), terms
        ),
    }
    axis = (0, *range(2, 2 + ndim))
    found["dbias"] = Result(g.sum(axis), np.abs(g).sum(axis), terms)
    return found
