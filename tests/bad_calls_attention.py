"""The wrong calls of attention and its patterns."""

from __future__ import annotations

from typing import Any

import numpy as np

from bad_call import BadCall, ones, wrong
from swath import patterns as P

_Q = ones(1, 2, 6, 4)
_GRID = ones(1, 2, 6, 6, 4)


def _bad(id_: str, error: str, arg: str, *args: Any, **kwargs: Any) -> BadCall:
    return wrong(f"attention_{id_}", "attention", error, arg, *(args or (_Q, _Q, _Q)), **kwargs)


def _blocks(index: list[int], count: int | None = None, **kwargs: Any) -> P.Blocks:
    n = len(index) if count is None else count
    indices = np.array(index, np.int32).reshape(1, 1, 1, -1)
    return P.Blocks(indices, np.full((1, 1, 1), n, np.int32), block=(6, 2), **kwargs)


ATTENTION: list[BadCall] = [
    _bad("rank", "ShapeError", "q", ones(2, 6, 4), _Q, _Q),
    _bad("too_many_axes", "ShapeError", "q", ones(1, 2, 2, 2, 2, 2, 4), _Q, _Q),
    _bad("q_dtype", "DTypeError", "q", np.ones((1, 2, 6, 4), int), _Q, _Q),
    _bad("k_dtype", "DTypeError", "k", _Q, _Q.astype(np.float64), _Q),
    _bad("k_batch", "ShapeError", "k", _Q, ones(2, 2, 6, 4), ones(2, 2, 6, 4)),
    _bad("k_heads", "ShapeError", "k", ones(1, 3, 6, 4), _Q, _Q),
    _bad("k_size", "ShapeError", "k", _Q, ones(1, 2, 6, 5), _Q),
    _bad("v_tokens", "ShapeError", "v", _Q, _Q, ones(1, 2, 7, 4)),
    _bad("v_heads", "ShapeError", "v", _Q, _Q, ones(1, 1, 6, 4)),
    _bad("head_size", "ShapeError", "q", *(ones(1, 1, 2, 300),) * 3),
    _bad("head_size_0", "ShapeError", "q", *(ones(1, 1, 2, 0),) * 3),
    _bad("layout", "ParamError", "layout", layout="channels_last"),
    _bad("causal", "ParamError", "causal", causal=1),
    _bad("causal_grid", "ParamError", "causal", _GRID, _GRID, _GRID,
         pattern=P.Neighborhood(3), causal=True),
    _bad("scale", "ParamError", "scale", scale=np.nan),
    _bad("softcap", "ParamError", "softcap", softcap=0.0),
    _bad("pattern_type", "ParamError", "pattern", pattern="causal"),
    _bad("kernel_too_long", "ParamError", "pattern", pattern=P.Neighborhood(7)),
    _bad("dilation_too_long", "ParamError", "pattern", pattern=P.Neighborhood(3, 3)),
    _bad("wrap_dilation", "ParamError", "pattern", *(ones(1, 1, 7, 4),) * 3,
         pattern=P.Neighborhood(3, 2, border="wrap")),
    _bad("no_grid", "ParamError", "pattern", pattern=P.Neighborhood((3, 3))),
    _bad("other_grid", "ShapeError", "pattern", pattern=P.Neighborhood(2, grid=(2, 4))),
    _bad("other_keys", "ShapeError", "pattern", _Q, ones(1, 2, 5, 4), ones(1, 2, 5, 4),
         pattern=P.Neighborhood(3)),
    _bad("prefix", "ShapeError", "pattern", pattern=P.Dense(n_prefix=7)),
    _bad("segments", "ShapeError", "pattern", pattern=P.Segments((2, 3), np.eye(2) > 0)),
    _bad("groups", "ShapeError", "pattern", pattern=P.Grouped(1, 2, 0)),
    _bad("varlen", "ShapeError", "pattern", pattern=P.VarLen((0, 5))),
    _bad("mask_shape", "ShapeError", "pattern", pattern=P.from_mask(np.ones((6, 5), bool))),
    _bad("mask_heads", "ShapeError", "pattern",
         pattern=P.from_mask(np.ones((1, 3, 6, 6), bool))),
    _bad("blocks_rows", "ShapeError", "pattern", pattern=P.Blocks(
        np.zeros((1, 1, 2, 1), np.int32), np.ones((1, 1, 2), np.int32), block=(6, 2))),
    _bad("blocks_dtype", "DTypeError", "pattern", pattern=P.Blocks(
        np.zeros((1, 1, 1, 1)), np.ones((1, 1, 1), np.int32), block=(6, 2))),
    _bad("blocks_twice", "ParamError", "pattern", pattern=_blocks([1, 1])),
    _bad("blocks_descending", "ParamError", "pattern", pattern=_blocks([1, 0])),
    _bad("blocks_negative", "ParamError", "pattern", pattern=_blocks([-1, 0])),
    _bad("blocks_out_of_range", "ParamError", "pattern", pattern=_blocks([0, 3])),
    _bad("blocks_count", "ParamError", "pattern", pattern=_blocks([0, 1], 3)),
    _bad("blocks_level_0", "ParamError", "pattern",
         pattern=_blocks([0], levels=np.zeros((1, 1, 1, 1), np.int32))),
    _bad("blocks_level_and_index_twice", "ParamError", "pattern",
         pattern=_blocks([1, 1, 1], levels=np.array([[[[1, 2, 1]]]], np.int32))),
    _bad("blocks_level_and_bias", "ParamError", "pattern", key_bias=ones(1, 6),
         pattern=_blocks([1], levels=np.ones((1, 1, 1, 1), np.int32))),
    _bad("bias_shape", "ShapeError", "bias", bias=ones(6, 5)),
    _bad("bias_dtype", "DTypeError", "bias", bias=ones(6, 6, dtype=np.float64)),
    _bad("table_axes", "ShapeError", "bias", bias=P.RelativeTable(ones(2, 3, 3)),
         pattern=P.Neighborhood(2)),
    _bad("table_heads", "ShapeError", "bias", bias=P.RelativeTable(ones(3, 11))),
    _bad("table_too_small", "ShapeError", "bias", bias=P.RelativeTable(ones(2, 3)),
         pattern=P.Neighborhood(3)),
    _bad("low_rank_single", "ParamError", "bias_lowrank", bias_lowrank=ones(1, 1, 6, 2)),
    _bad("low_rank_ranks", "ShapeError", "bias_lowrank",
         bias_lowrank=(ones(1, 1, 6, 2), ones(1, 1, 6, 3))),
    _bad("low_rank_tokens", "ShapeError", "bias_lowrank",
         bias_lowrank=(ones(1, 1, 1, 2), ones(1, 1, 6, 2))),
    _bad("key_bias", "ShapeError", "key_bias", key_bias=ones(6)),
    _bad("key_mask", "ShapeError", "key_mask", key_mask=np.ones((1, 5), bool)),
    _bad("key_mask_dtype", "DTypeError", "key_mask", key_mask=ones(1, 6)),
    _bad("sink", "ShapeError", "sink", sink=ones(1)),
    _bad("extra_list", "ParamError", "extra_kv", extra_kv=_Q),
    _bad("extra_entry", "ParamError", "extra_kv", extra_kv=[_Q[0, 0, 0]]),
    _bad("extra_heads", "ShapeError", "extra_kv",
         extra_kv=[(ones(1, 1, 3, 4), ones(1, 1, 3, 4), 0.0, "all")]),
    _bad("extra_who", "ParamError", "extra_kv", extra_kv=[(_Q, _Q, 0.0, "text")]),
    _bad("extra_weight", "ShapeError", "extra_kv", extra_kv=[(_Q, _Q, ones(1, 5), "all")]),
    _bad("return_lse", "ParamError", "return_lse", return_lse="yes"),
    _bad("threads", "ParamError", "threads", threads=0),
]  # fmt: skip


