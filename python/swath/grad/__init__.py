"""Gradients: each function takes dy, then the inputs and keyword arguments of its forward."""

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

__all__ = [
    "ConvGrads",
    "ConvTransposeGrads",
    "branch_select",
    "channel_gate",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "gate_mul",
    "spatial_gate",
    "spatial_softmax_gate",
]
