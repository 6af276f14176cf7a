"""Directed cases of partial_conv1d, 2d and 3d, and their bench shapes."""

from __future__ import annotations

from typing import Any

from cases.case import Case, Shape, Workload, both_layouts, conv_flops


def _case(
    name: str,
    x: Shape,
    weight: Shape,
    mask: tuple[str, Shape] | None,
    *extras: str,
    **kwargs: Any,
) -> Case:
    function = f"partial_conv{len(weight) - 2}d"
    return Case(f"mask_{name}", function, x, weight, kwargs, extras, mask=mask)


def _one(x: Shape, n: int = 1) -> Shape:
    return (n, 1, *x[2:])


X = (2, 6, 13, 37)
S39 = {"renormalize": False, "mask_update": "same"}
CASES: list[Case] = both_layouts(
    [
        _case("none", X, (9, 6, 3, 3), None, "bias", padding=1),
        _case("shared", X, (9, 6, 3, 3), ("bool", _one(X)), "bias", padding=1),
        _case("each", X, (9, 6, 3, 3), ("bool", _one(X, 2)), "bias", padding=1),
        _case("no_bias", X, (9, 6, 3, 3), ("uint8", _one(X, 2)), padding=1),
        _case("ones", X, (9, 6, 3, 3), ("ones", _one(X)), "bias"),
        _case("zeros", X, (9, 6, 3, 3), ("zeros", _one(X)), "bias", padding=1),
        _case("channels", X, (9, 6, 3, 3), ("bool", X), "bias", padding=1),
        _case("channels_shared", X, (9, 6, 3, 3), ("uint8", (1, *X[1:])), padding=1),
        _case("channels_float", X, (9, 6, 3, 3), ("x", X), "bias", padding=1),
        _case("float", X, (9, 6, 3, 3), ("x", _one(X, 2)), "bias", padding=1),
        _case("float32", X, (9, 6, 3, 3), ("float32", _one(X, 2)), padding=1),
        _case("float16", X, (9, 6, 3, 3), ("float16", _one(X)), "bias", padding=1),
        _case("same", X, (9, 6, 3, 3), ("bool", _one(X, 2)), "bias", padding=1,
              mask_update="same"),
        _case("sparse", X, (9, 6, 3, 3), ("bool", _one(X, 2)), "bias", padding=1, **S39),
        _case("sparse_float", X, (9, 6, 3, 3), ("x", _one(X, 2)), padding=1, **S39),
        _case("sparse_even", X, (9, 6, 4, 2), ("bool", _one(X)), padding="same", **S39),
        _case("no_ratio", X, (9, 6, 3, 3), ("x", _one(X, 2)), "bias", padding=1,
              renormalize=False),
        _case("activation", X, (9, 6, 3, 3), ("bool", _one(X, 2)), "bias", padding=1,
              activation="sigmoid"),
        _case("sparse_activation", X, (9, 6, 3, 3), ("bool", _one(X)), "bias", padding=1,
              activation="softplus", **S39),
        _case("strided", (1, 5, 21, 50), (8, 5, 3, 3), ("bool", (1, 1, 21, 50)), "bias",
              padding=1, stride=2),
        _case("strided_dilated", (1, 5, 21, 50), (8, 5, 3, 4), ("uint8", (1, 1, 21, 50)),
              padding=(2, 3), stride=(2, 3), dilation=(2, 3)),
        _case("strided_same", (1, 5, 21, 50), (8, 5, 3, 3), ("bool", (1, 1, 21, 50)),
              padding=1, stride=2, mask_update="same"),
        _case("few_outputs", (1, 3, 12, 40), (2, 3, 5, 5), ("bool", (1, 1, 12, 40)), "bias",
              padding=2),
        _case("few_outputs_channels", (1, 3, 12, 40), (2, 3, 5, 5), ("bool", (1, 3, 12, 40)),
              padding=2),
        _case("filter", (1, 1, 30, 90), (1, 1, 7, 7), ("x", (1, 1, 30, 90)), padding=3),
        _case("filter_sparse", (1, 1, 30, 300), (1, 1, 3, 3), ("bool", (1, 1, 30, 300)),
              padding=1, **S39),
        _case("depthwise", (2, 19, 14, 30), (19, 1, 3, 3), ("bool", (2, 1, 14, 30)), "bias",
              groups=19, padding=1),
        _case("depthwise_channels", (1, 19, 14, 30), (19, 1, 3, 3), ("x", (1, 19, 14, 30)),
              groups=19, padding=1),
        _case("depthwise_two", (1, 9, 14, 30), (18, 1, 3, 3), ("bool", (1, 9, 14, 30)),
              groups=9, padding=1),
        _case("groups", (1, 12, 9, 21), (9, 4, 3, 3), ("bool", (1, 12, 9, 21)), "bias",
              groups=3, padding=1),
        _case("pointwise", (2, 17, 9, 14), (23, 17, 1, 1), ("x", (2, 1, 9, 14)), "bias"),
        _case("pointwise_channels", (2, 17, 9, 14), (23, 17, 1, 1), ("bool", (2, 17, 9, 14))),
        _case("many_channels", (1, 300, 7, 19), (17, 300, 3, 3), ("bool", (1, 1, 7, 19)),
              "bias", padding=1),
        _case("one_channel", (1, 1, 9, 20), (5, 1, 3, 3), ("bool", (1, 1, 9, 20)), "bias"),
        _case("row", (2, 5, 230), (7, 5, 4), ("bool", (2, 1, 230)), "bias", padding="causal"),
        _case("row_sparse", (2, 5, 230), (7, 5, 5), ("bool", (2, 1, 230)), padding=2, **S39),
        _case("volume", (1, 3, 4, 6, 19), (5, 3, 3, 3, 3), ("bool", (1, 1, 4, 6, 19)), "bias",
              padding=1),
        _case("volume_sparse", (1, 3, 4, 6, 19), (5, 3, 3, 3, 3), ("bool", (1, 1, 4, 6, 19)),
              padding=1, stride=(1, 2, 1), **S39),
        _case("unbatched", (3, 12, 18), (5, 3, 3, 3), ("bool", (1, 12, 18)), "bias", padding=1),
        _case("empty_batch", (0, 3, 8, 8), (4, 3, 3, 3), ("bool", (1, 1, 8, 8)), "bias"),
        _case("no_outputs", (1, 3, 8, 8), (0, 3, 3, 3), ("bool", (1, 1, 8, 8))),
        _case("no_inputs", (1, 0, 8, 8), (4, 0, 3, 3), ("bool", (1, 1, 8, 8)), "bias"),
    ]
)  # fmt: skip


def _square(name: str, channels: int, outputs: int, side: int, **kwargs: Any) -> Workload:
    weight = (outputs, channels // kwargs.get("groups", 1), 3, 3)
    x = (1, channels, side, side)
    shapes = {"x": x, "weight": weight, "bias": (outputs,), "mask": (1, 1, side, side)}
    flops = conv_flops(1, weight, (side, side))
    return Workload(name, "partial_conv2d", shapes, {"padding": 1, **kwargs}, flops)


WORKLOADS: list[Workload] = [
    _square("partial_3x3_64_64_56", 64, 64, 56),
    _square("partial_3x3_128_128_28", 128, 128, 28),
    _square("partial_depthwise_3x3_96_56", 96, 96, 56, groups=96),
    _square("sparse_3x3_64_64_128", 64, 64, 128, **S39),
]
