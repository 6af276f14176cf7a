"""The gates and their gradients by NumPy formulas, with the magnitudes that bound rounding.

Every function takes and returns arrays with the channels first and N present; `cases.gates` moves
the axes. A magnitude follows the sums with absolute values, and counts an error before a function
with the function's slope.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle import Array, Result, activate

# A slope of an activation may be off by an ulp of its largest term, which is at most this.
_LARGEST_TERM = 1.2


def _erf(v: Array) -> Array:
    from scipy.special import erf

    return np.asarray(erf(np.asarray(v, np.float64)))


def slope(v: Array, activation: Any) -> Array:
    """phi'(v), with PyTorch's values at kinks."""
    name, value = activation if isinstance(activation, tuple) else (activation, None)
    s = np.asarray(activate(v, "sigmoid")[0])
    scale = math.sqrt(2 / math.pi)
    u = activate(2 * scale * (v + 0.044715 * v**3), "sigmoid")[0]
    density = np.exp(-v * v / 2) / math.sqrt(2 * math.pi)
    table = {
        None: lambda: np.ones_like(v),
        "relu": lambda: (v > 0) * np.ones_like(v),
        "relu6": lambda: ((v > 0) & (v < 6)) * np.ones_like(v),
        "leaky_relu": lambda: np.where(v > 0, 1, 0.01 if value is None else value),
        "elu": lambda: np.where(v > 0, 1, (1 if value is None else value) * np.exp(v)),
        "gelu": lambda: 0.5 * (1 + _erf(v / math.sqrt(2))) + v * density,
        "gelu_tanh": lambda: u + v * u * (1 - u) * 2 * scale * (1 + 3 * 0.044715 * v * v),
        "silu": lambda: s * (1 + v * (1 - s)),
        "sigmoid": lambda: s * (1 - s),
        "hardsigmoid": lambda: ((v > -3) & (v < 3)) / np.asarray(6, v.dtype),
        "hardswish": lambda: np.where(v < -3, 0, np.where(v <= 3, v / 3 + 0.5, 1)),
        "tanh": lambda: 1 - np.tanh(v) ** 2,
        "softplus": lambda: s,
    }
    result: Array = np.asarray(table[name]())
    return result


def gate_of(b: Array, gate: Any) -> tuple[Array, Array, Array, Array, Array]:
    """(gate, its derivative, magnitudes of both, derivatives by (a, mu, s1, s2))."""
    if not (isinstance(gate, tuple) and gate[0] == "asym_gauss"):
        value = activate(b, gate)[0]
        by_b = slope(b, gate)
        return value, by_b, np.abs(value), np.abs(by_b) + 0.1, np.zeros((4, *b.shape))
    a, mu, s1, s2 = (np.asarray(p, b.dtype) for p in gate[1])
    d, is_left = b - mu, b < mu
    rate, height = np.where(is_left, s1, s2), np.where(is_left, a, a - 1)
    e = np.exp(-rate * d * d)
    value = np.where(is_left, 0, 1) + height * e
    by_b, by_rate = -2 * rate * d * height * e, -d * d * height * e
    params = np.stack([e, -by_b, np.where(is_left, by_rate, 0), np.where(is_left, 0, by_rate)])
    spread = 1 + 2 * rate * d * d  # an error of the exponent counts as often
    reach = (np.abs(b) + np.abs(mu)) / np.maximum(np.abs(d), 1e-30)  # cancellation in b - mu
    return (
        value,
        by_b,
        np.abs(value) + np.abs(height) * e * spread * np.minimum(reach, 1e3),
        np.abs(2 * rate * height * e) * (np.abs(b) + np.abs(mu)) * spread,
        params,
    )


def gate_mul(
    a: Array,
    b: Array,
    add: Array | None = None,
    *,
    activation: Any = None,
    gate: Any = "sigmoid",
    tile: int = 1,
) -> dict[str, Result]:
    """b is tiled along axis 1."""
    value, by_phi = activate(a, activation)
    g, _, g_size, *_ = gate_of(b, gate)
    g, g_size = (_tiled(v, tile) for v in (g, g_size))
    y, size = value * g, np.abs(value) * g_size + by_phi * 1e-8 * np.abs(a) * np.abs(g)
    if add is not None:
        y, size = y + add, size + np.abs(add)
    return {"y": Result(y, size, 9)}


def _tiled(b: Array, tile: int) -> Array:
    return b if tile == 1 else np.tile(b, (1, tile) + (1,) * (b.ndim - 2))


def _folded(v: Array, tile: int) -> Array:
    """The sum over the repeats."""
    if tile == 1:
        return v
    return v.reshape(v.shape[0], tile, v.shape[1] // tile, *v.shape[2:]).sum(1)


def gate_mul_grad(
    dy: Array,
    a: Array,
    b: Array,
    add: Array | None = None,
    *,
    activation: Any = None,
    gate: Any = "sigmoid",
    tile: int = 1,
) -> dict[str, Result]:
    del add
    value = activate(a, activation)[0]
    g, by_b, g_size, by_b_size, params = gate_of(b, gate)
    products, sizes = _folded(dy * value, tile), _folded(np.abs(dy * value), tile)
    by_a = slope(a, activation)
    term = 0 if activation is None else _LARGEST_TERM
    tiled, tiled_size = _tiled(g, tile), _tiled(g_size, tile)
    terms = tile + 25
    n = products.size
    dgate = (products * params).reshape(4, -1).sum(1)
    size = np.stack([by_b_size + np.abs(p) + (b - g) ** 2 for p in params])
    return {
        "da": Result(dy * by_a * tiled, np.abs(dy) * (np.abs(by_a) + term) * tiled_size, 25),
        "db": Result(products * by_b, sizes * by_b_size, terms),
        "dadd": Result(dy, np.abs(dy), 1),
        "dgate": Result(dgate, (sizes * size).reshape(4, -1).sum(1), terms * n),
    }


def _softmax(logits: Array, axis: Any) -> Array:
    e = np.exp(logits - logits.max(axis, keepdims=True))
    result: Array = e / e.sum(axis, keepdims=True)
    return result


def _span(logits: Array, axis: Any) -> Array:
    """How often an error of a logit, of an ulp, counts in the softmax."""
    return 2 + np.abs(logits - logits.max(axis, keepdims=True))


def softmax_gate(
    x: Array, logits: Array, dy: Array | None = None, *, residual: bool = True
) -> dict[str, Result]:
    """x (N, C, P), logits (N, G, P)."""
    n, c, p = x.shape
    groups = logits.shape[1]
    a, span = _softmax(logits, 2), _span(logits, 2)
    extra = 1 if residual else 0

    def wide(v: Array) -> Array:
        return np.repeat(v, c // groups, 1)

    terms = p + 25
    if dy is None:
        return {"y": Result(x * wide(a + extra), np.abs(x) * wide(a * span + extra), terms)}

    def sums(v: Array) -> Array:
        result: Array = v.reshape(n, groups, c // groups, p).sum(2)
        return result

    da, da_size = sums(dy * x), sums(np.abs(dy * x))
    mean = (a * da).sum(2, keepdims=True)
    mean_size = (a * span * da_size).sum(2, keepdims=True)
    return {
        "dx": Result(dy * wide(a + extra), np.abs(dy) * wide(a * span + extra), terms),
        "dlogits": Result(a * (da - mean), a * span * (da_size + mean_size), terms + c // groups),
    }


def branch_select(branches: Array, logits: Array, dy: Array | None = None) -> dict[str, Result]:
    """branches (M, N, C, P), logits (N, M, C)."""
    m, _, _, p = branches.shape
    a = np.moveaxis(_softmax(logits, 1), 1, 0)[..., None]
    span = np.moveaxis(_span(logits, 1), 1, 0)[..., None]
    if dy is None:
        size = (np.abs(a * branches) * span).sum(0)
        return {"y": Result((a * branches).sum(0), size, m + 25)}
    da, da_size = ((v * 1.0).sum(3, keepdims=True) for v in (dy * branches, np.abs(dy * branches)))
    mean, mean_size = (a * da).sum(0), (a * span * da_size).sum(0)
    dlogits, size = a * (da - mean), a * span * (da_size + mean_size)
    return {
        "dbranches": Result(a * dy, a * span * np.abs(dy), m + 25),
        "dlogits": Result(
            np.moveaxis(dlogits[..., 0], 0, 1), np.moveaxis(size[..., 0], 0, 1), p + m + 25
        ),
    }


class _Layer:
    """raw = w m, pre = raw * scale + shift, g = phi(pre), with magnitudes; and the way back."""

    def __init__(self, w: Array, scale: Any, shift: Any, phi: str, m: Array, m_size: Array) -> None:
        self.w, self.phi, self.m, self.m_size = w, phi, m, m_size
        self.scale = np.ones(w.shape[0], m.dtype) if scale is None else scale
        self.raw, raw_size = m @ w.T, m_size @ np.abs(w).T
        self.pre = self.raw * self.scale + (0 if shift is None else shift)
        self.pre_size = raw_size * np.abs(self.scale) + (0 if shift is None else np.abs(shift))
        self.raw_size = raw_size
        self.g = activate(self.pre, phi)[0]
        self.g_size = np.abs(self.g) + np.abs(slope(self.pre, phi)) * self.pre_size

    def back(self, dg: Array, dg_size: Array) -> dict[str, tuple[Array, Array]]:
        by = slope(self.pre, self.phi)
        bend = 0.1 * self.pre_size if self.phi == "sigmoid" else 0  # |sigmoid''| <= 0.1
        d, d_size = dg * by, dg_size * np.abs(by) + np.abs(dg) * bend
        du, du_size = d * self.scale, d_size * np.abs(self.scale)
        return {
            "w": (du.T @ self.m, du_size.T @ self.m_size),
            "scale": ((d * self.raw).sum(0), (d_size * self.raw_size).sum(0)),
            "shift": (d.sum(0), d_size.sum(0)),
            "m": (du @ self.w, du_size @ np.abs(self.w)),
        }


def _taps_matrix(w: Array, c: int) -> Array:
    matrix = np.zeros((c, c), w.dtype)
    for t, value in enumerate(w):
        shift = t - len(w) // 2
        if abs(shift) < c:
            matrix += np.diag(np.full(c - abs(shift), value), shift)
    return matrix


def _taps_back(dw: Array, n_taps: int) -> Array:
    return np.array([np.trace(dw, t - n_taps // 2) for t in range(n_taps)])


def channel_gate(
    x: Array, weights: Sequence[Array | None], dy: Array | None = None, *, kind: str
) -> dict[str, Result]:
    """x (N, C, P). The gradients of the weights are "dweights.0", "dweights.1", ..."""
    n, c, p = x.shape
    w = [np.zeros(0) if v is None else v for v in weights]
    mean, mean_size = (v.sum(2) / max(p, 1) for v in (x, np.abs(x)))
    centred = x - mean[..., None]
    m, m_size = mean, mean_size
    if kind == "mean_std":
        with np.errstate(all="ignore"):
            deviation = np.sqrt((centred**2).sum(2) / np.asarray(p - 1, x.dtype))
        m = np.stack([mean, deviation], -1).reshape(n, 2 * c)
        m_size = np.stack([mean_size, deviation + mean_size], -1).reshape(n, 2 * c)
        layers = [_Layer(w[0].reshape(c, 2 * c), *weights[1:], "hardsigmoid", m, m_size)]
        names = [("w",), ("scale",), ("shift",)]
    elif kind == "se":
        first = _Layer(w[0], None, weights[1], "relu", m, m_size)
        layers = [first, _Layer(w[2], None, weights[3], "sigmoid", first.g, first.g_size)]
        names = [("w", 0), ("shift", 0), ("w", 1), ("shift", 1)]
    else:
        matrix = _taps_matrix(w[0], c) if kind == "eca" else w[0]
        shift = None if kind == "eca" else weights[1]
        layers = [_Layer(matrix, None, shift, "sigmoid", m, m_size)]
        names = [("w",), ("shift",)]
    g, g_size = (v[..., None] for v in (layers[-1].g, layers[-1].g_size))
    terms = p + 3 * c + 25
    if dy is None:
        return {"y": Result(x * g, np.abs(x) * g_size, terms)}
    dm, dm_size = (dy * x).sum(2), np.abs(dy * x).sum(2)
    backs: list[dict[str, tuple[Array, Array]]] = []
    for layer in reversed(layers):
        backs.insert(0, layer.back(dm, dm_size))
        dm, dm_size = backs[0]["m"]
    dx, dx_size = dy * g, np.abs(dy) * g_size
    if kind == "mean_std":
        dm, ddev = (dm.reshape(n, c, 2)[..., i] for i in range(2))
        dm_size, ddev_size = (dm_size.reshape(n, c, 2)[..., i] for i in range(2))
        with np.errstate(all="ignore"):
            factor = np.where(deviation == 0, 0, 1 / ((p - 1) * deviation))[..., None]
        dx = dx + centred * factor * ddev[..., None]
        size = np.abs(centred) + 2 * mean_size[..., None]
        dx_size = dx_size + size * factor * ddev_size[..., None]
    results = {
        "dx": Result(dx + dm[..., None] / p, dx_size + dm_size[..., None] / p, 2 * terms + n),
    }
    for i, (name, *at) in enumerate(names):
        if i >= len(weights) or weights[i] is None:
            continue
        value, size = backs[at[0] if at else 0][name]
        if kind == "eca":
            value, size = (_taps_back(v, len(w[0])) for v in (value, size))
        elif name == "w":
            value, size = (v.reshape(w[i].shape) for v in (value, size))
        results[f"dweights.{i}"] = Result(value, size, 2 * terms + n)
    return results
