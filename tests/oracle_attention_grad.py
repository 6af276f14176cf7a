"""Gradients of attention by dense NumPy formulas over the mask that a pattern gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracle import Array, Result
from oracle_attention import _causal, _mask, flat_tokens, table_bias, with_grid
from swath import patterns as P


class Sums:
    """A gradient and the sum of the magnitudes of its terms."""

    def __init__(self, like: Array, wide: Any) -> None:
        self.value = np.zeros(like.shape, wide)
        self.size = np.zeros(like.shape, wide)

    def add(self, at: Any, value: Array, size: Array) -> None:
        self.value[at] += value
        self.size[at] += size


def _pool(pattern: Any, n_k: int, b: int, h: int, i: int) -> tuple[Array, Array]:
    """The means that query i sees as rows of a matrix over the keys, and their multiplicities."""
    p, (bq, bk) = pattern.n_prefix, pattern.block
    if i < p:
        return np.eye(n_k), np.ones(n_k)
    rows = [np.eye(n_k)[:p]]
    counts = [np.ones(p)]
    index, n, levels = (np.asarray(x) for x in (pattern.indices, pattern.counts, pattern.levels))
    b, h, row = min(b, index.shape[0] - 1), min(h, index.shape[1] - 1), (i - p) // bq
    for e in range(n[b, h, row]):
        begin, level = p + index[b, h, row, e] * bk, int(levels[b, h, row, e])
        end = min(begin + bk, n_k)
        for at in range(begin, end, level):
            one = np.zeros((1, n_k))
            one[0, at : min(at + level, end)] = 1 / (min(at + level, end) - at)
            rows.append(one)
            counts.append(np.array([min(at + level, end) - at], float))
    return np.concatenate(rows), np.concatenate(counts)


def _reduce(x: Array, shape: tuple[int, ...]) -> Array:
    """Sums over the axes along which `shape` was broadcast."""
    x = x.reshape((1,) * (4 - x.ndim) + x.shape)
    full = (1,) * (4 - len(shape)) + tuple(shape)
    axes = tuple(i for i in range(4) if full[i] == 1 and x.shape[i] != 1)
    return x.sum(axes, keepdims=True).reshape(shape)


def _table_numbers(bias: Any, pattern: Any, n: int, shape: tuple[int, ...]) -> Array:
    """The entry of the table of every pair, counted from 1; 0: none."""
    sizes = np.shape(bias.table)[1:]
    numbered = np.arange(1, math.prod(sizes) + 1).reshape(1, *sizes)
    table = P.RelativeTable(numbered, bias.order)
    return table_bias(table, pattern, n, shape)[0].astype(int)


def attention(
    do: Array,
    q: Array,
    k: Array,
    v: Array,
    o: Array,
    lse: Array,
    *,
    dlse: Any = None,
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
) -> dict[str, Result]:
    """All gradients, tokens flattened, heads first."""
    shape = q.shape[2:-1] if layout == "heads_first" else q.shape[1:-2]
    q, k, v, do, o = (flat_tokens(np.asarray(x).astype(wide), layout) for x in (q, k, v, do, o))

    def per_query(x: Any) -> Array:
        return flat_tokens(np.asarray(x).astype(wide)[..., None], layout)[..., 0]

    lse = per_query(lse)
    minus = np.zeros_like(lse) if dlse is None else per_query(dlse)
    n_b, n_h, n_q, d = q.shape
    n_k, group = k.shape[2], n_h // max(k.shape[1], 1)
    factor = wide(d**-0.5 if scale is None else scale)
    members = getattr(pattern, "members", (pattern,))
    n_prefix = max(0 if m is None else m.n_prefix + getattr(m, "n_shared", 0) for m in members)
    seen = np.ones((1, 1, n_q, n_k), bool) if pattern is None else _mask(pattern, n_q, n_k, shape)
    if causal:
        seen = seen & _causal(pattern, n_q, n_k, n_prefix)
    if key_mask is not None:
        seen = seen & np.asarray(key_mask)[:, None, None, :]
    added = np.zeros((1, 1, 1, 1), wide)
    numbers = None
    if bias is not None and hasattr(bias, "order"):
        numbers = _table_numbers(bias, pattern, n_q, shape)
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
    has_levels = getattr(pattern, "levels", None) is not None
    extras = [(flat_tokens(np.asarray(e[0]).astype(wide), layout),
               flat_tokens(np.asarray(e[1]).astype(wide), layout),
               np.asarray(e[2]).astype(wide), e[3]) for e in extra_kv or ()]  # fmt: skip
    dq, dk, dv = Sums(q, wide), Sums(k, wide), Sums(v, wide)
    pairs = Sums(np.zeros((n_b, n_h, n_q, n_k)), wide)
    dextra = [(Sums(e[0], wide), Sums(e[1], wide), Sums(np.zeros((n_b, e[0].shape[2])), wide))
              for e in extras]  # fmt: skip
    dsink = Sums(np.zeros(n_h), wide)

    def one(b: int, h: int, i: Any, keys: Array, values: Array, more: Array, on: Array) -> Any:
        """Of queries i: P, dS, dZ and their sizes."""
        z = factor * (q[b, h, i] @ keys.T)
        z_size = abs(factor) * (np.abs(q[b, h, i]) @ np.abs(keys).T)
        if softcap is not None:
            z = softcap * np.tanh(z / softcap)
        s = np.where(on, z + more, -np.inf)
        at = np.where(np.isneginf(lse[b, h, i]), 0, lse[b, h, i])[:, None]
        p = np.where(np.isneginf(s), 0, np.exp(np.where(np.isneginf(s), 0, s - at)))
        delta = (do[b, h, i] * o[b, h, i]).sum(-1) - minus[b, h, i]
        delta_size = (np.abs(do[b, h, i] * o[b, h, i])).sum(-1) + np.abs(minus[b, h, i])
        ds = p * (do[b, h, i] @ values.T - delta[:, None])
        width = 1 + z_size + np.abs(more) + np.abs(at)
        p_size = p * width
        ds_size = p_size * (np.abs(do[b, h, i]) @ np.abs(values).T + delta_size[:, None])
        cap = 1.0 if softcap is None else 1 - (z / softcap) ** 2
        grow = 1.0 if softcap is None else 1 + z_size / softcap
        return p, ds, ds * cap, p_size, ds_size, ds_size * grow

    for b in range(n_b):
        for h in range(n_h):
            rows = [slice(None)] if not has_levels else [slice(i, i + 1) for i in range(n_q)]
            for i in rows:
                hk = h // group
                keys, values, more, on = k[b, hk], v[b, hk], added[b, h, i], seen[b, h, i]
                pool = None
                if has_levels:
                    pool, counts = _pool(pattern, n_k, b, h, i.start)
                    keys, values = pool @ keys, pool @ values
                    more, on = np.log(counts)[None], np.ones((1, len(counts)), bool)
                parts = [(keys, values, more, on)]
                n_here = q[b, h, i].shape[0]
                for ek, ev, weight, who in extras:
                    w = np.broadcast_to(weight, (n_b, ek.shape[2]))[b]
                    to_all = np.ones((n_here, ek.shape[2]), bool)
                    first = i.start or 0
                    if who == "grid":
                        to_all[: max(0, n_prefix - first)] = False
                    parts.append((ek[b, hk], ev[b, hk], np.tile(w, (n_here, 1)), to_all))
                for number, part in enumerate(parts):
                    p, ds, dz, p_size, ds_size, dz_size = one(b, h, i, *part)
                    dq.add((b, h, i), factor * dz @ part[0],
                           abs(factor) * dz_size @ np.abs(part[0]))  # fmt: skip
                    gk = factor * dz.T @ q[b, h, i]
                    gk_size = abs(factor) * dz_size.T @ np.abs(q[b, h, i])
                    gv, gv_size = p.T @ do[b, h, i], p_size.T @ np.abs(do[b, h, i])
                    if number > 0:
                        sums = dextra[number - 1]
                        sums[0].add((b, hk), gk, gk_size)
                        sums[1].add((b, hk), gv, gv_size)
                        sums[2].add(b, ds.sum(0), ds_size.sum(0))
                        continue
                    if pool is not None:
                        gk, gk_size, gv, gv_size = (pool.T @ x for x in (gk, gk_size, gv, gv_size))
                    else:
                        pairs.add((b, h, i), ds, ds_size)
                    dk.add((b, hk), gk, gk_size)
                    dv.add((b, hk), gv, gv_size)
            if sink is not None:
                z = wide(np.asarray(sink)[h])
                finite = ~np.isneginf(lse[b, h])
                share = np.where(finite, np.exp(z - np.where(finite, lse[b, h], 0)), 0)
                delta = (do[b, h] * o[b, h]).sum(-1) - minus[b, h]
                size = np.abs(do[b, h] * o[b, h]).sum(-1) + np.abs(minus[b, h])
                grow = 1 + abs(z) + np.abs(np.where(finite, lse[b, h], 0))
                dsink.add(h, -(share * delta).sum(), (share * grow * size).sum())

    terms = d + v.shape[-1] + n_k + n_q * n_h + 60
    found: dict[str, Result] = {}

    def put(name: str, value: Array, size: Array) -> None:
        found[name] = Result(value, size, terms)

    for name, sums in (("dq", dq), ("dk", dk), ("dv", dv)):
        put(name, sums.value, sums.size)
    if numbers is not None:
        n = math.prod(np.shape(bias.table)[1:])
        total = [np.stack([
            np.bincount(numbers.ravel(), x[:, h].sum(0).ravel().astype(float), n + 1)[1:]
            for h in range(n_h)]) for x in (pairs.value, pairs.size)]  # fmt: skip
        if len(bias.table) == 1:
            total = [x.sum(0, keepdims=True) for x in total]
        put("dbias", total[0].reshape(bias.table.shape), total[1].reshape(bias.table.shape))
    elif bias is not None:
        put("dbias", _reduce(pairs.value, bias.shape), _reduce(pairs.size, bias.shape))
    if bias_lowrank is not None:
        put("da", _reduce(pairs.value @ low, a.shape), _reduce(pairs.size @ np.abs(low), a.shape))
        back = [np.swapaxes(x, -1, -2) for x in (pairs.value, pairs.size)]
        put("db", _reduce(back[0] @ a, low.shape), _reduce(back[1] @ np.abs(a), low.shape))
    if key_bias is not None:
        full = (len(key_bias), 1, 1, n_k)
        put("dkey_bias", _reduce(pairs.value, full)[:, 0, 0], _reduce(pairs.size, full)[:, 0, 0])
    if sink is not None:
        put("dsink", dsink.value, dsink.size)
    for number, (sums, given) in enumerate(zip(dextra, extras, strict=True)):
        put(f"dk{number}", sums[0].value, sums[0].size)
        put(f"dv{number}", sums[1].value, sums[1].size)
        if given[2].ndim:
            axes = (0,) if len(given[2]) == 1 else ()
            put(f"dw{number}", sums[2].value.sum(axes, keepdims=True),
                sums[2].size.sum(axes, keepdims=True))  # fmt: skip
    return found
