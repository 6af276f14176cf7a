"""The table of wrong calls: what is called, which class answers, which argument the text names."""

from __future__ import annotations

from typing import Any

import numpy as np

from bad_call import F32, BadCall, ones, wrong
from bad_calls_attention import ATTENTION
from bad_calls_deform import DEFORM
from bad_calls_dynamic import DYNAMIC
from bad_calls_gates import GATES
from bad_calls_long import LONG
from bad_calls_long2d import LONG2D
from bad_calls_masked import MASKED


def _conv(id_: str, error: str, arg: str, x: Any = None, w: Any = None, **kwargs: Any) -> BadCall:
    """conv2d on (2, 8, 9, 9) and (4, 8, 3, 3) with one thing wrong."""

    def call() -> tuple[tuple[Any, ...], dict[str, Any]]:
        first = ones(2, 8, 9, 9) if x is None else x
        second = ones(4, 8, 3, 3) if w is None else w
        return (first, second), kwargs

    return BadCall(id_, "conv2d", error, arg, call)


_read_only = ones(2, 4, 7, 7)
_read_only.flags.writeable = False
_shared = ones(2, 8, 9, 9)
_result = ones(2, 4, 7, 7)
_square = ones(2, 8, 9, 9)
_tall = ones(3, 8, 9, 9)
_pool = ones(1000)
_with_out = _pool[:288].reshape(4, 8, 3, 3), _pool[200:592].reshape(2, 4, 7, 7)

