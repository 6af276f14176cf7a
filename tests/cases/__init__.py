"""Directed cases and bench workloads, one module per operator."""

from __future__ import annotations

from cases import (
    conv_backward,
    conv_transpose,
    conv_weight_grad,
    dynamic,
    gated_conv,
    gates,
    long_conv,
    long_conv2d,
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
    "dynamic_conv": dynamic.CASES,
    "plane_fft": [*long_conv2d.FFT_CASES],
    "long_conv2d": [*long_conv2d.DIRECT_CASES],
    "band_split": [*long_conv2d.BAND_CASES],
    "long_conv": long_conv.CASES,
    "conv_weight_grad": [*conv_weight_grad.CASES],
    "conv_backward": [*conv_backward.CASES],
}
WORKLOADS: dict[str, list[Workload]] = {
    "sliding_conv": sliding_conv.WORKLOADS,
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
    "dynamic_conv": dynamic.WORKLOADS,
    "long_conv2d": long_conv2d.LONG_WORKLOADS,
    "band_split": long_conv2d.BAND_WORKLOADS,
    "long_conv": long_conv.WORKLOADS,
}
ALL_CASES: list[Case] = [case for cases in CASES.values() for case in cases]
