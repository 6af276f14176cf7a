"""Attention by dense NumPy formulas over the mask that a pattern gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracle import Array, Result
from swath import patterns as P


def flat_tokens(x: Array, layout: str) -> Array:
    """(B, H, N, D)"""
    if layout == "heads_last":
        x = np.moveaxis(x, -2, 1)
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:-1]), x.shape[-1])


def _pooled(x: Array, level: int) -> tuple[Array, Array]:
    """Means of `level` rows each, and how many rows each has."""
    starts = np.arange(0, x.shape[0], level)
    counts = np.minimum(level, x.shape[0] - starts)
    return np.add.reduceat(x, starts, axis=0) / counts[:, None], counts


def _rows_of_levels(pattern: Any, k: Array, v: Array, b: int, h: int, block: int) -> Any:
    """Keys, values and multiplicities that one block of queries sees."""
    bk, p = pattern.block[1], pattern.n_prefix
    rows = [(k[:p], v[:p], np.ones(p))]
    index, counts, levels = (
        np.asarray(x) for x in (pattern.indices, pattern.counts, pattern.levels)
    )
    b, h = min(b, index.shape[0] - 1), min(h, index.shape[1] - 1)
    for i in range(counts[b, h, block]):
        at, level = p + index[b, h, block, i] * bk, int(levels[b, h, block, i])
        keys, n = _pooled(k[at : min(at + bk, len(k))], level)
        values, _ = _pooled(v[at : min(at + bk, len(k))], level)
        rows.append((keys, values, n))
    return tuple(np.concatenate([r[i] for r in rows]) for i in range(3))


def table_bias(table: Any, pattern: Any, n: int, shape: tuple[int, ...]) -> Array:
    """The bias of every pair; of windows and dilated neighbourhoods by their own places."""
    pattern = P.Dense() if pattern is None else pattern
    grid = pattern.grid or shape
    axes = len(grid)
    values = np.asarray(table.table).astype(np.longdouble)
    at = np.stack(np.unravel_index(np.arange(n - pattern.n_prefix), grid), -1)
    delta = at[None] - at[:, None]
    for a in range(axes):
        if pattern.kind == "window":
            shift = pattern.shift if isinstance(pattern.shift, int) else pattern.shift[a]
            rolled = (at[:, a] - shift) % grid[a]
            delta[..., a] = rolled[None] - rolled[:, None]
        elif pattern.kind == "neighborhood":
            d = pattern.dilation if isinstance(pattern.dilation, int) else pattern.dilation[a]
            place = at[:, a] // d
            delta[..., a] = place[None] - place[:, None]
            causal = pattern.causal if isinstance(pattern.causal, bool) else pattern.causal[a]
            if pattern.border == "wrap" and not causal:
                length, k = grid[a] // d, (values.shape[1 + a] + 1) // 2
                s = pattern.stride if isinstance(pattern.stride, int) else pattern.stride[a]
                first = np.minimum(place // s * s + s // 2, length - 1) - k // 2
                delta[..., a] = (place[None] - first[:, None]) % length + (first - place)[:, None]
    if table.order == "query_minus_key":
        delta = -delta
    index = delta + np.array(values.shape[1:]) // 2
    inside = ((index >= 0) & (index < values.shape[1:])).all(-1)
    index = np.where(inside[..., None], index, 0)
    bias = np.zeros((len(values), n, n), np.longdouble)
    p = pattern.n_prefix
    bias[:, p:, p:] = np.where(inside, values[(slice(None), *np.moveaxis(index, -1, 0))], 0)
    return bias


def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    pattern: Any = None,
    causal: bool = False,
    scale: float | None = None,
    bias: Any = None,
    bias_lowrank: Any = None,
    key_bias: Any = None,
    key_mask: Any = None,
    softcap: float | None = None,
    sink: Any = None,
    extra_kv: Any = (),
    layout: str = "heads_first",
    wide: Any = np.float64,
) -> tuple[Result, Result]:
    """(o, lse), tokens flattened, heads first."""
    shape = q.shape[2:-1] if layout == "heads_first" else q.shape[1:-2]
    q, k, v = (flat_tokens(np.asarray(x).astype(wide), layout) for x in (q, k, v))
    n_b, n_h, n_q, d = q.shape
    n_k, group = k.shape[2], n_h // max(k.shape[1], 1)
    factor = d**-0.5 if scale is None else scale
    n_prefix = (
        0
        if pattern is None
        else max(
            [
                m.n_prefix + getattr(m, "n_shared", 0)
                for m in getattr(pattern, "members", (pattern,))
            ]
        )
    )
    seen = np.ones((1, 1, n_q, n_k), bool) if pattern is None else _mask(pattern, n_q, n_k, shape)
    if causal:
        seen = seen & _causal(pattern, n_q, n_k, n_prefix)
    if key_mask is not None:
        seen = seen & np.asarray(key_mask)[:, None, None, :]
    o = np.zeros((n_b, n_h, n_q, v.shape[-1]), wide)
    o_size, lse = np.zeros_like(o), np.full((n_b, n_h, n_q), -np.inf, wide)
    lse_size = np.ones_like(lse)
    added = np.zeros((1, 1, 1, 1), wide)
    if bias is not None and hasattr(bias, "order"):
        added = added + table_bias(bias, pattern, n_q, shape)[None]
    elif bias is not None:
        added = added + np.asarray(bias).astype(wide)
    if bias_lowrank is not None:
        a, low = (np.asarray(x).astype(wide) for x in bias_lowrank)
        added = added + a @ np.swapaxes(low, -1, -2)
    if key_bias is not None:
        added = added + np.asarray(key_bias).astype(wide)[:, None, None, :]
    if getattr(pattern, "mask_value", -math.inf) != -math.inf:
        added = added + with_grid(pattern, shape).to_bias(n_q)
    added = np.broadcast_to(added, (n_b, n_h, n_q, n_k))
    seen = np.broadcast_to(seen, (n_b, n_h, n_q, n_k))
    extras = [
        (flat_tokens(np.asarray(e[0]).astype(wide), layout),
         flat_tokens(np.asarray(e[1]).astype(wide), layout), np.asarray(e[2]).astype(wide), e[3])
        for e in extra_kv or ()
    ]  # fmt: skip
    has_levels = getattr(pattern, "levels", None) is not None
    for b in range(n_b):
        for h in range(n_h):
            rows = [(q[b, h], k[b, h // group], v[b, h // group], added[b, h], seen[b, h])]
            if has_levels:
                rows = list(_level_rows(pattern, q, k, v, b, h, group))
            results = []
            for queries, keys, values, more, allowed in rows:
                first = 0 if not has_levels else sum(len(r[0]) for r in results)
                for ek, ev, weight, who in extras:
                    w = np.broadcast_to(weight, (n_b, ek.shape[2]))[b]
                    to_all = np.ones((len(queries), ek.shape[2]), bool)
                    if who == "grid":
                        to_all[: max(0, n_prefix - first)] = False
                    keys = np.concatenate([keys, ek[b, h // group]])
                    values = np.concatenate([values, ev[b, h // group]])
                    more = np.concatenate([more, np.tile(w, (len(queries), 1))], 1)
                    allowed = np.concatenate([allowed, to_all], 1)
                z = None if sink is None else wide(np.asarray(sink)[h])
                results.append(_rows(queries, keys, values, more, allowed, factor, softcap, z))
            o[b, h], o_size[b, h], lse[b, h], lse_size[b, h] = (
                np.concatenate([r[i] for r in results]) if results else 0 for i in range(4)
            )
    terms = d + n_k + 40
    return Result(o, o_size, terms), Result(lse, lse_size, terms)


def _level_rows(pattern: Any, q: Array, k: Array, v: Array, b: int, h: int, group: int) -> Any:
    n_q, p, bq = q.shape[2], pattern.n_prefix, pattern.block[0]
    if p:
        yield (
            q[b, h, :p],
            k[b, h // group],
            v[b, h // group],
            np.zeros((p, k.shape[2])),
            np.ones((p, k.shape[2]), bool),
        )
    for block, first in enumerate(range(p, n_q, bq)):
        queries = q[b, h, first : min(first + bq, n_q)]
        keys, values, n = _rows_of_levels(pattern, k[b, h // group], v[b, h // group], b, h, block)
        shape = (len(queries), len(keys))
        yield queries, keys, values, np.broadcast_to(np.log(n), shape), np.ones(shape, bool)


def _mask(pattern: Any, n_q: int, n_k: int, shape: tuple[int, ...]) -> Array:
    mask = with_grid(pattern, shape).to_mask(n_q, n_k)
    return mask.reshape((1,) * (4 - mask.ndim) + mask.shape)


def with_grid(pattern: Any, shape: tuple[int, ...]) -> Any:
    """The pattern with the token axes as its grid where it has none."""
    grids = ("neighborhood", "disk", "window", "halo")
    if pattern.kind == "union":
        return type(pattern)([with_grid(m, shape) for m in pattern.members])
    if pattern.kind not in grids or pattern.grid is not None or pattern.n_prefix:
        return pattern
    return type(pattern)(**{**pattern._options(), "grid": shape, "n_prefix": 0})


def _causal(pattern: Any, n_q: int, n_k: int, n_prefix: int) -> Array:
    i, j = np.arange(n_q)[:, None], np.arange(n_k)[None, :]
    if pattern is not None and pattern.kind == "varlen":
        cu_q, cu_k = (np.asarray(c) + pattern.n_prefix for c in (pattern.cu_q, pattern.cu_k))
        segment = np.clip(np.searchsorted(cu_q, i, "right") - 1, 0, max(len(cu_q) - 2, 0))
        end_q, end_k = (
            cu_q[np.minimum(segment + 1, len(cu_q) - 1)],
            cu_k[np.minimum(segment + 1, len(cu_k) - 1)],
        )
        before = j <= i + end_k - end_q
    else:
        before = j <= i + n_k - n_q
    return np.asarray(before | (i < n_prefix) | (j < n_prefix))


def _rows(
    q: Array, k: Array, v: Array, added: Array, seen: Array, scale: float, cap: Any, sink: Any
) -> tuple[Array, Array, Array, Array]:
    with np.errstate(all="ignore"):
        z = scale * (q @ k.T)
        size = abs(scale) * (np.abs(q) @ np.abs(k).T) + np.abs(added) + 1
        if cap is not None:
            z = cap * np.tanh(z / cap)
        s = np.where(seen, z + added, -np.inf)
        n = len(q)
        most = s.max(1, initial=-np.inf)
        if sink is not None:
            most = np.maximum(most, sink)
        shift = np.where(most == -np.inf, 0, most)[:, None]
        e = np.where(s == -np.inf, 0, np.exp(s - shift))
        total = e.sum(1) + (0 if sink is None else np.exp(sink - shift[:, 0]))
        weight = np.where(total[:, None] == 0, 0, e / np.where(total == 0, 1, total)[:, None])
        nan_free = np.where(np.isfinite(v), v, 0)
        o = weight @ nan_free
        for bad in np.nonzero(~np.isfinite(v).all(1))[0]:
            w = weight[:, bad : bad + 1]
            o += np.where(w == 0, 0, w * (v[bad] - nan_free[bad]))
        size = np.where(np.isfinite(size), size, 0)
        o_size = (weight * size) @ np.abs(nan_free) + (weight * size).sum(1)[:, None] * (
            weight @ np.abs(nan_free)
        )
        lse = np.where(total == 0, -np.inf, shift[:, 0] + np.log(np.where(total == 0, 1, total)))
        lse_size = (weight * size).sum(1) + np.abs(np.where(np.isfinite(lse), lse, 0)) + 1
    assert o.shape[0] == n
    return o, o_size, lse, lse_size
