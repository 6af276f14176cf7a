"""Directed cases of the transposed convolutions."""

from __future__ import annotations

from typing import Any

from cases.case import Case, Shape, Workload, both_layouts


def _case(
    name: str, x: Shape, weight: Shape, *extras: str, fill: str = "normal", **kwargs: Any
) -> Case:
    return Case(name, f"conv_transpose{len(weight) - 2}d", x, weight, kwargs, extras, fill)


CASES: list[Case] = both_layouts(
    [
        _case("up_one_tap", (1, 3, 4, 5), (3, 2, 1, 1), "bias"),
        _case("up_one_pixel", (1, 2, 1, 1), (2, 3, 3, 3)),
        _case("up_stride_1", (1, 4, 9, 17), (4, 6, 3, 3), "bias", padding=1),
        _case("up_stride_2", (2, 5, 7, 11), (5, 7, 2, 2), "bias", stride=2),
        _case("up_stride_2_k4", (1, 6, 8, 19), (6, 9, 4, 4), stride=2, padding=1),
        _case("up_stride_gt_kernel", (1, 3, 5, 9), (3, 4, 2, 2), "bias", stride=(3, 4)),
        _case(
            "up_output_padding",
            (1, 3, 6, 9),
            (3, 4, 3, 3),
            "bias",
            stride=2,
            padding=1,
            output_padding=1,
        ),
        _case(
            "up_output_padding_dilated", (1, 3, 6, 9), (3, 4, 3, 3), dilation=3, output_padding=2
        ),
        _case("up_dilated_strided", (1, 4, 6, 9), (4, 3, 3, 3), stride=2, dilation=3, padding=2),
        _case(
            "up_dilation_equals_stride", (1, 4, 6, 9), (4, 3, 3, 3), "bias", stride=2, dilation=2
        ),
        _case("up_one_sided_padding", (1, 3, 6, 9), (3, 4, 3, 3), padding=((2, 0), (0, 1))),
        _case("up_padding_beyond_kernel", (1, 3, 9, 12), (3, 4, 3, 3), padding=4),
        _case("up_valid", (1, 3, 6, 9), (3, 4, 3, 2), stride=2, padding="valid"),
        _case("up_same", (1, 3, 6, 9), (3, 4, 3, 4), "bias", padding="same"),
        _case("up_same_dilated", (2, 3, 6, 9), (3, 4, 3, 2), stride=2, dilation=2, padding="same"),
        _case("up_causal", (2, 4, 11), (4, 3, 4), stride=2, padding="causal"),
        _case("up_same_tf", (1, 3, 6, 9), (3, 4, 3, 4), "bias", stride=2, padding="same_tf"),
        _case("up_same_tf_wide", (1, 3, 6, 9), (3, 4, 2, 5), stride=3, padding="same_tf"),
        _case("up_groups", (1, 12, 6, 17), (12, 5, 3, 3), "bias", groups=3, stride=2, padding=1),
        _case(
            "up_depthwise", (1, 11, 6, 19), (11, 1, 4, 4), "bias", groups=11, stride=2, padding=1
        ),
        _case("up_depthwise_multiplier", (1, 6, 6, 9), (6, 2, 3, 3), groups=6, padding=1),
        _case("up_many_channels_constant", (1, 530, 4, 9), (530, 6, 3, 3), fill="constant"),
        _case("up_empty_batch", (0, 3, 4, 5), (3, 2, 3, 3)),
        _case("up_no_output_channels", (1, 3, 4, 5), (3, 0, 3, 3)),
        _case("up_unbatched", (3, 5, 8), (3, 4, 3, 3), "bias", stride=2),
        _case("up_row", (2, 4, 33), (4, 6, 5), "bias", stride=3, padding=2, output_padding=2),
        _case("up_row_flat_pair", (1, 4, 33), (4, 6, 5), padding=(1, 3)),
        _case("up_volume", (1, 3, 3, 4, 9), (3, 4, 3, 2, 3), "bias", stride=(2, 1, 2), padding=1),
        _case("up_volume_groups", (1, 4, 3, 4, 5), (4, 2, 2, 2, 2), groups=2, stride=2),
    ]
)


def _upsample(name: str, channels: int, out_channels: int, side: int, kernel: int) -> Workload:
    shapes = {"x": (1, channels, side, side), "weight": (channels, out_channels, kernel, kernel)}
    flops = 2 * channels * out_channels * kernel**2 * side**2
    padding = {"padding": (kernel - 2) // 2} if kernel > 2 else {}
    return Workload(name, "conv_transpose2d", shapes, {"stride": 2, **padding}, flops)


WORKLOADS: list[Workload] = [
    _upsample("up_2x2_64_64_56", 64, 64, 56, 2),
    _upsample("up_4x4_64_32_56", 64, 32, 56, 4),
]
