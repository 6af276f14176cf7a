"""Directed cases of the weight's gradient: the geometries of the convolutions, and long sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from cases import conv_transpose, sliding_conv
from cases.case import Case, Shape, Workload, both_layouts, conv_flops
from cases.grad import GradCase, grad_case


def _case(name: str, x: Shape, weight: Shape, *, fill: str = "normal", **kwargs: Any) -> Case:
    return Case(name, f"conv{len(weight) - 2}d", x, weight, kwargs, (), fill)


_OWN = both_layouts(
    [
        _case("long_batch", (70, 3, 5, 6), (4, 3, 3, 3), padding=1),
        _case("long_batch_constant", (70, 3, 9, 10), (4, 3, 3, 3), padding=1, fill="constant"),
        _case("long_row_constant", (1, 2, 9000), (3, 2, 3), padding=1, fill="constant"),
        _case("large_image_constant", (1, 1, 150, 151), (2, 1, 3, 3), padding=1, fill="constant"),
        _case("depthwise_constant", (3, 17, 40, 41), (17, 1, 3, 3), groups=17, fill="constant"),
        _case("many_outputs", (2, 5, 9, 11), (67, 5, 3, 3), padding=1),
        _case("many_inputs", (2, 131, 5, 7), (9, 131, 3, 3), padding=1),
        _case("outputs_beyond_tile", (1, 2, 8, 40), (21, 2, 1, 3), padding=(0, 1)),
        _case("pointwise_strided", (2, 19, 9, 12), (33, 19, 1, 1), stride=2),
        _case("depthwise_many_taps", (1, 33, 20, 22), (33, 1, 9, 9), groups=33, padding=4),
        _case("depthwise_batch", (5, 65, 7, 7), (65, 1, 3, 3), groups=65, padding=1),
        _case(
            "depthwise_strided_dilated",
            (2, 21, 17, 19),
            (21, 1, 3, 3),
            groups=21,
            padding=2,
            stride=(1, 2),
            dilation=2,
        ),
        _case("depthwise_volume", (1, 18, 5, 6, 9), (18, 1, 3, 3, 3), groups=18, padding=1),
        _case("rows_of_a_wide_image", (1, 1, 3, 5000), (1, 1, 3, 3), padding=1),
    ]
)


def _is_plain(case: Case) -> bool:
    size = int(np.prod(case.x)) * int(np.prod(case.weight or ()))
    return set(case.extras) <= {"bias"} and "activation" not in case.kwargs and size < 40_000_000


_FORWARD = [c for c in sliding_conv.CASES if _is_plain(c) and "scale" not in c.id]
_UP = [c for c in conv_transpose.CASES if _is_plain(c)]
CASES: list[GradCase] = [
    grad_case(c, "conv_weight_grad", ("weight",))
    for c in _OWN + _FORWARD[::2] + _FORWARD[1::4] + _UP[::3]
]


def _workload(name: str, x: Shape, weight: Shape, stride: int = 1, **kwargs: Any) -> Workload:
    padding = tuple(k // 2 for k in weight[2:])
    out = tuple(-(-n // stride) for n in x[2:])
    shapes = {"dy": (x[0], weight[0], *out), "x": x, "weight": weight}
    keywords = {"padding": padding, **({"stride": stride} if stride > 1 else {}), **kwargs}
    keywords["needs"] = ("weight",)
    return Workload(name, "grad.conv2d", shapes, keywords, conv_flops(x[0], weight, out))


WORKLOADS: list[Workload] = [
    _workload("dweight_3x3_64_56", (1, 64, 56, 56), (64, 64, 3, 3)),
    _workload("dweight_3x3_128_28", (1, 128, 28, 28), (128, 128, 3, 3)),
    _workload("dweight_3x3_256_14", (1, 256, 14, 14), (256, 256, 3, 3)),
    _workload("dweight_stem_3_32_224", (1, 3, 224, 224), (32, 3, 3, 3)),
    _workload("dweight_pointwise_96_384_56", (1, 96, 56, 56), (384, 96, 1, 1)),
    _workload("dweight_depthwise_3x3_96_56", (1, 96, 56, 56), (96, 1, 3, 3), groups=96),
    _workload("dweight_depthwise_7x7_96_56", (1, 96, 56, 56), (96, 1, 7, 7), groups=96),
]
