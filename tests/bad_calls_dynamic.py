"""The wrong calls of dynamic convolution and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from bad_call import BadCall, ones, wrong

_x, _w, _image, _taps = ones(2, 6, 9), ones(2, 3, 5, 9), ones(2, 6, 7, 8), ones(2, 3, 9, 7, 8)


def _row(id_: str, error: str, arg: str, *args: Any, **kwargs: Any) -> BadCall:
    return wrong(f"dynamic_{id_}", "dynamic_conv1d", error, arg, *(args or (_x, _w)), **kwargs)


def _plane(id_: str, error: str, arg: str, *args: Any, **kwargs: Any) -> BadCall:
    both = args or (_image, _taps)
    return wrong(f"dynamic_image_{id_}", "dynamic_conv2d", error, arg, *both, **kwargs)


def _grad(id_: str, error: str, arg: str, *args: Any, **kwargs: Any) -> BadCall:
    return wrong(f"dynamic_grad_{id_}", "grad.dynamic_conv1d", error, arg, *args, **kwargs)


DYNAMIC: list[BadCall] = [
    _row("x_rank", "ShapeError", "x", ones(2, 2, 6, 9), _w),
    _row("x_dtype", "DTypeError", "x", np.ones((2, 6, 9), int), _w),
    _row("weight_dtype", "DTypeError", "weight", _x, ones(2, 3, 5, 9, dtype=np.float64)),
    _row("weight_rank", "ShapeError", "weight", _x, ones(3, 5, 9)),
    _row("weight_of_unbatched_x", "ShapeError", "weight", _x[0], _w),
    _row("weight_samples", "ShapeError", "weight", _x, ones(1, 3, 5, 9)),
    _row("weight_positions", "ShapeError", "weight", _x, ones(2, 3, 5, 8)),
    _row("weight_positions_of_padding", "ShapeError", "weight", padding=(0, 0)),
    _row("heads_do_not_divide", "ShapeError", "weight", _x, ones(2, 4, 5, 9)),
    _row("no_heads", "ShapeError", "weight", _x, ones(0, 5)),
    _row("no_taps", "ShapeError", "weight", _x, ones(3, 0)),
    _row("too_many_taps", "ShapeError", "x", _x, ones(3, 10), padding=(0, 0)),
    _row("padding_text", "ParamError", "padding", padding="full"),
    _row("padding_negative", "ParamError", "padding", padding=(-1, 5)),
    _row("padding_of_three", "ParamError", "padding", padding=(1, 2, 3)),
    _row("softmax_number", "ParamError", "softmax", softmax=1),
    _row("renormalize", "ParamError", "renormalize_padding", renormalize_padding="yes"),
    _row("head_map", "ParamError", "head_map", head_map="contiguous"),
    _row("layout", "ParamError", "layout", layout="BTC"),
    _row("layout_mixed_up", "ShapeError", "weight", layout="channels_last"),
    _row("out_shape", "ShapeError", "out", out=ones(2, 6, 8)),
    _row("out_dtype", "DTypeError", "out", out=ones(2, 6, 9, dtype=np.float64)),
    _row("out_is_x", "ParamError", "out", out=_x),
    _row("threads", "ParamError", "threads", threads=0),
    _plane("x_rank", "ShapeError", "x", ones(6, 8), _taps),
    _plane("kernel", "ShapeError", "weight", kernel=5),
    _plane("kernel_zero", "ParamError", "kernel", kernel=0),
    _plane("kernel_of_three", "ParamError", "kernel", kernel=(3, 3, 1)),
    _plane("kernel_not_square", "ParamError", "kernel", _image, ones(2, 3, 8, 7, 8)),
    _plane("even_kernel", "ParamError", "padding", _image, ones(2, 3, 4, 7, 8), kernel=2),
    _plane("stride_zero", "ParamError", "stride", stride=0),
    _plane("dilation_negative", "ParamError", "dilation", dilation=-1),
    _plane("weight_positions_of_stride", "ShapeError", "weight", stride=2),
    _plane("groups_do_not_divide", "ShapeError", "weight", _image, ones(2, 4, 9, 7, 8)),
    _plane("group_map", "ParamError", "group_map", group_map=0),
    wrong("light_three_axes", "lightweight_conv1d", "ShapeError", "weight", _x, ones(3, 2, 5)),
    wrong(
        "involution_positions", "involution2d", "ShapeError", "weight",
        _image, ones(2, 3, 3, 3, 7, 7),
    ),
    wrong(
        "ska_groups", "small_kernel_aggregation2d", "ShapeError", "weight",
        _image, ones(2, 5, 9, 7, 8),
    ),
    wrong("stream_weight", "DynamicConv1d", "ShapeError", "weight", _w),
    wrong("stream_padding", "DynamicConv1d", "ParamError", "padding", ones(3, 5), padding="x"),
    _grad("dy_shape", "ShapeError", "dy", ones(2, 6, 8), _x, _w),
    _grad("dy_dtype", "DTypeError", "dy", ones(2, 6, 9, dtype=np.float64), _x, _w),
    _grad("weight", "ShapeError", "weight", _x, _x, ones(2, 3, 5, 8)),
    _grad("needs", "ParamError", "needs", _x, _x, _w, needs=("dbias",)),
]  # fmt: skip
