"""The wrong calls of the tools around attention."""

from __future__ import annotations

import numpy as np

import swath
from bad_call import F32, BadCall, ones, wrong

F64 = np.float64
_x = ones(2, 6, 3)
_q, _k = ones(1, 2, 8, 4), ones(1, 1, 8, 4)
_part = ones(2, 5, 3), ones(2, 5)
_parents = swath.patterns.Blocks(np.zeros((1, 1, 2, 1), np.int32), np.ones((1, 1, 2), np.int32), 4)
_outside = swath.patterns.Blocks(
    np.full((1, 1, 2, 1), 9, np.int32), np.ones((1, 1, 2), np.int32), 4
)

TOOLS: list[BadCall] = [
    wrong("take_above", "take_tokens", "ParamError", "idx", _x, [6]),
    wrong("take_below", "take_tokens", "ParamError", "idx", _x, [-1]),
    wrong("take_fraction", "take_tokens", "DTypeError", "idx", _x, [0.5]),
    wrong("take_scalar", "take_tokens", "ShapeError", "idx", _x, 3),
    wrong("take_lead", "take_tokens", "ShapeError", "idx", _x, np.zeros((3, 2), int)),
    wrong("take_rank", "take_tokens", "ShapeError", "x", ones(3), [0]),
    wrong("take_ints", "take_tokens", "DTypeError", "x", np.ones((2, 3), int), [0]),
    wrong("take_threads", "take_tokens", "ParamError", "threads", _x, [0], threads=0),
    wrong("put_length", "put_tokens", "ShapeError", "y", ones(2, 3, 3), [0, 1], like=_x),
    wrong("put_above", "put_tokens", "ParamError", "idx", ones(2, 1, 3), [6], like=_x),
    wrong("grad_put_y", "grad.put_tokens", "ShapeError", "y", _x, ones(2, 3, 3), [0, 1]),
    wrong("pack_keep", "pack_tokens", "ShapeError", "keep", _x, np.ones((2, 5), bool)),
    wrong("pack_floats", "pack_tokens", "DTypeError", "keep", _x, ones(2, 6)),
    wrong("unpack_length", "unpack_tokens", "ShapeError", "y", ones(3, 3), [0, 1], like=_x),
    wrong("unpack_above", "unpack_tokens", "ParamError", "idx", ones(1, 3), [12], like=_x),
    wrong("pool_grid", "pool_tokens", "ShapeError", "x", _x, (2, 4), 2),
    wrong("pool_factor", "pool_tokens", "ParamError", "factor", _x, (2, 3), 0),
    wrong("pool_factors", "pool_tokens", "ParamError", "factor", _x, (2, 3), (1, 2, 3)),
    wrong("pool_mode", "pool_tokens", "ParamError", "mode", _x, (2, 3), 2, "median"),
    wrong("pool_no_weights", "pool_tokens", "ParamError", "weights", _x, 6, 2, "weighted"),
    wrong("pool_weights", "pool_tokens", "ParamError", "weights", _x, 6, 2, "mean", ones(6)),
    wrong("pool_few", "pool_tokens", "ShapeError", "weights", _x, 6, 2, "weighted", ones(5)),
    wrong("pool_lead", "pool_tokens", "ShapeError", "weights", _x, 6, 2, "weighted", ones(3, 6)),
    wrong(
        "pool_dtype",
        "pool_tokens",
        "DTypeError",
        "weights",
        _x,
        6,
        2,
        "weighted",
        ones(6, dtype=F64),
    ),
    wrong("grad_pool_dy", "grad.pool_tokens", "ShapeError", "dy", ones(2, 2, 3), _x, 6, 2),
    wrong("grad_pool_needs", "grad.pool_tokens", "ParamError", "needs", _x, _x, 6, 1, needs="x"),
    wrong("order_grid", "order.hilbert", "ParamError", "grid", (4, -1)),
    wrong("order_size", "order.window", "ParamError", "size", (4, 4), 0),
    wrong("merge_none", "merge_attention", "ParamError", "parts", []),
    wrong("merge_bare", "merge_attention", "ParamError", "parts", [ones(2, 3)]),
    wrong("merge_number", "merge_attention", "ParamError", "parts", 3),
    wrong("merge_shapes", "merge_attention", "ShapeError", "parts", [_part, (ones(3), ones())]),
    wrong("merge_lse", "merge_attention", "ShapeError", "parts", [(ones(2, 3), ones(3))]),
    wrong(
        "merge_f64", "merge_attention", "DTypeError", "parts", [(_part[0], ones(2, 5, dtype=F64))]
    ),
    wrong("grad_merge_do", "grad.merge_attention", "ShapeError", "do", ones(2, 3), [_part]),
    wrong(
        "grad_merge_dlse",
        "grad.merge_attention",
        "ShapeError",
        "dlse",
        _part[0],
        [_part],
        dlse=ones(2),
    ),
    wrong("linear_rank", "linear_attention", "ShapeError", "q", ones(8, 4), _k, _k),
    wrong("linear_heads", "linear_attention", "ShapeError", "k", _q, ones(1, 3, 8, 4), _k),
    wrong("linear_channels", "linear_attention", "ShapeError", "k", _q, ones(1, 1, 8, 5), _k),
    wrong("linear_tokens", "linear_attention", "ShapeError", "v", _q, _k, ones(1, 1, 7, 4)),
    wrong(
        "linear_dtype", "linear_attention", "DTypeError", "v", _q, _k, ones(1, 1, 8, 4, dtype=F64)
    ),
    wrong("linear_norm", "linear_attention", "ParamError", "k_norm", _q, _k, _k, k_norm="elu"),
    wrong("linear_layout", "linear_attention", "ParamError", "layout", _q, _k, _k, layout="BHND"),
    wrong(
        "linear_much", "linear_attention", "ShapeError", "q", *[ones(1, 1, 2, 257, dtype=F32)] * 3
    ),
    wrong("grad_linear_do", "grad.linear_attention", "ShapeError", "do", _k, _q, _k, _k),
    wrong("select_nothing", "select_blocks", "ParamError", "top_k", _q, _k, block=2),
    wrong("select_block", "select_blocks", "ParamError", "block", _q, _k, block=0, top_k=1),
    wrong("select_k", "select_blocks", "ParamError", "top_k", _q, _k, block=2, top_k=-1),
    wrong("select_p", "select_blocks", "ParamError", "top_p", _q, _k, block=2, top_p=np.nan),
    wrong(
        "select_force", "select_blocks", "ParamError", "force", _q, _k, block=2, top_k=1, force=[4]
    ),
    wrong(
        "select_forced_rows",
        "select_blocks",
        "ShapeError",
        "force",
        _q,
        _k,
        block=2,
        top_k=1,
        force=np.ones((4, 3), bool),
    ),
    wrong(
        "select_parent_sizes",
        "select_blocks",
        "ParamError",
        "parents",
        _q,
        _k,
        block=3,
        top_k=1,
        parents=_parents,
    ),
    wrong(
        "select_parent_outside",
        "select_blocks",
        "ParamError",
        "parents",
        _q,
        _k,
        block=2,
        top_k=1,
        parents=_outside,
    ),
    wrong(
        "select_parent_rows",
        "select_blocks",
        "ShapeError",
        "parents",
        ones(1, 2, 20, 4),
        _k,
        block=2,
        top_k=1,
        parents=_parents,
    ),
    wrong(
        "select_level", "select_blocks", "ParamError", "levels", _q, _k, block=2, levels={4: (0, 1)}
    ),
]
