"""The wrong calls of swath.grad; the others are in bad_calls."""

from __future__ import annotations

import numpy as np

from bad_call import BadCall, ones, wrong

_dy, _x = ones(1, 2, 4, 4), ones(1, 2, 8, 8)
BAD_GRADIENT_CALLS: list[BadCall] = [
    wrong("grad_dy_shape", "grad.max_pool2d", "ShapeError", "dy", ones(1, 2, 4, 3), _x, 2),
    wrong("grad_dy_of_the_input", "grad.avg_pool2d", "ShapeError", "dy", _x, _x, 2),
    wrong("grad_dy_rank", "grad.avg_pool2d", "ShapeError", "dy", ones(2, 4, 4), _x, 2),
    wrong("grad_dy_batch", "grad.max_pool2d", "ShapeError", "dy", ones(2, 2, 4, 4), _x, 2),
    wrong(
        "grad_dy_dtype", "grad.max_pool2d", "DTypeError", "dy", ones(1, 2, 4, 4, dtype="f8"), _x, 2
    ),
    wrong(
        "grad_integers",
        "grad.avg_pool2d",
        "DTypeError",
        "dy",
        ones(1, 2, 4, 4, dtype=np.uint8),
        ones(1, 2, 8, 8, dtype=np.uint8),
        2,
    ),
    wrong("grad_rank", "grad.max_pool3d", "ShapeError", "x", _dy, ones(8, 8), 2),
    wrong("grad_window_zero", "grad.max_pool2d", "ParamError", "window", _dy, _x, 0),
    wrong("grad_stride", "grad.avg_pool2d", "ParamError", "stride", _dy, _x, 2, stride=0),
    wrong("grad_window_too_large", "grad.avg_pool2d", "ShapeError", "x", _dy, _x, 9),
    wrong(
        "grad_window_in_padding",
        "grad.max_pool2d",
        "ParamError",
        "padding",
        ones(1, 2, 6, 6),
        _x,
        2,
        padding=2,
    ),
    wrong(
        "grad_inside_of_padding",
        "grad.avg_pool2d",
        "ParamError",
        "padding",
        ones(1, 2, 6, 6),
        _x,
        2,
        padding=2,
        count_include_pad=False,
    ),
    wrong("grad_layout", "grad.avg_pool2d", "ParamError", "layout", _dy, _x, 2, layout="NHWC"),
    wrong(
        "grad_threads",
        "grad.max_pool1d",
        "ParamError",
        "threads",
        ones(2, 4),
        ones(2, 8),
        2,
        threads=0,
    ),
    wrong("grad_reduce_axis", "grad.sliding_reduce", "ParamError", "axis", _dy, _x, 2, axis=4),
    wrong("grad_reduce_op", "grad.sliding_reduce", "ParamError", "op", _dy, _x, 2, op="median"),
    wrong("grad_reduce_shape", "grad.sliding_reduce", "ShapeError", "dy", ones(4), ones(9), 3),
    wrong("grad_blocks", "grad.space_to_depth", "ShapeError", "dy", _dy, _x, 2),
    wrong(
        "grad_blocks_dtype",
        "grad.space_to_depth",
        "DTypeError",
        "dy",
        ones(1, 8, 4, 4, dtype="f8"),
        _x,
        2,
    ),
    wrong("grad_block_size", "grad.depth_to_space", "ParamError", "block", _dy, _x, 0),
]
