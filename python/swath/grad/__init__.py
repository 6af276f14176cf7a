"""Gradients: each function takes dy, then the inputs and keyword arguments of its forward."""

from swath.grad.gates import (
    branch_select,
    channel_gate,
    gate_mul,
    spatial_gate,
    spatial_softmax_gate,
)

__all__ = [
    "branch_select",
    "channel_gate",
    "gate_mul",
    "spatial_gate",
    "spatial_softmax_gate",
]
