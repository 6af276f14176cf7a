"""Directed cases of conv1d, conv2d and conv3d, and the bench shapes of the convolution targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases.case import Case, Shape, Workload, both_layouts, conv_flops


def _case(
    name: str, x: Shape, weight: Shape, *extras: str, fill: str = "normal", **kwargs: Any
) -> Case:
    return Case(name, f"conv{len(weight) - 2}d", x, weight, kwargs, extras, fill)


EPILOGUE = ("bias", "scale", "shift", "residual")
ACTIVATIONS = (
    "relu",
    "relu6",
    "leaky_relu",
    ("leaky_relu", 0.3),
    "elu",
    ("elu", 0.5),
    "gelu",
    "gelu_tanh",
    "silu",
    "sigmoid",
    "hardsigmoid",
    "hardswish",
    "tanh",
    "softplus",
)

_SMALL = [
    _case("one_tap", (1, 1, 5, 5), (1, 1, 1, 1)),
    _case("one_pixel", (1, 3, 1, 1), (2, 3, 3, 3), "bias", padding=1),
    _case("below_one_vector", (2, 2, 3, 3), (3, 2, 2, 2)),
    _case("window_equals_input", (1, 2, 6, 9), (2, 2, 6, 9)),
    _case("prime_channels", (1, 13, 11, 17), (7, 13, 3, 3), "bias", padding=1),
    _case("one_column", (1, 4, 19, 1), (5, 4, 3, 1), padding=(1, 0)),
    _case("one_row", (1, 4, 1, 37), (5, 4, 1, 3), padding=(0, 1)),
    _case("even_kernel", (1, 3, 10, 12), (4, 3, 4, 2), "bias", padding=((1, 2), (0, 1))),
    _case("even_kernel_same", (1, 3, 10, 12), (4, 3, 4, 2), padding="same"),
    _case("empty_batch", (0, 3, 8, 8), (4, 3, 3, 3), "bias", padding=1),
    _case("no_output_channels", (2, 3, 8, 8), (0, 3, 3, 3)),
    _case("no_input_channels", (2, 0, 8, 8), (4, 0, 3, 3), "bias"),
    _case("empty_image", (2, 3, 0, 8), (4, 3, 3, 3), padding="same"),
]
_GEOMETRY = [
    _case("valid", (1, 5, 12, 20), (6, 5, 3, 5), padding="valid"),
    _case("same_dilated", (1, 4, 15, 33), (8, 4, 3, 3), padding="same", dilation=(2, 3)),
    _case("same_tf_even_length", (1, 3, 16, 32), (8, 3, 3, 3), padding="same_tf", stride=2),
    _case("same_tf_odd_length", (1, 3, 17, 35), (8, 3, 4, 4), padding="same_tf", stride=(2, 3)),
    _case("causal_first_axis", (1, 3, 9, 20), (4, 3, 4, 3), "bias", padding="causal"),
    _case("one_sided_before", (1, 2, 9, 21), (3, 2, 3, 3), padding=((2, 0), (2, 0))),
    _case("one_sided_after", (1, 2, 9, 21), (3, 2, 3, 3), padding=((0, 2), (0, 2))),
    _case("padding_wider_than_kernel", (1, 2, 5, 6), (3, 2, 3, 3), "bias", padding=(5, 7)),
    _case("kernel_larger_than_input", (1, 2, 4, 5), (3, 2, 7, 9), padding=(3, 4)),
    _case("stride_two", (1, 6, 17, 40), (8, 6, 3, 3), "bias", stride=2, padding=1),
    _case("stride_two_few_channels", (1, 3, 33, 67), (32, 3, 3, 3), "bias", stride=2, padding=1),
    _case("stride_gt_kernel", (1, 3, 23, 41), (4, 3, 2, 2), stride=(3, 5)),
    _case("stride_three_wide_kernel", (1, 1, 20, 100), (2, 1, 5, 7), stride=(1, 3), padding=2),
    _case("dilated", (1, 5, 20, 45), (9, 5, 3, 3), padding=4, dilation=4),
    _case("dilation_beyond_width", (1, 2, 9, 6), (3, 2, 3, 3), padding=(3, 7), dilation=(3, 7)),
    _case("dilated_strided", (1, 4, 21, 50), (5, 4, 3, 4), stride=(2, 3), dilation=(3, 2)),
    _case("unbatched", (3, 12, 18), (5, 3, 3, 3), "bias", padding=1),
    _case("batch_of_three", (3, 4, 9, 18), (6, 4, 3, 3), "bias", padding=1),
]
_GROUPS = [
    _case("depthwise_3x3", (2, 19, 14, 30), (19, 1, 3, 3), "bias", groups=19, padding=1),
    _case("depthwise_5x5", (1, 32, 12, 33), (32, 1, 5, 5), groups=32, padding=2),
    _case("depthwise_7x7", (1, 24, 14, 14), (24, 1, 7, 7), "bias", groups=24, padding=3),
    _case("depthwise_stride_two", (1, 17, 15, 35), (17, 1, 3, 3), groups=17, padding=1, stride=2),
    _case("depthwise_dilated", (1, 16, 16, 30), (16, 1, 5, 5), groups=16, padding=6, dilation=3),
    _case("depthwise_multiplier_two", (1, 9, 10, 20), (18, 1, 3, 3), "bias", groups=9, padding=1),
    _case("depthwise_31x31", (1, 5, 20, 36), (5, 1, 31, 31), groups=5, padding=15),
    _case("depthwise_even", (1, 8, 11, 13), (8, 1, 2, 4), groups=8, padding="same"),
    _case("two_channels_a_group", (1, 10, 9, 21), (15, 2, 3, 3), groups=5, padding=1),
    _case("three_channels_a_group", (1, 9, 9, 21), (6, 3, 3, 3), "bias", groups=3, padding=1),
    _case("four_channels_a_group", (1, 16, 9, 19), (8, 4, 3, 3), groups=4),
    _case("five_channels_a_group", (1, 20, 7, 18), (12, 5, 3, 3), groups=4, padding=1),
    _case("group_wider_than_block", (1, 34, 7, 18), (38, 17, 3, 3), "bias", groups=2, padding=1),
]
_DENSE = [
    _case("width_7", (1, 24, 7, 7), (16, 24, 3, 3), "bias", padding=1),
    _case("width_14", (1, 16, 14, 14), (33, 16, 3, 3), padding=1),
    _case("outputs_not_multiple_of_8", (1, 16, 10, 26), (37, 16, 3, 3), "bias", padding=1),
    _case("wide_row", (1, 3, 4, 1031), (5, 3, 3, 3), "bias", padding=1),
    _case("wide_row_dense", (1, 16, 3, 1031), (17, 16, 3, 3), padding=1),
    _case("tall", (1, 2, 1037, 5), (3, 2, 3, 3), padding=1),
    _case("filter_31x31", (1, 1, 45, 70), (1, 1, 31, 31), padding=15),
    _case("filter_5x5", (1, 1, 40, 130), (1, 1, 5, 5), "bias", padding=2),
    _case("filter_9x9", (1, 1, 30, 77), (2, 1, 9, 9), padding=4),
    _case("row_filter", (1, 1, 9, 200), (1, 1, 1, 63), padding=(0, 31)),
    _case("column_filter", (1, 1, 90, 37), (1, 1, 63, 1), padding=(31, 0)),
    _case("many_channels", (1, 530, 5, 9), (9, 530, 3, 3), "bias", padding=1),
    _case("many_channels_constant", (1, 530, 6, 17), (9, 530, 3, 3), fill="constant"),
    _case("long_window_constant", (1, 1, 40, 52), (1, 1, 33, 33), fill="constant"),
    _case("pointwise", (2, 33, 9, 14), (21, 33, 1, 1), "bias"),
    _case("pointwise_many_channels", (1, 600, 4, 9), (24, 600, 1, 1), fill="constant"),
    _case("pointwise_stride_two", (1, 20, 9, 15), (24, 20, 1, 1), stride=2),
    _case("pointwise_padded", (1, 5, 6, 7), (8, 5, 1, 1), "bias", padding=1),
]
_ONE_D = [
    _case("row_one_tap", (1, 1, 9), (1, 1, 1)),
    _case("row_100k_k3", (1, 1, 100_003), (1, 1, 3), padding=1),
    _case("row_k31", (1, 1, 5000), (1, 1, 31), "bias", padding=15),
    _case("row_k300_constant", (1, 1, 2000), (1, 1, 300), padding="causal", fill="constant"),
    _case("row_k1000", (1, 1, 3001), (2, 1, 1000)),
    _case("row_causal_depthwise_k4", (2, 24, 200), (24, 1, 4), "bias", padding="causal", groups=24),
    _case("row_depthwise_k31", (1, 18, 300), (18, 1, 31), padding="same", groups=18),
    _case("row_dense", (2, 16, 130), (24, 16, 5), "bias", padding=(1, 3)),
    _case("row_strided", (1, 3, 1001), (4, 3, 7), stride=4, padding=3),
    _case("row_dilated_causal", (1, 6, 400), (6, 6, 3), padding="causal", dilation=64),
    _case("row_unbatched", (4, 50), (3, 4, 3), "bias", padding=1),
]
_THREE_D = [
    _case("volume", (1, 3, 5, 6, 19), (4, 3, 3, 3, 3), "bias", padding=1),
    _case("volume_depthwise", (1, 9, 4, 7, 18), (9, 1, 3, 3, 3), groups=9, padding=1),
    _case("volume_strided", (1, 4, 7, 8, 17), (9, 4, 3, 2, 3), stride=(2, 2, 1), padding="same"),
    _case("volume_causal_dilated", (2, 2, 6, 7, 9), (3, 2, 2, 3, 3), padding="causal", dilation=2),
    _case("volume_pointwise", (1, 8, 3, 4, 10), (16, 8, 1, 1, 1)),
    _case("volume_unbatched", (2, 4, 5, 9), (3, 2, 2, 2, 2), "bias"),
]
# More than 512 terms along channels and along each axis: sums in parts, whichever way they are cut.
_LONG_SUMS = [
    _case("long_row_dense", (1, 2, 640), (9, 2, 600), "bias", padding=(0, 300)),
    _case("long_row_depthwise", (1, 17, 760), (17, 1, 700), groups=17, fill="constant"),
    _case("long_row_two_a_group", (1, 6, 560), (6, 2, 530), groups=3),
    _case("long_kernel_row", (1, 1, 3, 640), (2, 1, 2, 600), "bias"),
    _case("long_kernel_column", (1, 2, 640, 5), (3, 2, 600, 2), padding=(5, 1)),
    _case("long_kernel_depthwise", (1, 9, 30, 33), (9, 1, 29, 25), groups=9, padding=(14, 12)),
    _case("long_volume", (1, 1, 10, 11, 20), (2, 1, 9, 9, 9), padding=1),
    _case("long_volume_depthwise", (1, 9, 10, 10, 12), (9, 1, 9, 9, 9), "bias", groups=9),
    _case("long_volume_channels", (1, 40, 4, 5, 9), (9, 40, 3, 3, 3), padding=1, fill="constant"),
    _case("long_channels_grouped", (1, 1050, 4, 19), (10, 525, 2, 2), "bias", groups=2),
    _case(
        "long_channels_partial", (1, 65, 7, 18), (5, 65, 3, 3), padding=1, padding_mode="partial"
    ),
    _case("long_channels_epilogue", (1, 65, 7, 18), (20, 65, 3, 3), *EPILOGUE, activation="silu"),
]
_MODES = [
    _case(f"{mode}_{name}", x, w, "bias", padding_mode=mode, **kwargs)
    for mode in ("reflect", "replicate", "circular", "partial")
    for name, x, w, kwargs in [
        ("dense", (1, 4, 9, 19), (9, 4, 3, 3), {"padding": 1}),
        ("depthwise", (1, 9, 10, 21), (9, 1, 5, 5), {"padding": 2, "groups": 9}),
        ("uneven", (1, 1, 8, 40), (1, 1, 4, 5), {"padding": ((2, 1), (0, 4))}),
        ("strided", (1, 3, 9, 30), (4, 3, 3, 3), {"padding": 1, "stride": 2}),
        ("dilated", (1, 2, 9, 30), (3, 2, 3, 3), {"padding": 4, "dilation": 4}),
        ("largest", (1, 2, 6, 7), (2, 2, 3, 3), {"padding": (5, 6)}),
        ("row", (1, 2, 60), (3, 2, 7), {"padding": 3}),
        ("volume", (1, 2, 4, 5, 9), (3, 2, 3, 3, 3), {"padding": 1}),
        ("causal", (1, 3, 40), (3, 1, 5), {"padding": "causal", "groups": 3}),
    ]
]
_MODES += [
    _case(
        "circular_full_length", (1, 2, 6, 7), (2, 2, 3, 3), padding=(6, 7), padding_mode="circular"
    ),
    _case(
        "replicate_beyond_length", (1, 2, 3, 4), (2, 2, 5, 5), padding=9, padding_mode="replicate"
    ),
    _case(
        "partial_without_a_tap",
        (1, 2, 5, 6),
        (3, 2, 3, 3),
        "bias",
        padding=4,
        padding_mode="partial",
    ),
]
_OWN_DILATION = [
    _case(
        "own_dilation",
        (1, 4, 12, 30),
        (6, 4, 3, 3),
        *EPILOGUE,
        padding="same",
        dilation=np.array([[1, 1], [2, 1], [1, 3], [4, 4], [2, 1], [3, 2]]),
    ),
    _case(
        "own_dilation_grouped_strided",
        (1, 6, 13, 25),
        (8, 3, 3, 3),
        padding="same",
        stride=2,
        groups=2,
        dilation=np.array([[d, d] for d in (1, 2, 3, 4, 4, 3, 2, 1)]),
    ),
    _case(
        "own_dilation_depthwise",
        (1, 5, 40),
        (5, 1, 3),
        padding="causal",
        groups=5,
        dilation=np.array([[1], [2], [4], [8], [16]]),
    ),
    _case(
        "own_dilation_all_alike",
        (1, 3, 9, 20),
        (4, 3, 3, 3),
        padding=2,
        dilation=np.full((4, 2), 2),
    ),
]
_CHANNEL_RANGE = [
    _case(
        "range_copied",
        (2, 20, 9, 18),
        (6, 6, 3, 3),
        "bias",
        "scale",
        "shift",
        padding=1,
        channels=(3, 9),
        activation="relu",
    ),
    _case(
        "range_residual",
        (1, 11, 9, 18),
        (4, 4, 3, 3),
        "residual",
        padding=1,
        channels=(5, 9),
        activation="relu",
    ),
    _case(
        "range_alone", (1, 20, 9, 18), (10, 6, 3, 3), padding=1, channels=(2, 8), passthrough="none"
    ),
    _case(
        "range_alone_strided",
        (1, 12, 9, 18),
        (4, 5, 3, 3),
        stride=2,
        channels=(7, 12),
        passthrough="none",
    ),
    _case("range_of_all", (1, 8, 7, 20), (8, 8, 3, 3), padding=1, channels=(0, 8)),
    _case("range_depthwise", (1, 16, 7, 20), (4, 1, 3, 3), padding=1, channels=(4, 8), groups=4),
]
_EPILOGUES = [
    _case(
        f"activation_{a if isinstance(a, str) else '_'.join(map(str, a))}",
        (1, 6, 9, 33),
        (9, 6, 3, 3),
        "bias",
        padding=1,
        activation=a,
    )
    for a in ACTIVATIONS
] + [
    _case("epilogue_all", (1, 6, 9, 21), (9, 6, 3, 3), *EPILOGUE, padding=1, activation="relu"),
    _case(
        "epilogue_residual_before",
        (1, 6, 9, 21),
        (9, 6, 3, 3),
        *EPILOGUE,
        padding=1,
        activation="silu",
        residual_order="before",
    ),
    _case(
        "epilogue_depthwise",
        (1, 12, 9, 21),
        (12, 1, 3, 3),
        *EPILOGUE,
        padding=1,
        groups=12,
        activation="hardswish",
    ),
    _case("epilogue_pointwise", (1, 12, 9, 21), (17, 12, 1, 1), *EPILOGUE, activation="gelu"),
    _case("epilogue_scale_alone", (1, 1, 9, 40), (1, 1, 3, 3), "scale"),
    _case("epilogue_shift_alone", (1, 1, 9, 40), (1, 1, 3, 3), "shift"),
    _case("epilogue_residual_alone", (1, 1, 9, 40), (1, 1, 3, 3), "residual"),
    _case(
        "epilogue_row",
        (2, 5, 70),
        (5, 1, 4),
        *EPILOGUE,
        groups=5,
        padding="causal",
        activation="gelu_tanh",
    ),
    _case(
        "epilogue_partial_border",
        (1, 3, 6, 20),
        (4, 3, 3, 3),
        "bias",
        "scale",
        "shift",
        padding=2,
        padding_mode="partial",
        activation="sigmoid",
    ),
]

CASES: list[Case] = both_layouts(
    _SMALL
    + _GEOMETRY
    + _GROUPS
    + _DENSE
    + _ONE_D
    + _THREE_D
    + _LONG_SUMS
    + _MODES
    + _OWN_DILATION
    + _CHANNEL_RANGE
    + _EPILOGUES
)


def _square(name: str, x: Shape, weight: Shape, *, stride: int = 1, **kwargs: Any) -> Workload:
    """A same-size (or strided) 2-D convolution with odd kernel."""
    padding = tuple(k // 2 for k in weight[2:])
    out = tuple(-(-n // stride) for n in x[2:])
    shapes = {"x": x, "weight": weight}
    keywords = {"padding": padding, **({"stride": stride} if stride > 1 else {}), **kwargs}
    return Workload(name, "conv2d", shapes, keywords, conv_flops(x[0], weight, out))


def _row(name: str, x: Shape, weight: Shape, **kwargs: Any) -> Workload:
    shapes = {"x": x, "weight": weight}
    return Workload(name, "conv1d", shapes, kwargs, conv_flops(x[0], weight, x[2:]))


WORKLOADS: list[Workload] = [
    _square("filter_5x5_512", (1, 1, 512, 512), (1, 1, 5, 5)),
    _square("filter_15x15_512", (1, 1, 512, 512), (1, 1, 15, 15)),
    *(_square(f"filter_{k}x{k}_1024", (1, 1, 1024, 1024), (1, 1, k, k)) for k in (3, 9, 31)),
    *(
        _square(f"depthwise_{k}x{k}_96_56", (1, 96, 56, 56), (96, 1, k, k), groups=96)
        for k in (3, 5, 7, 11, 15, 31)
    ),
    _square("dense_3x3_64_56", (1, 64, 56, 56), (64, 64, 3, 3)),
    _square("dense_3x3_128_28", (1, 128, 28, 28), (128, 128, 3, 3)),
    _square("dense_3x3_256_14", (1, 256, 14, 14), (256, 256, 3, 3)),
    _square("stem_3x3_3_32_224", (1, 3, 224, 224), (32, 3, 3, 3)),
    _square("stem_3x3_3_32_224_stride_2", (1, 3, 224, 224), (32, 3, 3, 3), stride=2),
    _square("pointwise_96_384_56", (1, 96, 56, 56), (384, 96, 1, 1)),
    Workload(
        "partial_channels_24_of_96_56",
        "conv2d",
        {"x": (1, 96, 56, 56), "weight": (24, 24, 3, 3)},
        {"padding": 1, "channels": (0, 24)},
        conv_flops(1, (24, 24, 3, 3), (56, 56)),
    ),
    _row("row_k3_1m", (1, 1, 1_000_000), (1, 1, 3), padding=1),
    _row("row_k31_1m", (1, 1, 1_000_000), (1, 1, 31), padding=15),
    _row("row_depthwise_k4_4x768x2048", (4, 768, 2048), (768, 1, 4), padding="causal", groups=768),
    _row(
        "row_depthwise_k4_1536x2048", (1, 1536, 2048), (1536, 1, 4), padding="causal", groups=1536
    ),
    _row("row_depthwise_k31_512x2048", (1, 512, 2048), (512, 1, 31), padding="same", groups=512),
]
