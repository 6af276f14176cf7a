"""Directed cases and bench workloads, one module per operator."""

from __future__ import annotations

from cases import (
    attention,
    attention_grad,
    conv_backward,
    conv_transpose,
    conv_weight_grad,
    gated_conv,
    gates,
    partial_conv,
    pooling,
    pooling_backward,
    sliding_conv,
    space_to_depth,
)
from cases.case import Case, Workload

CASES: dict[str, list[Case]] = {
    "sliding_conv": sliding_conv.CASES,
    "gated_conv": gated_conv.CASES,
    "partial_conv": partial_conv.CASES,
    "conv_transpose": conv_transpose.CASES,
    "pooling": pooling.CASES + pooling_backward.SUMS,
    "pooling_backward": pooling_backward.EXTREMES,
    "space_to_depth": space_to_depth.CASES + pooling_backward.BLOCKS,
    "gate_mul": gates.GATE_CASES,
    "spatial_gate": gates.SPATIAL_CASES,
    "channel_stats": gates.STATS_CASES,
    "channel_gate": gates.CHANNEL_CASES,
    "attention": [*attention.CASES],
    "attention_backward": [*attention_grad.CASES],
    "conv_weight_grad": [*conv_weight_grad.CASES],
    "conv_backward": [*conv_backward.CASES],
}
WORKLOADS: dict[str, list[Workload]] = {
    "sliding_conv": sliding_conv.WORKLOADS,
    "attention": attention.WORKLOADS,
    "gated_conv": gated_conv.WORKLOADS,
    "partial_conv": partial_conv.WORKLOADS,
    "conv_transpose": conv_transpose.WORKLOADS,
    "conv_weight_grad": conv_weight_grad.WORKLOADS,
    "conv_backward": conv_backward.WORKLOADS,
    "pooling": pooling.WORKLOADS,
    "pooling_backward": pooling_backward.WORKLOADS,
    "space_to_depth": space_to_depth.WORKLOADS,
    "gate_mul": gates.GATE_WORKLOADS,
    "spatial_gate": gates.SPATIAL_WORKLOADS,
    "channel_gate": gates.CHANNEL_WORKLOADS,
}
ALL_CASES: list[Case] = [case for cases in CASES.values() for case in cases]
