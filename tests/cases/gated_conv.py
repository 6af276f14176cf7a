"""Directed cases of gated_conv1d, 2d and 3d, and their bench shapes."""

from __future__ import annotations

from typing import Any

from cases.case import Case, Shape, Workload, both_layouts, conv_flops


def _case(name: str, x: Shape, weight: Shape, *extras: str, **kwargs: Any) -> Case:
    return Case(f"gate_{name}", f"gated_conv{len(weight) - 2}d", x, weight, kwargs, extras)


_GATES = ("sigmoid", "hardsigmoid", "identity", "tanh", "relu")
EPILOGUE = ("bias", "scale", "shift", "residual")

CASES: list[Case] = both_layouts(
    [
        _case("dense", (2, 6, 9, 21), (10, 6, 3, 3), "bias", padding=1),
        _case("dense_many", (1, 24, 11, 37), (66, 24, 3, 3), "bias", padding=1),
        _case("few_outputs", (1, 3, 12, 40), (2, 3, 5, 5), padding=2),
        _case("three_outputs", (1, 3, 12, 40), (6, 3, 3, 3), "bias", padding=1),
        _case("depthwise", (1, 19, 12, 33), (38, 1, 3, 3), "bias", groups=19, padding=1),
        _case("depthwise_two", (1, 9, 12, 33), (36, 1, 3, 3), "bias", groups=9, padding=1),
        _case("depthwise_five", (1, 34, 9, 18), (68, 1, 5, 5), groups=34, padding=2, stride=2),
        _case("groups", (1, 12, 9, 21), (24, 4, 3, 3), "bias", groups=3, padding=1),
        _case("pointwise", (2, 17, 9, 14), (46, 17, 1, 1), "bias"),
        _case("epilogue", (2, 5, 9, 18), (12, 5, 3, 3), *EPILOGUE, padding=1, activation="gelu"),
        _case("gate_first", (1, 5, 9, 18), (12, 5, 3, 3), *EPILOGUE, order="gate_first"),
        _case(
            "gate_first_depthwise",
            (1, 18, 9, 18),
            (36, 1, 3, 3),
            "bias",
            groups=18,
            order="gate_first",
        ),
        _case("no_activation", (1, 5, 9, 18), (12, 5, 3, 3), activation=None),
        _case("strided_dilated", (1, 4, 21, 40), (8, 4, 3, 4), "bias", stride=2, dilation=(2, 3)),
        _case("partial_padding", (1, 4, 9, 20), (10, 4, 3, 3), "bias", padding=2,
              padding_mode="partial"),
        _case("reflect", (1, 4, 9, 20), (10, 4, 3, 3), "bias", padding=2, padding_mode="reflect"),
        _case("range", (1, 9, 9, 20), (8, 4, 3, 3), "bias", padding=1, channels=(2, 6)),
        _case("range_only", (1, 9, 9, 20), (10, 4, 3, 3), padding=1, channels=(2, 6),
              passthrough="none"),
        _case("many_channels", (1, 300, 5, 9), (18, 300, 3, 3), "bias", padding=1),
        _case("row", (2, 5, 130), (14, 5, 4), "bias", padding="causal"),
        _case("volume", (1, 3, 4, 6, 19), (8, 3, 3, 3, 3), "bias", padding=1),
        _case("unbatched", (3, 12, 18), (10, 3, 3, 3), "bias", padding=1),
        _case("empty_batch", (0, 3, 8, 8), (8, 3, 3, 3), "bias"),
        _case("no_outputs", (1, 3, 8, 8), (0, 3, 3, 3)),
        *(
            _case(f"by_{g}", (1, 4, 7, 18), (12, 4, 3, 3), "bias", gate=g, activation=a)
            for g, a in zip(_GATES, ("relu", "leaky_relu", "silu", "tanh", "elu"), strict=True)
        ),
    ]
)  # fmt: skip


def _square(name: str, channels: int, outputs: int, side: int, **kwargs: Any) -> Workload:
    weight = (2 * outputs, channels // kwargs.get("groups", 1), 3, 3)
    flops = conv_flops(1, weight, (side, side))
    x = (1, channels, side, side)
    shapes = {"x": x, "weight": weight, "bias": (2 * outputs,)}
    return Workload(name, "gated_conv2d", shapes, {"padding": 1, **kwargs}, flops)


WORKLOADS: list[Workload] = [
    _square("gated_3x3_64_64_56", 64, 64, 56),
    _square("gated_3x3_128_128_28", 128, 128, 28),
    _square("gated_depthwise_3x3_96_56", 96, 96, 56, groups=96),
]
