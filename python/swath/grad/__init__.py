"""Gradients: for every function one of the same name, which takes dy and the forward's arguments."""

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
