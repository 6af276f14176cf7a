"""The tools around attention by NumPy formulas, with the magnitudes that bound rounding.

Arrays come in the width that sums are made in; heads are first. The functions on tokens are rows of
a matrix of weights times x, so that their gradients are its transpose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle import Array, Result


def _weighted_rows(rows: Array, x: Array) -> Result:
    """rows (..., M, N) times x (..., N, D)"""
    terms = int(np.count_nonzero(rows, axis=-1).max(initial=1))
    return Result(rows @ x, np.abs(rows) @ np.abs(x), max(terms, 1))


def one_hot(idx: Array, n: int, lead: tuple[int, ...], like: Array) -> Array:
    """(..., M, N): row m has a one at idx[..., m]."""
    rows = (idx[..., None] == np.arange(n)).astype(like.dtype)
    return np.broadcast_to(rows, (*lead, *rows.shape[-2:]))


def take(x: Array, idx: Array) -> Result:
    return _weighted_rows(one_hot(idx, x.shape[-2], x.shape[:-2], x), x)


def put(y: Array, idx: Array, n: int) -> Result:
    return _weighted_rows(one_hot(idx, n, y.shape[:-2], y).swapaxes(-1, -2), y)


def pack_order(x: Array) -> Array:
    """(B, ..., N, D) as (..., B N, D)."""
    x = x[None] if x.ndim == 2 else x
    moved = np.moveaxis(x, 0, -3)
    return moved.reshape(*moved.shape[:-3], -1, x.shape[-1])


def unpack_order(y: Array, shape: tuple[int, ...]) -> Array:
    full = shape if len(shape) > 2 else (1, *shape)
    split = y.reshape(*y.shape[:-2], full[0], full[-2], full[-1])
    return np.moveaxis(split, -3, 0).reshape(shape)


def cell_rows(
    grid: Sequence[int], factor: Sequence[int], mode: str, like: Array, weights: Array | None = None
) -> Array:
    """(..., cells, tokens): what each token counts in each cell."""
    n_cells = [-(-n // f) for n, f in zip(grid, factor, strict=True)]
    rows = np.zeros((math.prod(n_cells), math.prod(grid)), like.dtype)
    for row, cell in zip(rows, np.ndindex(*n_cells), strict=True):
        box = row.reshape(grid)  # a view
        bounds = [(c * f, min((c + 1) * f, n)) for c, f, n in zip(cell, factor, grid, strict=True)]
        if mode.startswith("nearest"):
            shift = [f // 2 if mode == "nearest_exact" else 0 for f in factor]
            at = [min(b + s, n - 1) for (b, _), s, n in zip(bounds, shift, grid, strict=True)]
            box[tuple(at)] = 1
        else:
            count = math.prod(e - b for b, e in bounds) if mode == "mean" else 1
            box[tuple(slice(b, e) for b, e in bounds)] = np.asarray(1, like.dtype) / count
    return rows if weights is None else rows * weights[..., None, :]


def pool(x: Array, rows: Array, mode: str) -> Result:
    if mode != "max":
        return _weighted_rows(rows, x)
    cells = [x[..., row > 0, :].max(-2) for row in rows]
    value = np.stack(cells, -2) if cells else np.zeros((*x.shape[:-2], 0, x.shape[-1]), x.dtype)
    return Result(value, np.abs(value), 1)


def pool_grad(dy: Array, x: Array, rows: Array, mode: str) -> Result:
    if mode != "max":
        return _weighted_rows(np.asarray(rows).swapaxes(-1, -2), dy)
    dx = np.zeros(x.shape, x.dtype)
    for cell, row in enumerate(rows):
        tokens = np.flatnonzero(row)
        first = tokens[np.argmax(x[..., tokens, :], axis=-2)]
        np.put_along_axis(dx, first[..., None, :], dy[..., cell : cell + 1, :], axis=-2)
    return Result(dx, np.abs(dx), 1)


def pool_weight_grad(dy: Array, x: Array, rows: Array, shape: tuple[int, ...]) -> Result:
    """Summed to `shape`, whose last axis is the tokens."""
    back = (rows > 0).astype(x.dtype).T
    full, size = ((f(back @ dy) * f(x)).sum(-1) for f in (lambda a: a, np.abs))
    wide = (1,) * (full.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, n in enumerate(wide) if n == 1 and full.shape[i] != 1)
    terms = x.shape[-1] * math.prod(full.shape[i] for i in axes)
    return Result(full.sum(axes).reshape(shape), size.sum(axes).reshape(shape), max(terms, 1))


def places(grid: tuple[int, ...], factor: tuple[int, ...]) -> Array:
    """The place of each token in its cell, in the order of the tokens."""
    own = [tuple(i % f for i, f in zip(at, factor, strict=True)) for at in np.ndindex(*grid)]
    return np.array([np.ravel_multi_index(at, factor) for at in own])


def sum_places(found: Result, places: Array, n: int) -> Result:
    """Of a result per token, the sums over the tokens that have a place in common."""
    value, size = (
        np.stack([a[..., places == p].sum(-1) for p in range(n)], -1)
        for a in (found.value, found.magnitude)
    )
    return Result(value, size, found.terms * int(np.bincount(places).max()))


def merge(os: Sequence[Array], lses: Sequence[Array]) -> tuple[Result, Array, list[Array]]:
    """o, lse and the weights of the parts."""
    stacked = np.stack(lses)
    with np.errstate(divide="ignore", invalid="ignore"):
        top = stacked.max(0)
        sums = np.where(np.isneginf(stacked), 0, np.exp(stacked - top))
        lse = np.where(np.isneginf(top), top, top + np.log(sums.sum(0)))
        weights = np.where(np.isneginf(top), 0, sums / sums.sum(0))
    parts = [
        np.where(w[..., None] == 0, 0, w[..., None] * o) for w, o in zip(weights, os, strict=True)
    ]
    size = np.sum([np.abs(p) for p in parts], axis=0)
    return Result(np.sum(parts, axis=0), 4 * size, len(os)), lse, list(weights)


def merge_grad(
    do: Array, dlse: Array | None, os: Sequence[Array], lses: Sequence[Array]
) -> list[tuple[Result, Result]]:
    _, _, weights = merge(os, lses)
    dots, sizes = [], []
    for w, o in zip(weights, os, strict=True):
        seen = np.where(w[..., None] == 0, 0, o)
        dots.append((do * seen).sum(-1))
        sizes.append(np.abs(do * seen).sum(-1))
    mean, size = (sum(w * d for w, d in zip(weights, v, strict=True)) for v in (dots, sizes))
    extra = 0 if dlse is None else dlse
    found = []
    for w, dot, dot_size in zip(weights, dots, sizes, strict=True):
        of_o = w[..., None] * do
        of_lse = w * (dot - mean + extra)
        bound = 4 * w * (dot_size + size + np.abs(extra))
        found.append(
            (Result(of_o, 4 * np.abs(of_o), 1), Result(of_lse, bound, do.shape[-1] + len(os)))
        )
    return found


class Linear:
    """Linear attention of q (B, H, N, D), k and v (B, H_kv, M, ...) and its gradients."""

    def __init__(
        self,
        q: Array,
        k: Array,
        v: Array,
        *,
        softmax: bool = True,
        causal: bool = False,
        scale: float | None = None,
    ) -> None:
        self.group = q.shape[1] // k.shape[1] if k.shape[1] else 1
        self.q, self.v, self.softmax = q, self._repeat(v), softmax
        keys = k
        if softmax and k.shape[2]:
            keys = np.exp(k - k.max(2, keepdims=True))
            keys = keys / keys.sum(2, keepdims=True)
        self.one_keys, self.keys = keys, self._repeat(keys)
        self.scale = q.shape[-1] ** -0.5 if scale is None else scale
        n, m = q.shape[2], k.shape[2]
        self.seen = np.tril(np.ones((n, m), q.dtype), m - n) if causal else np.ones((n, m), q.dtype)
        self.terms = max(n, m) * self.group + q.shape[-1] + v.shape[-1]

    def _repeat(self, x: Array) -> Array:
        return np.repeat(x, self.group, axis=1)

    def _sum_groups(self, x: Array) -> Array:
        return x.reshape(x.shape[0], x.shape[1] // self.group, self.group, *x.shape[2:]).sum(2)

    def _pairs(self, a: Array, b: Array) -> Array:
        return (a @ b.swapaxes(2, 3)) * self.seen * self.scale

    def forward(self) -> Result:
        parts = [self._pairs(f(self.q), f(self.keys)) @ f(self.v) for f in (lambda a: a, np.abs)]
        return Result(parts[0], 4 * np.abs(parts[1]), self.terms)

    def gradients(self, do: Array) -> dict[str, Result]:
        found = []
        for f in (lambda a: a, np.abs):
            of_v, of_k = (
                self._pairs(f(self.q), f(self.keys)),
                self._pairs(f(do), f(self.v)),
            )
            dq = of_k @ f(self.keys)
            dk = self._sum_groups(of_k.swapaxes(2, 3) @ f(self.q))
            dv = self._sum_groups(of_v.swapaxes(2, 3) @ f(do))
            if self.softmax:
                mean = (self.one_keys * dk).sum(2, keepdims=True)
                dk = self.one_keys * (dk + mean if f is np.abs else dk - mean)
            found.append((dq, dk, dv))
        names = ("dq", "dk", "dv")
        return {
            name: Result(value, 4 * np.abs(size), self.terms)
            for name, value, size in zip(names, *found, strict=True)
        }


def block_scores(q: Array, k: Array, block: tuple[int, int], scale: float | None) -> Array:
    """(B, H, n_q, n_k) in float32; NaN is -inf."""

    def means(x: Array, size: int) -> Array:
        cuts = range(0, x.shape[2], size)
        return np.stack([x[:, :, i : i + size].mean(2) for i in cuts], 2)

    keys = np.repeat(means(k, block[1]), q.shape[1] // k.shape[1], axis=1)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    scores = (means(q, block[0]) @ keys.swapaxes(2, 3) * factor).astype(np.float32)
    return np.where(np.isnan(scores), -np.inf, scores)


def choose(scores: Array, candidates: Array, forced: Array, **options: Any) -> Array:
    """(n_k,) the level of each block of one row, 0 where it is not kept."""
    listed = [j for j in np.flatnonzero(candidates)]
    order = sorted(listed, key=lambda j: (-scores[j], j))
    ranked = scores[order].astype(np.float64)
    best = ranked.max(initial=-np.inf)
    with np.errstate(invalid="ignore"):
        share = np.where(ranked == best, 1, np.exp(ranked - best))
    share = share / share.sum() if len(order) else share
    top_p, levels = options.get("top_p"), options.get("levels")
    kept = np.zeros(scores.shape, int)
    for rank, j in enumerate(order):
        before = share[:rank].sum()
        if rank >= options.get("top_k", len(order)):
            continue
        if top_p is not None and top_p < 1 and before >= top_p:
            continue
        if share[rank] < options.get("threshold", 0):
            continue
        place = rank / len(order) if top_p is None else before
        fits = [p for p, (a, b) in levels.items() if a <= place < b] if levels else [1]
        kept[j] = fits[0] if fits else 0
    kept[forced] = 1
    return kept
