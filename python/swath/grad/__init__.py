"""Gradients: every function has one of the same name, for the output's gradient dy first."""

from swath.grad._results import InputGradient
from swath.grad.attention import AttentionGrads, attention
from swath.grad.conv import (
    ConvGrads,
    ConvTransposeGrads,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from swath.grad.gates import (
    branch_select,
    channel_gate,
    gate_mul,
    spatial_gate,
    spatial_softmax_gate,
)
from swath.grad.masked_conv import (
    PartialConvGrads,
    gated_conv1d,
    gated_conv2d,
    gated_conv3d,
    partial_conv1d,
    partial_conv2d,
    partial_conv3d,
)
from swath.grad.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    sliding_reduce,
)
from swath.grad.space_to_depth import depth_to_space, space_to_depth

__all__ = [
    "AttentionGrads",
    "ConvGrads",
    "ConvTransposeGrads",
    "InputGradient",
    "PartialConvGrads",
    "attention",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "branch_select",
    "channel_gate",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "depth_to_space",
    "gate_mul",
    "gated_conv1d",
    "gated_conv2d",
    "gated_conv3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "partial_conv1d",
    "partial_conv2d",
    "partial_conv3d",
    "sliding_reduce",
    "space_to_depth",
    "spatial_gate",
    "spatial_softmax_gate",
]