def _pattern(name: str, error: str, arg: str, *args: Any, **kwargs: Any) -> BadCall:
    id_ = f"patterns_{name}_{arg}_{len(args)}_{'_'.join(kwargs)}"
    return wrong(id_, f"patterns.{name}", error, arg, *args, **kwargs)


PATTERNS: list[BadCall] = [
    _pattern("Neighborhood", "ParamError", "kernel_size", 0),
    _pattern("Neighborhood", "ParamError", "kernel_size", (3, 3, 3, 3)),
    _pattern("Neighborhood", "ParamError", "kernel_size", 2.0, 1),
    _pattern("Neighborhood", "ParamError", "dilation", 3, 0),
    _pattern("Neighborhood", "ParamError", "stride", 3, 1, 4),
    _pattern("Neighborhood", "ParamError", "causal", 3, causal="yes"),
    _pattern("Neighborhood", "ParamError", "border", 3, border="reflect"),
    _pattern("Neighborhood", "ParamError", "dilation", (3, 3), (1, 1, 1)),
    _pattern("Neighborhood", "ParamError", "grid", (3, 3), grid=(5,)),
    _pattern("Window1D", "ParamError", "left", -1, 0),
    _pattern("Window1D", "ParamError", "right", 0, True),
    _pattern("Disk", "ParamError", "radius", 0),
    _pattern("Window", "ParamError", "size", 0),
    _pattern("Window", "ParamError", "mask_value", 4, 2, np.nan),
    _pattern("Halo", "ParamError", "halo", 4, -1),
    _pattern("Grouped", "ParamError", "n_groups", 1, 0),
    _pattern("Segments", "ShapeError", "visible", (1, 2), np.ones((1, 1), bool)),
    _pattern("Segments", "DTypeError", "visible", (1,), np.ones((1, 1))),
    _pattern("VarLen", "ParamError", "cu_q", (1, 2)),
    _pattern("VarLen", "ShapeError", "cu_k", (0, 2), (0, 1, 2)),
    _pattern("from_mask", "DTypeError", "mask", np.ones((2, 2))),
    _pattern("from_mask", "ShapeError", "mask", np.ones(2, bool)),
    _pattern("Blocks", "ShapeError", "indices", np.zeros((1, 2), np.int32), np.zeros(1), 4),
    _pattern("RelativeTable", "ShapeError", "table", np.ones((2, 4))),
    _pattern("RelativeTable", "ParamError", "order", np.ones((2, 3)), "both"),
    _pattern("Dense", "ParamError", "n_prefix", n_prefix=-1),
]
