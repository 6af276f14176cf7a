"""Directed cases of attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import oracle_attention
from cases.case import DTYPES, Array, Case, Shape, numpy_dtype
from oracle import Result
from swath import patterns as P

_OPTIONAL = ("bias", "key_bias", "key_mask", "sink")


@dataclass(frozen=True)
class AttentionCase(Case):
    """A call on q (B, H, *tokens, D), k and v.

    `more` names further arrays and their shapes: bias, table (a relative one), low_a and low_b,
    key_bias, key_mask, sink, and xk, xv, xw of one entry of extra_kv. The result is o, or lse.
    """

    tokens: Shape = ()
    batch: int = 1
    heads: tuple[int, int] = (2, 2)  # of q, of k and v
    sizes: tuple[int, int] = (8, 8)  # D, D_v
    k_tokens: Shape | None = None
    pattern: Callable[[], Any] | None = None
    more: Mapping[str, Shape] = field(default_factory=dict)
    order: str = "key_minus_query"
    extra: tuple[Any, ...] = (0.5, "all")
    result: str = "o"
    n_infinite: int = 0  # of v

    @property
    def op(self) -> str:
        return "attention"

    @property
    def dtypes(self) -> tuple[str, ...]:
        return DTYPES

    @property
    def has_out(self) -> bool:
        return self.result == "o"

    @property
    def layout(self) -> str:
        return str(self.kwargs.get("layout", "heads_first"))

    def inputs(self, dtype: str) -> dict[str, Array]:
        rng = np.random.default_rng(len(self.id))
        made = {}
        (h, h_kv), (d, d_v) = self.heads, self.sizes
        keys = self.tokens if self.k_tokens is None else self.k_tokens
        for name, n, tokens, size in (
            ("q", h, self.tokens, d), ("k", h_kv, keys, d), ("v", h_kv, keys, d_v),
        ):  # fmt: skip
            made[name] = self._heads(rng, n, tokens, size)
        for name, shape in self.more.items():
            if name == "key_mask":
                made[name] = rng.random(shape) < 0.7
            elif name in ("xk", "xv"):
                made[name] = self._heads(rng, h_kv, shape, d if name == "xk" else d_v)
            else:
                made[name] = rng.standard_normal(shape)
        if self.n_infinite:
            made["v"].reshape(-1, d_v)[:: max(1, made["v"].size // d_v // self.n_infinite)] = np.inf
        kind = numpy_dtype(dtype)
        return {k: v if v.dtype == bool else v.astype(kind) for k, v in made.items()}

    def _heads(self, rng: Any, heads: int, tokens: Shape, size: int) -> Array:
        if self.layout == "heads_last":
            return np.asarray(rng.standard_normal((self.batch, *tokens, heads, size)))
        return np.asarray(rng.standard_normal((self.batch, heads, *tokens, size)))

    def _arguments(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        given = {name: arrays[name] for name in _OPTIONAL if name in arrays}
        if "table" in arrays:
            given["bias"] = P.RelativeTable(arrays["table"], self.order)
        if "low_a" in arrays:
            given["bias_lowrank"] = (arrays["low_a"], arrays["low_b"])
        if "xk" in arrays:
            weight = arrays.get("xw", self.extra[0])
            given["extra_kv"] = [(arrays["xk"], arrays["xv"], weight, self.extra[1])]
        if self.pattern is not None:
            given["pattern"] = self.pattern()
        return {**self.kwargs, **given}

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        found = swath.attention(
            *(arrays[name] for name in "qkv"), return_lse=self.result == "lse",
            **self._arguments(arrays), **more,
        )  # fmt: skip
        return found[1] if self.result == "lse" and found is not None else found

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        q, k, v = (np.asarray(arrays[name]) for name in "qkv")
        wide = np.longdouble if q.dtype == np.float64 else np.float64
        o, _ = oracle_attention.attention(q, k, v, wide=wide, **self._arguments(arrays))

        def shaped(x: Array) -> Array:
            (h, _), (_, d_v) = self.heads, self.sizes
            x = x.reshape(self.batch, h, *self.tokens, d_v)
            return np.moveaxis(x, 1, -2) if self.layout == "heads_last" else x

        return Result(shaped(o.value), shaped(o.magnitude), o.terms)


def _case(name: str, tokens: Shape, pattern: Any = None, **fields: Any) -> AttentionCase:
    kwargs = {k: v for k, v in fields.items() if k in ("causal", "scale", "softcap", "layout")}
    rest = {k: v for k, v in fields.items() if k not in kwargs}
    return AttentionCase(
        name, "attention", tokens, None, kwargs, tokens=tokens, pattern=pattern, **rest
    )


def _blocks(n_q: int, n_k: int, block: tuple[int, int], levels: bool = False) -> Any:
    def make() -> Any:
        rng = np.random.default_rng(n_q)
        rows, columns = -(-n_q // block[0]), -(-n_k // block[1])
        kept = rng.random((1, 2, rows, columns)) < 0.5
        counts = kept.sum(-1, dtype=np.int32)
        indices = np.argsort(~kept, -1, kind="stable").astype(np.int32)
        level = rng.integers(1, block[1] + 1, indices.shape).astype(np.int32)
        return P.Blocks(indices, counts, block, level if levels else None)

    return make


def _mask(n_q: int, n_k: int) -> Any:
    return lambda: P.from_mask(np.random.default_rng(n_q).random((2, 1, n_q, n_k)) < 0.2)


CASES: list[AttentionCase] = [
    _case("dense", (37,)),
    _case("dense_long", (600,), heads=(1, 1), sizes=(16, 16)),
    _case("cross_more_keys", (5,), k_tokens=(70,), causal=True),
    _case("cross_fewer_keys", (33,), k_tokens=(9,), causal=True),
    _case("no_keys", (4,), k_tokens=(0,)),
    _case("no_queries", (0,), k_tokens=(4,)),
    _case("no_batch", (4,), batch=0),
    _case("one_token", (1,), sizes=(1, 1)),
    _case("three_axes_dense", (3, 4, 5)),
    _case("grouped_heads", (21,), heads=(6, 2), sizes=(12, 20), layout="heads_last"),
    _case("large_heads", (19,), sizes=(256, 256), heads=(1, 1)),
    _case("odd_sizes", (23,), sizes=(33, 17), batch=2),
    _case("neighborhood_k7", (12, 15), lambda: P.Neighborhood(7), sizes=(32, 32)),
    _case("neighborhood_1d", (40,), lambda: P.Neighborhood(9)),
    _case("neighborhood_3d", (4, 5, 6), lambda: P.Neighborhood((3, 4, 3))),
    _case("neighborhood_dilated", (9, 11), lambda: P.Neighborhood(3, (3, 2)), batch=2),
    _case("neighborhood_stride", (10, 13), lambda: P.Neighborhood(5, stride=(2, 3))),
    _case("neighborhood_causal", (8, 9), lambda: P.Neighborhood(4, causal=(True, False))),
    _case("neighborhood_causal_dilated", (25,), lambda: P.Neighborhood(5, 3, 2, True)),
    _case("neighborhood_clip", (7, 8), lambda: P.Neighborhood(6, border="clip")),
    _case("neighborhood_wrap", (8, 9), lambda: P.Neighborhood((5, 4), border="wrap")),
    _case("neighborhood_wrap_all", (6, 6), lambda: P.Neighborhood(3, 2, border="wrap")),
    _case(
        "neighborhood_prefix", (5 + 42,), lambda: P.Neighborhood(3, grid=(6, 7), n_prefix=5),
        more={"xk": (7,), "xv": (7,)}, extra=(0.7, "grid"),
    ),
    _case(
        "neighborhood_table", (9, 10), lambda: P.Neighborhood(5), more={"table": (2, 9, 9)},
    ),
    _case(
        "neighborhood_table_dilated", (9, 10), lambda: P.Neighborhood(3, (3, 2)),
        more={"table": (2, 5, 5)}, order="query_minus_key",
    ),
    _case("wrap_table", (8,), lambda: P.Neighborhood(5, border="wrap"), more={"table": (2, 9)}),
    _case("dense_table", (5, 6), more={"table": (2, 9, 11)}),
    _case("causal_neighborhood_by_call", (30,), lambda: P.Neighborhood(7), causal=True),
    _case("disk", (10, 11), lambda: P.Disk(3.5)),
    _case("disk_3d", (5, 4, 6), lambda: P.Disk(2.2)),
    _case("disk_text", (20 + 90,), lambda: P.Disk(4, grid=(9, 10), n_prefix=20)),
    _case("window", (14, 14), lambda: P.Window(7), sizes=(32, 32)),
    _case("window_shift", (14, 14), lambda: P.Window(7, 3), more={"table": (2, 13, 13)}),
    _case("window_ragged", (11, 9), lambda: P.Window((4, 3), (1, -2))),
    _case(
        "window_finite", (8, 8), lambda: P.Window(4, 2, -3.0), more={"table": (2, 7, 7)},
        order="query_minus_key",
    ),
    _case("halo", (10, 9), lambda: P.Halo(4, 2)),
    _case("window1d", (50,), lambda: P.Window1D(5, 2)),
    _case("window1d_causal", (50,), lambda: P.Window1D(None, 3), causal=True),
    _case("window1d_long", (1200,), lambda: P.Window1D(300, 300), heads=(1, 1), sizes=(4, 4)),
    _case("segments", (21,), lambda: P.Segments((4, 10, 7), [[1 == 1, 1 == 1, 1 == 0]] * 3)),
    _case("grouped", (4 + 30,), lambda: P.Grouped(4, 3, 5), causal=True),
    _case("varlen", (30,), lambda: P.VarLen((0, 7, 7, 30), (0, 11, 20, 30)), causal=True),
    _case("blocks", (50,), _blocks(50, 50, (16, 8))),
    _case("blocks_small", (23,), _blocks(23, 23, (3, 2)), causal=True),
    _case("blocks_levels", (50,), _blocks(50, 50, (16, 9), levels=True)),
    _case("mask", (40,), _mask(40, 40), batch=2),
    _case("mask_causal", (70,), _mask(70, 70), batch=2, causal=True),
    # few queries and whole vectors of D: dot products
    _case("few", (3,), k_tokens=(70,), heads=(4, 2), sizes=(32, 48)),
    _case("few_causal", (4,), k_tokens=(37,), sizes=(16, 16), causal=True),
    _case("few_levels", (3,), _blocks(3, 70, (2, 9), levels=True), k_tokens=(70,), sizes=(32, 16)),
    _case(
        "one_query", (1,), k_tokens=(600,), sizes=(64, 64), batch=2,
        more={"low_a": (1, 1, 1, 3), "low_b": (1, 2, 600, 3), "key_mask": (2, 600)},
    ),
    _case("neighborhood_wide", (150,), lambda: P.Neighborhood(99), sizes=(4, 4)),
    _case("decode_window", (2,), lambda: P.Window1D(9, 0), k_tokens=(70,), causal=True),
    _case("union", (6, 7), lambda: P.Neighborhood(3, grid=(6, 7)) | P.Window1D(9, 0)),
    _case("union_masks", (45,), lambda: P.Window1D(2, 2) | P.Segments((5, 40), np.eye(2) > 0)),
    _case("softcap", (30,), softcap=1.5, scale=2.0),
    _case("scale_zero", (17,), scale=0.0),
    _case("bias", (20,), more={"bias": (1, 2, 20, 20)}),
    _case("bias_by_query", (20,), more={"bias": (2, 20, 1)}),
    _case("low_rank", (26,), more={"low_a": (1, 1, 26, 3), "low_b": (1, 2, 26, 3)}, softcap=2.0),
    _case("key_bias_and_mask", (26,), more={"key_bias": (1, 26), "key_mask": (1, 26)}),
    _case("sink", (18,), more={"sink": (2,)}),
    _case("sink_alone", (3,), k_tokens=(0,), more={"sink": (2,)}),
    _case("extra_keys", (18,), more={"xk": (5,), "xv": (5,), "xw": (1, 5)}),
]  # fmt: skip
