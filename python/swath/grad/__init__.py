"""Gradients: every function has one of the same name, for the output's gradient dy first."""

from swath.grad._results import InputGradient
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
    "InputGradient",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "depth_to_space",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "sliding_reduce",
    "space_to_depth",
]
