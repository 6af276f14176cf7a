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

__all__ = [
    "ConvGrads",
    "ConvTransposeGrads",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]
