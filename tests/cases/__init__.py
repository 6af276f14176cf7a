"""Directed cases and bench workloads, one module per operator."""

from __future__ import annotations

from cases import (
    conv_backward,
    conv_transpose,
    conv_weight_grad,
    pooling,
    sliding_conv,
    space_to_depth,
)
from cases.case import Case, Workload

CASES: dict[str, list[Case]] = {
    "sliding_conv": sliding_conv.CASES,
    "conv_transpose": conv_transpose.CASES,
    "conv_weight_grad": [*conv_weight_grad.CASES],
    "conv_backward": [*conv_backward.CASES],
    "pooling": pooling.CASES,
    "space_to_depth": space_to_depth.CASES,
}
WORKLOADS: dict[str, list[Workload]] = {
    "sliding_conv": sliding_conv.WORKLOADS,
    "conv_transpose": conv_transpose.WORKLOADS,
    "conv_weight_grad": conv_weight_grad.WORKLOADS,
    "conv_backward": conv_backward.WORKLOADS,
    "pooling": pooling.WORKLOADS,
    "space_to_depth": space_to_depth.WORKLOADS,
}
ALL_CASES: list[Case] = [case for cases in CASES.values() for case in cases]