SHAPES = [
    _conv("weight_channels", "ShapeError", "weight", w=ones(4, 3, 3, 3)),
    _conv("weight_channels_with_groups", "ShapeError", "weight", groups=2),
    _conv("weight_rank", "ShapeError", "weight", w=ones(4, 8, 3)),
    _conv("weight_scalar", "ShapeError", "weight", w=np.float32(1)),
    _conv("x_rank_too_high", "ShapeError", "x", x=ones(1, 2, 8, 9, 9)),
    _conv("x_rank_too_low", "ShapeError", "x", x=ones(9, 9)),
    _conv("x_scalar", "ShapeError", "x", x=np.float32(1)),
    _conv("x_empty_list", "ShapeError", "x", x=np.zeros(0, F32)),
    _conv("layout_mixed_up", "ShapeError", "weight", x=ones(2, 9, 9, 8)),
    _conv("channels_last_mixed_up", "ShapeError", "weight", layout="channels_last"),
    _conv("zero_kernel", "ShapeError", "weight", w=ones(4, 8, 0, 3)),
    _conv("kernel_larger_than_input", "ShapeError", "x", w=ones(4, 8, 10, 3)),
    _conv("kernel_larger_than_padded_input", "ShapeError", "x", w=ones(4, 8, 12, 3), padding=1),
    _conv("dilation_larger_than_input", "ShapeError", "x", dilation=9),
    _conv("bias_length", "ShapeError", "bias", bias=ones(8)),
    _conv("bias_rank", "ShapeError", "bias", bias=ones(4, 1)),
    _conv("scale_length", "ShapeError", "scale", scale=ones(8)),
    _conv("shift_length", "ShapeError", "shift", shift=ones(1)),
    _conv("residual_shape", "ShapeError", "residual", residual=ones(2, 4, 9, 9)),
    _conv("residual_rank", "ShapeError", "residual", residual=ones(4, 7, 7)),
    _conv("out_shape", "ShapeError", "out", out=ones(2, 4, 9, 9)),
    _conv("out_rank", "ShapeError", "out", out=ones(4, 7, 7)),
    _conv("out_of_the_other_layout", "ShapeError", "out", out=ones(2, 7, 7, 4)),
]
DTYPES = [
    _conv("weight_dtype", "DTypeError", "weight", w=ones(4, 8, 3, 3, dtype=np.float64)),
    _conv("bias_dtype", "DTypeError", "bias", bias=ones(4, dtype=np.float64)),
    _conv("scale_dtype", "DTypeError", "scale", scale=ones(4, dtype=np.float16)),
    _conv("shift_dtype", "DTypeError", "shift", shift=ones(4, dtype=np.float64)),
    _conv("residual_dtype", "DTypeError", "residual", residual=ones(2, 4, 7, 7, dtype=np.float64)),
    _conv("out_dtype", "DTypeError", "out", out=ones(2, 4, 7, 7, dtype=np.float64)),
    _conv("uint8_image", "DTypeError", "x", x=ones(2, 8, 9, 9, dtype=np.uint8)),
    _conv("int64_image", "DTypeError", "x", x=ones(2, 8, 9, 9, dtype=np.int64)),
    _conv("bool_image", "DTypeError", "x", x=ones(2, 8, 9, 9, dtype=bool)),
    _conv("complex_image", "DTypeError", "x", x=ones(2, 8, 9, 9, dtype=np.complex64)),
    _conv("object_image", "DTypeError", "x", x=ones(2, 8, 9, 9, dtype=object)),
    _conv("string_image", "DTypeError", "x", x=np.full((2, 8, 9, 9), "a")),
    _conv("big_endian_image", "DTypeError", "x", x=ones(2, 8, 9, 9, dtype=">f4")),
    _conv("long_double_image", "DTypeError", "x", x=ones(2, 8, 9, 9, dtype=np.longdouble)),
    _conv("structured_image", "DTypeError", "x", x=np.zeros((2, 8, 9, 9), [("a", F32)])),
    _conv("text_as_x", "DTypeError", "x", x="image.png"),
    _conv("none_as_x", "DTypeError", "x", x=Ellipsis),
    _conv("dict_as_weight", "DTypeError", "weight", w={"w": 1}),
    _conv("float_dilation_array", "ParamError", "dilation", dilation=np.ones((4, 2))),
    _conv("list_as_out", "ParamError", "out", out=[1.0, 2.0]),
]
PARAMS = [
    _conv("zero_stride", "ParamError", "stride", stride=0),
    _conv("negative_stride", "ParamError", "stride", stride=-1),
    _conv("float_stride", "ParamError", "stride", stride=1.5),
    _conv("three_strides", "ParamError", "stride", stride=(1, 1, 1)),
    _conv("no_stride", "ParamError", "stride", stride=()),
    _conv("text_stride", "ParamError", "stride", stride="two"),
    _conv("huge_stride", "ParamError", "stride", stride=2**70),
    _conv("none_stride", "ParamError", "stride", stride=None),
    _conv("float_dilation_table", "ParamError", "dilation", dilation=[[1.0, 1.0]] * 4),
    _conv("ragged_dilation_table", "ParamError", "dilation", dilation=[[1, 1], [1]] * 2),
    _conv("zero_dilation", "ParamError", "dilation", dilation=0),
    _conv("negative_dilation", "ParamError", "dilation", dilation=(1, -2)),
    _conv(
        "own_dilation_rows",
        "ShapeError",
        "dilation",
        dilation=np.ones((3, 2), np.int64),
        padding="same",
    ),
    _conv(
        "own_dilation_axes",
        "ShapeError",
        "dilation",
        dilation=np.ones((4, 3), np.int64),
        padding="same",
    ),
    _conv(
        "own_dilation_zero",
        "ParamError",
        "dilation",
        dilation=np.zeros((4, 2), np.int64),
        padding="same",
    ),
    _conv(
        "own_dilation_lengths_differ",
        "ShapeError",
        "dilation",
        dilation=np.array([[1, 1], [2, 2], [1, 1], [1, 1]]),
        padding=1,
    ),
    _conv("zero_groups", "ParamError", "groups", groups=0),
    _conv("negative_groups", "ParamError", "groups", groups=-2),
    _conv("groups_do_not_divide_input", "ParamError", "groups", groups=3),
    _conv("groups_do_not_divide_output", "ParamError", "groups", w=ones(6, 2, 3, 3), groups=4),
    _conv("float_groups", "ParamError", "groups", groups=2.0),
    _conv("negative_padding", "ParamError", "padding", padding=-1),
    _conv("negative_padding_in_a_pair", "ParamError", "padding", padding=((0, 0), (-1, 2))),
    _conv("unknown_padding", "ParamError", "padding", padding="full"),
    _conv("three_paddings", "ParamError", "padding", padding=(1, 1, 1)),
    _conv("flat_pair_of_four", "ParamError", "padding", padding=(1, 1, 1, 1)),
    _conv("float_padding", "ParamError", "padding", padding=0.5),
    _conv("ragged_padding", "ParamError", "padding", padding=((1, 1), (1,))),
    _conv("huge_padding", "ParamError", "padding", padding=2**62),
    _conv("unknown_padding_mode", "ParamError", "padding_mode", padding_mode="mirror"),
    _conv("padding_mode_none", "ParamError", "padding_mode", padding_mode=None),
    _conv(
        "reflect_padding_of_the_length", "ParamError", "padding", padding=9, padding_mode="reflect"
    ),
    _conv(
        "circular_padding_beyond_the_length",
        "ParamError",
        "padding",
        padding=10,
        padding_mode="circular",
    ),
    _conv("unknown_layout", "ParamError", "layout", layout="NHWC"),
    _conv("unknown_activation", "ParamError", "activation", activation="swish7"),
    _conv("activation_without_a_value", "ParamError", "activation", activation=("relu", 2.0)),
    _conv("activation_number", "ParamError", "activation", activation=3),
    _conv("residual_order_unknown", "ParamError", "residual_order", residual_order="middle"),
    _conv("channels_outside", "ParamError", "channels", channels=(4, 12)),
    _conv("channels_reversed", "ParamError", "channels", channels=(6, 2)),
    _conv("channels_negative", "ParamError", "channels", channels=(-4, 8)),
    _conv("channels_of_three", "ParamError", "channels", channels=(0, 4, 8)),
    _conv("channels_text", "ParamError", "channels", channels="all"),
    _conv(
        "passthrough_unknown",
        "ParamError",
        "passthrough",
        w=ones(4, 4, 3, 3),
        padding=1,
        channels=(0, 4),
        passthrough="zero",
    ),
    _conv(
        "copy_with_stride",
        "ParamError",
        "stride",
        w=ones(4, 4, 3, 3),
        padding=1,
        channels=(0, 4),
        stride=2,
    ),
    _conv("copy_with_smaller_output", "ParamError", "padding", w=ones(4, 4, 3, 3), channels=(0, 4)),
    _conv(
        "copy_with_other_channel_count",
        "ShapeError",
        "weight",
        w=ones(6, 4, 3, 3),
        padding=1,
        channels=(0, 4),
    ),
    _conv("read_only_out", "ParamError", "out", out=_read_only),
    _conv("out_overlaps_x", "ParamError", "out", x=_shared, out=_shared[:, :4, 1:8, 1:8]),
    _conv("out_is_residual", "ParamError", "out", residual=_result, out=_result),
    _conv("out_overlaps_weight", "ParamError", "out", w=_with_out[0], out=_with_out[1]),
    _conv(
        "in_place_alone", "ParamError", "out", x=_square, w=ones(8, 8, 3, 3), padding=1, out=_square
    ),
    _conv(
        "in_place_shifted_range",
        "ParamError",
        "out",
        x=_tall[:2],
        w=ones(4, 4, 3, 3),
        padding=1,
        channels=(0, 4),
        out=_tall[1:],
    ),
    _conv(
        "out_with_repeated_elements",
        "LayoutError",
        "out",
        out=np.lib.stride_tricks.as_strided(ones(7), (2, 4, 7, 7), (0, 0, 0, 4)),
    ),
    _conv("zero_threads", "ParamError", "threads", threads=0),
    _conv("negative_threads", "ParamError", "threads", threads=-3),
    _conv("text_threads", "ParamError", "threads", threads="many"),
]
OTHERS = [
    wrong(
        "transposed_weight_channels",
        "conv_transpose2d",
        "ShapeError",
        "weight",
        ones(1, 8, 5, 5),
        ones(4, 8, 3, 3),
    ),
    wrong(
        "transposed_output_padding",
        "conv_transpose2d",
        "ParamError",
        "output_padding",
        ones(1, 8, 5, 5),
        ones(8, 4, 3, 3),
        stride=2,
        output_padding=2,
    ),
    wrong(
        "transposed_negative_output_padding",
        "conv_transpose2d",
        "ParamError",
        "output_padding",
        ones(1, 8, 5, 5),
        ones(8, 4, 3, 3),
        stride=2,
        output_padding=-1,
    ),
    wrong(
        "transposed_groups",
        "conv_transpose2d",
        "ParamError",
        "groups",
        ones(1, 8, 5, 5),
        ones(8, 4, 3, 3),
        groups=3,
    ),
    wrong(
        "transposed_nothing_left",
        "conv_transpose1d",
        "ShapeError",
        "padding",
        ones(1, 2, 3),
        ones(2, 2, 3),
        padding=4,
    ),
    wrong(
        "transposed_unknown_padding",
        "conv_transpose2d",
        "ParamError",
        "padding",
        ones(1, 8, 5, 5),
        ones(8, 4, 3, 3),
        padding="full",
    ),
    wrong(
        "transposed_padding_mode",
        "conv_transpose2d",
        "ParamError",
        "padding_mode",
        ones(1, 8, 5, 5),
        ones(8, 4, 3, 3),
        padding_mode="reflect",
    ),
    wrong("row_of_an_image", "conv1d", "ShapeError", "x", ones(1, 2, 8, 9), ones(4, 2, 3)),
    wrong(
        "row_flat_triple",
        "conv1d",
        "ParamError",
        "padding",
        ones(2, 9),
        ones(4, 2, 3),
        padding=(1, 2, 3),
    ),
    wrong(
        "volume_weight_rank",
        "conv3d",
        "ShapeError",
        "weight",
        ones(1, 2, 5, 5, 5),
        ones(4, 2, 3, 3),
    ),
    wrong("window_zero", "max_pool2d", "ParamError", "window", ones(1, 2, 8, 8), 0),
    wrong("window_negative", "avg_pool2d", "ParamError", "window", ones(1, 2, 8, 8), (3, -3)),
    wrong("window_of_three", "avg_pool2d", "ParamError", "window", ones(1, 2, 8, 8), (3, 3, 3)),
    wrong("window_larger_than_image", "max_pool2d", "ShapeError", "x", ones(1, 2, 8, 8), 9),
    wrong(
        "window_in_padding", "max_pool2d", "ParamError", "padding", ones(1, 2, 8, 8), 2, padding=2
    ),
    wrong(
        "window_in_padding_row",
        "max_pool1d",
        "ParamError",
        "padding",
        ones(1, 2, 8),
        3,
        padding=(0, 4),
        stride=1,
    ),
    wrong("pool_stride_zero", "avg_pool1d", "ParamError", "stride", ones(1, 2, 8), 2, stride=0),
    wrong("pool_image_dtype", "max_pool2d", "DTypeError", "x", ones(1, 2, 8, 8, dtype=np.uint8), 2),
    wrong("pool_image_rank", "max_pool3d", "ShapeError", "x", ones(2, 8, 8), 2),
    wrong("reduce_axis", "sliding_reduce", "ParamError", "axis", ones(4, 9), 3, axis=2),
    wrong("reduce_op", "sliding_reduce", "ParamError", "op", ones(4, 9), 3, op="median"),
    wrong("reduce_window", "sliding_reduce", "ShapeError", "x", ones(4, 9), 10),
    wrong("reduce_window_zero", "sliding_reduce", "ParamError", "window", ones(4, 9), 0),
    wrong("reduce_scalar", "sliding_reduce", "ParamError", "axis", np.float32(1), 1),
    wrong("block_does_not_divide", "space_to_depth", "ShapeError", "x", ones(1, 2, 7, 8), 2),
    wrong("block_zero", "space_to_depth", "ParamError", "block", ones(1, 2, 8, 8), 0),
    wrong(
        "block_order", "space_to_depth", "ParamError", "order", ones(1, 2, 8, 8), 2, order="onnx"
    ),
    wrong("block_channels", "depth_to_space", "ShapeError", "x", ones(1, 6, 8, 8), 2),
    wrong("block_rank", "depth_to_space", "ShapeError", "x", ones(8, 8), 2),
]


BAD_CALLS: list[BadCall] = [
    *ATTENTION,
    *DEFORM,
    *DYNAMIC,
    *GATES,
    *LONG,
    *LONG2D,
    *SHAPES,
    *DTYPES,
    *PARAMS,
    *OTHERS,
    *MASKED,
]
