"""The wrong calls of long_conv2d, band_split and their gradients."""

from __future__ import annotations

import numpy as np

from bad_call import BadCall, ones, wrong

_u, _k = ones(2, 3, 6, 7), ones(3, 3, 3)
_x = ones(4, 6, 7)

LONG2D: list[BadCall] = [
    wrong("long2d_u_rank", "long_conv2d", "ShapeError", "u", ones(6, 7), _k),
    wrong("long2d_u_dtype", "long_conv2d", "DTypeError", "u", ones(2, 3, 6, 7, dtype=int), _k),
    wrong("long2d_k_dtype", "long_conv2d", "DTypeError", "k", _u, ones(3, 3, 3, dtype=np.float64)),
    wrong("long2d_k_rank", "long_conv2d", "ShapeError", "k", _u, ones(3, 3)),
    wrong("long2d_k_as_weight", "long_conv2d", "ShapeError", "k", _u, ones(3, 1, 3, 3)),
    wrong("long2d_k_channels", "long_conv2d", "ShapeError", "k", _u, ones(4, 3, 3)),
    wrong("long2d_k_empty", "long_conv2d", "ShapeError", "k", _u, ones(3, 0, 3)),
    wrong("long2d_mode", "long_conv2d", "ParamError", "mode", _u, _k, mode="valid"),
    wrong("long2d_method", "long_conv2d", "ParamError", "method", _u, _k, method="winograd"),
    wrong("long2d_layout", "long_conv2d", "ParamError", "layout", _u, _k, layout="NHWC"),
    wrong("long2d_threads", "long_conv2d", "ParamError", "threads", _u, _k, threads=0),
    wrong(
        "long2d_circular_rows", "long_conv2d", "ParamError", "k", _u, ones(3, 7, 3), mode="circular"
    ),
    wrong(
        "long2d_circular_columns",
        "long_conv2d",
        "ParamError",
        "k",
        _u,
        ones(3, 6, 8),
        mode="circular",
    ),
    wrong("long2d_channels_last", "long_conv2d", "ShapeError", "k", _u, _k, layout="channels_last"),
]
LONG2D_OTHERS: list[BadCall] = [
    wrong("long2d_out_shape", "long_conv2d", "ShapeError", "out", _u, _k, mode="full", out=ones(1)),
    wrong("long2d_out_is_u", "long_conv2d", "ParamError", "out", _u, _k, out=_u),
    wrong("long2d_grad_dy", "grad.long_conv2d", "ShapeError", "dy", _u, _u, _k, mode="full"),
    wrong(
        "long2d_grad_dtype", "grad.long_conv2d", "DTypeError", "dy", ones(1, dtype=float), _u, _k
    ),
    wrong("long2d_grad_needs", "grad.long_conv2d", "ParamError", "needs", _u, _u, _k, needs="dk"),
    wrong("bands_rank", "band_split", "ShapeError", "x", ones(5), [0.2]),
    wrong("bands_rank_8", "band_split", "ShapeError", "x", ones(1, 1, 1, 1, 1, 1, 2, 2), [0.2]),
    wrong("bands_dtype", "band_split", "DTypeError", "x", ones(5, 5, dtype=np.uint8), [0.2]),
    wrong("bands_ascending", "band_split", "ParamError", "cutoffs", _x, [0.1, 0.2]),
    wrong("bands_equal", "band_split", "ParamError", "cutoffs", _x, [0.2, 0.2]),
    wrong("bands_negative", "band_split", "ParamError", "cutoffs", _x, [0.2, -0.1]),
    wrong("bands_nan", "band_split", "ParamError", "cutoffs", _x, [np.nan]),
    wrong("bands_number", "band_split", "ParamError", "cutoffs", _x, 0.2),
    wrong("bands_text", "band_split", "ParamError", "cutoffs", _x, "0.2"),
    wrong("bands_metric", "band_split", "ParamError", "metric", _x, [0.2], metric="l1"),
    wrong("bands_threads", "band_split", "ParamError", "threads", _x, [0.2], threads=-1),
    wrong("bands_grad_count", "grad.band_split", "ShapeError", "dys", [_x], _x, [0.2]),
    wrong("bands_grad_shape", "grad.band_split", "ShapeError", "dys", [_x, _u], _x, [0.2]),
    wrong(
        "bands_grad_dtype",
        "grad.band_split",
        "DTypeError",
        "dys",
        [_x, ones(4, 6, 7, dtype=np.float64)],
        _x,
        [0.2],
    ),
    wrong("bands_grad_array", "grad.band_split", "ShapeError", "dys", _x, _x, [0.2]),
]
