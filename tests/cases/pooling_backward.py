"""Directed cases of the backward of pooling, sliding_reduce and the block rearrangements.

Means and sums run on the kernels of pooling; their cases count for that operator.
"""

from __future__ import annotations

from typing import Any

from cases.case import Case, Shape, Workload, both_layouts


def _both(name: str, x: Shape, window: Any, **kwargs: Any) -> list[Case]:
    """Mean and maximum of the same geometry."""
    ndim = len(x) - 2
    keywords = {"window": window, **kwargs}
    return [
        Case(f"grad_{kind}_{name}", f"grad.{kind}_pool{ndim}d", x, None, keywords)
        for kind in ("avg", "max")
    ]


def _reduce(name: str, x: Shape, window: int, ops: tuple[str, ...], **kwargs: Any) -> list[Case]:
    fill = kwargs.pop("fill", "normal")
    keywords = {"window": window, **kwargs}
    return [
        Case(f"grad_{op}_{name}", "grad.sliding_reduce", x, None, {**keywords, "op": op}, (), fill)
        for op in ops
    ]


_POOLS = [
    *_both("one_tap", (1, 3, 5, 6), 1),
    *_both("tiles", (1, 5, 12, 34), 2),
    *_both("tiles_left_over", (2, 3, 13, 35), 2),
    *_both("tiles_of_three", (1, 2, 9, 36), 3),
    *_both("3x3_stride_2", (2, 7, 13, 35), 3, stride=2, padding=1),
    *_both("3x3_stride_1", (1, 3, 12, 37), 3, stride=1, padding=1),
    *_both("5x5_stride_2", (1, 2, 15, 40), 5, stride=2, padding=2),
    *_both("wide_window", (1, 1, 24, 50), (9, 17), stride=1),
    *_both("wide_window_strided", (1, 1, 30, 45), (9, 17), stride=(2, 3), padding=(4, 8)),
    *_both("window_equals_input", (1, 3, 6, 9), (6, 9)),
    *_both("stride_gt_window", (1, 3, 17, 40), 2, stride=(3, 5)),
    *_both("unit_window_strided", (1, 2, 5, 6), (2, 1), stride=(1, 2)),
    *_both("dilated", (1, 3, 15, 40), 3, stride=1, padding=2, dilation=(2, 4)),
    *_both("dilated_strided", (1, 2, 17, 31), 3, stride=2, padding=2, dilation=(2, 3)),
    *_both("one_sided", (1, 2, 8, 21), 3, stride=2, padding=((2, 0), (0, 1))),
    *_both("same", (1, 2, 9, 21), (4, 3), stride=1, padding="same"),
    *_both("prime_channels", (1, 13, 7, 7), 3, stride=2),
    *_both("many_channels", (1, 67, 5, 6), 2, stride=1),
    *_both("blocks_of_channels", (1, 90, 5, 50), 3, stride=2, padding=1),
    *_both("blocks_of_columns", (1, 1, 3, 9000), 3, stride=2, padding=1),
    *_both("blocks_of_rows", (1, 1, 150, 130), 3, stride=1, padding=1),
    *_both("empty_batch", (0, 3, 8, 8), 2),
    *_both("row", (2, 3, 301), 5, stride=2, padding=2),
    *_both("volume", (1, 2, 5, 6, 17), 2, stride=1),
    *_both("volume_tiles", (1, 2, 4, 6, 18), 2),
    *_both("volume_padded", (1, 3, 6, 7, 9), 3, stride=2, padding=1),
    Case("grad_max_equals", "grad.max_pool2d", (1, 3, 9, 40), None,
         {"window": 3, "stride": 2, "padding": 1}, (), "few"),
    Case("grad_max_equals_wide", "grad.max_pool2d", (1, 2, 20, 40), None,
         {"window": 9, "stride": 1}, (), "few"),
    Case("grad_avg_inner_count", "grad.avg_pool2d", (1, 3, 9, 20), None,
         {"window": 3, "stride": 1, "padding": 1, "count_include_pad": False}),
    Case("grad_avg_inner_count_strided", "grad.avg_pool2d", (2, 3, 10, 21), None,
         {"window": (4, 5), "stride": 2, "padding": (2, 1), "count_include_pad": False}),
    Case("grad_max_unbatched", "grad.max_pool2d", (3, 9, 14), None, {"window": 2}),
    Case("grad_avg_unbatched", "grad.avg_pool1d", (3, 29), None, {"window": 3, "stride": 1}),
]  # fmt: skip
_ALL = ("sum", "mean", "max", "min")
_REDUCTIONS = [
    *_reduce("last_axis", (100,), 7, _ALL),
    *_reduce("one_tap", (5, 9), 1, _ALL),
    *_reduce("first_axis", (60, 7, 5), 9, _ALL, axis=0),
    *_reduce("middle_axis", (3, 41, 18), 6, _ALL, axis=1),
    *_reduce("padded", (3, 50), 5, _ALL, padding=2),
    *_reduce("one_sided", (3, 50), 5, _ALL, padding=(4, 0)),
    *_reduce("window_97", (2, 500), 97, _ALL),
    *_reduce("empty", (0, 9), 3, _ALL),
    # One element has the gradient of every window: 1500 equal terms.
    *_reduce("shared_by_all", (2, 3000), 1500, ("max", "min"), fill="peak"),
]
_ALL_CASES = both_layouts(_POOLS) + _REDUCTIONS
EXTREMES = [c for c in _ALL_CASES if c.op == "pooling_backward"]
SUMS = [c for c in _ALL_CASES if c.op == "pooling"]
BLOCKS = both_layouts(
    [
        Case("grad_space_to_depth", "grad.space_to_depth", (2, 3, 8, 12), None,
             {"block": 2, "order": order})
        for order in ("torch", "tf", "spd")
    ]
    + [Case("grad_depth_to_space", "grad.depth_to_space", (1, 18, 3, 5), None, {"block": 3})]
)  # fmt: skip


def _workload(kind: str, x: Shape, window: int, stride: int, padding: int) -> Workload:
    out = [(n + 2 * padding - window) // stride + 1 for n in x[2:]]
    n_dy = x[0] * x[1] * out[0] * out[1]
    name = f"grad_{kind}_{window}x{window}_stride_{stride}_{x[1]}_{x[2]}"
    kwargs = {"window": window, "stride": stride, "padding": padding}
    shapes = {"dy": (*x[:2], *out), "x": x}
    return Workload(name, f"grad.{kind}_pool2d", shapes, kwargs, window**2 * n_dy)


WORKLOADS: list[Workload] = [
    _workload(kind, x, window, stride, padding)
    for x, window, stride, padding in [
        ((1, 96, 56, 56), 2, 2, 0),
        ((1, 64, 112, 112), 3, 2, 1),
        ((1, 96, 56, 56), 3, 1, 1),
        ((1, 96, 56, 56), 7, 1, 3),
    ]
    for kind in ("max", "avg")
]
