"""What the functions of swath.grad return."""

from __future__ import annotations

from typing import NamedTuple

from swath._types import Array


class InputGradient(NamedTuple):
    """What the backward of a function of one array gives.

    Attributes
    ----------
    dx : array, shape and dtype of x, or None if it was not needed
    """

    dx: Array | None
