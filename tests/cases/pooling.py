"""Directed cases of the pooling functions and of sliding_reduce."""

from __future__ import annotations

import math
from typing import Any

from cases.case import Case, Shape, Workload, both_layouts


def _pair(name: str, x: Shape, window: Any, **kwargs: Any) -> list[Case]:
    """The mean and the maximum of the same geometry."""
    ndim = len(x) - 2
    keywords = {"window": window, **kwargs}
    return [
        Case(f"{kind}_{name}", f"{kind}_pool{ndim}d", x, None, keywords) for kind in ("avg", "max")
    ]


def _reduce(name: str, x: Shape, window: int, fill: str = "normal", **kwargs: Any) -> list[Case]:
    return [
        Case(
            f"reduce_{op}_{name}",
            "sliding_reduce",
            x,
            None,
            {"window": window, "op": op, **kwargs},
            (),
            fill,
        )
        for op in ("sum", "mean", "max", "min")
    ]


_POOLS = [
    *_pair("one_tap", (1, 3, 5, 6), 1),
    *_pair("2x2", (1, 5, 12, 34), 2),
    *_pair("3x3_stride_2", (2, 7, 13, 35), 3, stride=2, padding=1),
    *_pair("stride_1", (1, 3, 12, 37), 3, stride=1, padding=1),
    *_pair("wide_window", (1, 2, 40, 70), (21, 33), stride=1),
    *_pair("window_63", (1, 1, 70, 130), 63, stride=1, padding=31),
    *_pair("window_equals_input", (1, 3, 6, 9), (6, 9)),
    *_pair("stride_gt_window", (1, 3, 17, 40), 2, stride=(3, 5)),
    *_pair("unit_window_strided", (1, 2, 5, 6), (2, 1), stride=(1, 2)),
    *_pair("unit_window_strided_column", (1, 2, 6, 35), (1, 3), stride=(3, 1)),
    *_pair("unit_window_one_output", (1, 1, 2, 2), (2, 1), stride=(1, 2)),
    *_pair("unit_window_padded", (1, 3, 6, 9), (1, 3), stride=(2, 1), padding=(0, 1)),
    *_pair("dilated", (1, 3, 15, 40), 3, stride=1, padding=2, dilation=(2, 4)),
    *_pair("one_sided", (1, 2, 8, 21), 3, stride=1, padding=((2, 0), (0, 1))),
    *_pair("same", (1, 2, 9, 21), (4, 3), stride=1, padding="same"),
    *_pair("below_one_vector", (1, 1, 3, 3), 2, stride=1),
    *_pair("wide_row", (1, 1, 5, 1031), 3, stride=1, padding=1),
    *_pair("prime_channels", (1, 13, 7, 7), 3, stride=2),
    *_pair("many_channels", (1, 67, 5, 6), 2, stride=1),
    *_pair("empty_batch", (0, 3, 8, 8), 2),
    *_pair("row", (2, 3, 301), 5, stride=2, padding=2),
    *_pair("row_window_1000", (1, 1, 4000), 1000, stride=1),
    *_pair("volume", (1, 2, 5, 6, 17), 2, stride=1),
    *_pair("volume_padded", (1, 3, 6, 7, 9), 3, stride=2, padding=1),
    Case(
        "avg_inner_count",
        "avg_pool2d",
        (1, 3, 9, 20),
        None,
        {"window": 3, "stride": 1, "padding": 1, "count_include_pad": False},
    ),
    Case(
        "avg_inner_count_strided",
        "avg_pool2d",
        (2, 3, 10, 21),
        None,
        {"window": (4, 5), "stride": 2, "padding": (2, 1), "count_include_pad": False},
    ),
    Case(
        "avg_long_constant",
        "avg_pool2d",
        (1, 1, 60, 70),
        None,
        {"window": 40, "stride": 1},
        (),
        "constant",
    ),
    Case("max_unbatched", "max_pool2d", (3, 9, 14), None, {"window": 2}),
    Case("avg_unbatched", "avg_pool1d", (3, 29), None, {"window": 3, "stride": 1}),
]
_REDUCTIONS = [
    *_reduce("row", (100,), 7),
    *_reduce("one_tap", (5, 9), 1),
    *_reduce("whole", (4, 33), 33),
    *_reduce("first_axis", (60, 7, 5), 9, axis=0),
    *_reduce("middle_axis", (3, 41, 18), 6, axis=1),
    *_reduce("padded", (3, 50), 5, padding=2),
    *_reduce("one_sided", (3, 50), 5, padding=(4, 0)),
    *_reduce("long_constant", (2, 3000), 1500, "constant"),
    *_reduce("prime_window", (2, 500), 97),
    *_reduce("empty", (0, 9), 3),
]

CASES: list[Case] = both_layouts(_POOLS) + _REDUCTIONS


def _pool_workload(kind: str, x: Shape, window: int, stride: int) -> Workload:
    out = [(n - window) // stride + 1 for n in x[2:]]
    flops = window**2 * math.prod(x[:2]) * math.prod(out)
    name = f"{kind}_{window}x{window}_stride_{stride}_{x[1]}_{x[2]}"
    return Workload(name, f"{kind}_pool2d", {"x": x}, {"window": window, "stride": stride}, flops)


WORKLOADS: list[Workload] = [
    _pool_workload(kind, x, window, stride)
    for x, window, stride in [
        ((1, 64, 112, 112), 3, 2),
        ((1, 96, 56, 56), 2, 2),
        ((1, 96, 56, 56), 7, 1),
        ((1, 1, 1024, 1024), 31, 1),
    ]
    for kind in ("max", "avg")
]
