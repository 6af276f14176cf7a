"""Gradients of the rearrangement of blocks of pixels."""

from __future__ import annotations

from swath import _core
from swath._types import Array, BlockOrder, Layout, Needs
from swath.grad._results import InputGradient


def space_to_depth(
    dy: Array,
    x: Array,
    block: int,
    *,
    order: BlockOrder = "torch",
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.space_to_depth`: dy moved back, as by `swath.depth_to_space`.

    Parameters
    ----------
    dy : array, shape (N, C*block*block, H/block, W/block), dtype of x
    x : array, shape (N, C, H, W)
        The forward's input; only its shape and dtype matter.
    block, order, layout
        As in the forward call.
    needs : sequence of "x", optional
        Which gradients to compute; None: all.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    InputGradient
        ``dx``, array of x's shape.

    Raises
    ------
    ShapeError
        If dy does not have the shape of the forward's result, or as `swath.space_to_depth`.
    DTypeError
        If dy and x differ in dtype.
    ParamError, LayoutError, DeviceError
        As `swath.space_to_depth`.

    Notes
    -----
    Elements are moved, never changed. Cost: one read and one write of dy.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> bool((swath.grad.space_to_depth(swath.space_to_depth(x, 2), x, 2).dx == x).all())
    True
    """
    return InputGradient(
        *_core.space_to_depth_backward(dy, x, block, order, layout, needs, threads)
    )


def depth_to_space(
    dy: Array,
    x: Array,
    block: int,
    *,
    order: BlockOrder = "torch",
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.depth_to_space`: dy moved back, as by `swath.space_to_depth`.

    Parameters
    ----------
    dy : array, shape (N, C, H*block, W*block), dtype of x
    x : array, shape (N, C*block*block, H, W)
        The forward's input; only its shape and dtype matter.
    block, order, layout, threads
        As in `grad.space_to_depth`.

    Returns
    -------
    InputGradient
        ``dx``, array of x's shape.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `grad.space_to_depth`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.zeros((8, 3, 3), np.float32)
    >>> swath.grad.depth_to_space(swath.depth_to_space(x, 2), x, 2).dx.shape
    (8, 3, 3)
    """
    return InputGradient(
        *_core.depth_to_space_backward(dy, x, block, order, layout, needs, threads)
    )
