"""Random calls of attention, legal ones, against the dense formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import oracle_attention
import swath
from cases.case import DTYPES, numpy_dtype
from oracle import Array
from swath import patterns as P

KINDS = (
    "none", "dense", "causal", "window1d", "neighborhood", "neighborhood", "disk", "window",
    "halo", "blocks", "segments", "grouped", "varlen", "mask", "union",
)  # fmt: skip
ON_GRID = ("neighborhood", "disk", "window", "halo")


class Draw:
    """One call. `tokens` is a grid; with a prefix or other keys q has one axis of tokens."""

    def __init__(self, seed: int) -> None:
        self.rng = r = np.random.default_rng(seed)
        axes = int(r.choice([1, 1, 2, 2, 3]))
        most = {1: 60, 2: 10, 3: 5}[axes]
        self.grid = tuple(int(n) for n in r.integers(1, most, axes))
        self.prefix = self.integer(0, 4) if r.random() < 0.3 else 0
        self.kind = str(r.choice(KINDS))
        n = math.prod(self.grid)
        is_grid = self.kind in ON_GRID
        self.n_q = n + self.prefix if is_grid else n
        self.n_k = self.n_q
        if self.kind in ("none", "dense", "causal", "window1d") and r.random() < 0.5:
            self.n_k = self.integer(0, 60)
        if not is_grid and min(self.n_q, self.n_k) < self.prefix:
            self.prefix = 0
        self.pattern = self._pattern()
        is_flat = self.n_k != self.n_q or (is_grid and self.prefix > 0)
        self.q_tokens = (self.n_q,) if is_flat else self.grid
        self.k_tokens = (self.n_k,) if is_flat else self.grid
        self.dtype = numpy_dtype(str(r.choice(["f32", "f32", *DTYPES])))
        self.layout = str(r.choice(["heads_first", "heads_last"]))
        self.batch, self.kv_heads = self.integer(1, 3), self.integer(1, 3)
        self.heads = self.kv_heads * self.integer(1, 3)
        self.d = int(r.choice([1, 2, 5, 8, 16, 24, 32, 33, 64]))
        self.d_v = self.d if r.random() < 0.6 else self.integer(1, 40)
        self.options = self._options()

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def maybe(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _pattern(self) -> Any:
        more = {"n_prefix": self.prefix}
        if self.kind in ON_GRID:
            if self.prefix or self.maybe(0.5):
                more["grid"] = self.grid  # type: ignore[assignment]
            return getattr(self, f"_{self.kind}")(**more)
        n = self.n_q - self.prefix
        if self.kind == "none":
            return None
        if self.kind in ("dense", "causal"):
            return getattr(P, self.kind.capitalize())(**more)
        if self.kind == "window1d":
            sides = [None if self.maybe(0.2) else self.integer(0, 20) for _ in range(2)]
            return P.Window1D(*sides, **more)
        if self.kind == "mask":
            return P.from_mask(self.rng.random((n, n)) < 0.3, **more)
        return getattr(self, f"_{self.kind}")(n, **more)

    def _neighborhood(self, **more: Any) -> Any:
        border = str(self.rng.choice(["shift", "clip", "wrap"]))
        dilation, size = [], []
        for n in self.grid:
            fits = [d for d in range(1, min(n, 3) + 1) if border != "wrap" or n % d == 0]
            dilation.append(int(self.rng.choice(fits)))
            size.append(self.integer(1, n // dilation[-1] + 1))
        stride = [self.integer(1, k + 1) for k in size]
        causal = tuple(self.maybe(0.3) for _ in size)
        return P.Neighborhood(tuple(size), dilation, stride, causal, border, **more)

    def _disk(self, **more: Any) -> Any:
        return P.Disk(float(self.rng.choice([0.5, 1, 1.5, 2, 3, 4.2, 40])), **more)

    def _window(self, **more: Any) -> Any:
        size = [self.integer(1, n + 1) for n in self.grid]
        shift = [self.integer(-3, n) for n in self.grid]
        return P.Window(size, shift, -100.0 if self.maybe(0.3) else -math.inf, **more)

    def _halo(self, **more: Any) -> Any:
        size = [self.integer(1, n + 1) for n in self.grid]
        return P.Halo(size, [self.integer(0, 3) for _ in size], **more)

    def _blocks(self, n: int, **more: Any) -> Any:
        bq, bk = int(self.rng.choice([1, 4, 16, 20])), int(self.rng.choice([1, 4, 8, 16]))
        kept = self.rng.random((1, 1, -(-n // bq), -(-n // bk))) < 0.5
        indices = np.argsort(~kept, -1, kind="stable").astype(np.int32)
        levels = self.rng.integers(1, bk + 1, indices.shape).astype(np.int32)
        counts = kept.sum(-1, dtype=np.int32)
        return P.Blocks(indices, counts, (bq, bk), levels if self.maybe(0.4) else None, **more)

    def _segments(self, n: int, **more: Any) -> Any:
        cuts = np.sort(self.rng.integers(0, n + 1, self.integer(0, 4)))
        lengths = np.diff([0, *cuts, n])
        return P.Segments(lengths, self.rng.random((len(lengths),) * 2) < 0.6, **more)

    def _grouped(self, n: int, **more: Any) -> Any:
        shared = self.integer(0, min(4, n) + 1)
        groups = [g for g in range(1, n - shared + 1) if (n - shared) % g == 0] or [1]
        return P.Grouped(shared, int(self.rng.choice(groups)), self.integer(-5, 20), **more)

    def _varlen(self, n: int, **more: Any) -> Any:
        cuts = [[0, *np.sort(self.rng.integers(0, n + 1, 2)), n] for _ in range(2)]
        return P.VarLen(*cuts, **more)

    def _union(self, n: int, **_: Any) -> Any:
        n += self.prefix
        members = [
            P.Window1D(self.integer(0, 5), self.integer(0, 5)), P.Causal(), P.Dense(n_prefix=1),
            P.Neighborhood(1, grid=self.grid), P.Disk(2.0, grid=self.grid),
            P.from_mask(self.rng.random((n, n)) < 0.1),
        ]  # fmt: skip
        first, *rest = self.rng.permutation(len(members))[: self.integer(2, 4)]
        pattern = members[first]
        for i in rest:
            pattern = pattern | members[i]
        return pattern

    def _table_sizes(self) -> tuple[int, ...]:
        name = {"neighborhood": "kernel_size", "window": "size"}.get(self.kind)
        sizes = self.grid if name is None else getattr(self.pattern, name)
        return tuple(sizes)

    def _normal(self, *shape: int) -> Array:
        return np.asarray(self.rng.standard_normal(shape).astype(self.dtype))

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        members = getattr(self.pattern, "members", (self.pattern,))
        is_multi = len(self.grid) > 1 and any(m is not None and m.kind in ON_GRID for m in members)
        b, h, n_q, n_k = self.batch, self.heads, self.n_q, self.n_k
        if getattr(self.pattern, "levels", None) is None:
            if self.maybe(0.25) and not is_multi:
                options["causal"] = True
            if self.maybe(0.25):
                shapes = [(n_q, n_k), (h, 1, n_k), (b, 1, n_q, n_k), (1, h, n_q, 1)]
                options["bias"] = self._normal(*shapes[self.integer(0, 4)])
            elif self.kind in ON_GRID and self.maybe(0.5):
                table = self._normal(h, *(2 * k - 1 for k in self._table_sizes()))
                order = str(self.rng.choice(["key_minus_query", "query_minus_key"]))
                options["bias"] = P.RelativeTable(table, order)
            if self.maybe(0.2):
                rank = self.integer(1, 9)
                options["bias_lowrank"] = (
                    self._normal(b, 1, n_q, rank),
                    self._normal(1, h, n_k, rank),
                )
            if self.maybe(0.2):
                options["key_bias"] = self._normal(b, n_k)
            if self.maybe(0.2):
                options["key_mask"] = self.rng.random((1, n_k)) < 0.7
        if self.maybe(0.2):
            options["scale"] = float(self.rng.choice([0.0, 0.3, -1.0]))
        if self.maybe(0.2):
            options["softcap"] = 2.0
        if self.maybe(0.2):
            options["sink"] = self._normal(h)
        if self.maybe(0.25):
            m = self.integer(0, 30)
            k, v = (self.array(self.kv_heads, (m,), n) for n in (self.d, self.d_v))
            weight = float(self.rng.normal()) if self.maybe(0.5) else self._normal(b, m)
            options["extra_kv"] = [(k, v, weight, str(self.rng.choice(["all", "grid"])))]
        return options

    def array(self, heads: int, tokens: tuple[int, ...], size: int) -> Array:
        """Normal data at strides of all kinds."""
        is_first = self.layout == "heads_first"
        head = (self.batch, heads, *tokens) if is_first else (self.batch, *tokens, heads)
        kind = self.integer(0, 6)
        if kind == 0:
            return self._normal(*head, 2 * size)[..., ::2]
        if kind == 1:
            return np.swapaxes(self._normal(*head[:-1], size, head[-1]), -1, -2)
        if kind == 2:
            return self._normal(*head, size)[:, :, ::-1]
        if kind == 3:
            return self._normal(head[0], head[1], 2 * head[2], *head[3:], size)[:, :, : head[2]]
        return self._normal(*head, size)


def check_draw(seed: int) -> None:
    call = Draw(seed)
    q = call.array(call.heads, call.q_tokens, call.d)
    k = call.array(call.kv_heads, call.k_tokens, call.d)
    v = call.array(call.kv_heads, call.k_tokens, call.d_v)
    wide = np.longdouble if call.dtype == np.float64 else np.float64
    options = {**call.options, "pattern": call.pattern, "layout": call.layout}
    o, lse = oracle_attention.attention(q, k, v, wide=wide, **options)
    found, found_lse = swath.attention(q, k, v, return_lse=True, **options)
    if call.layout == "heads_last":
        found_lse = np.moveaxis(found_lse, -1, 1)
    try:
        for actual, expected in (
            (oracle_attention.flat_tokens(found, call.layout), o),
            (found_lse.reshape(lse.value.shape), lse),
        ):
            swath.testing.assert_close(
                actual, expected.value, terms=expected.terms, magnitude=expected.magnitude
            )
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {call.pattern!r}, {list(options)}: {error}") from error
