"""Rearrangement of blocks of pixels into channels, and back."""

from __future__ import annotations

from swath import _core
from swath._types import Array, BlockOrder, Layout


def space_to_depth(
    x: Array,
    block: int,
    *,
    order: BlockOrder = "torch",
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Move blocks of pixels into the channels.

    ::

        y[n, k(c, i, j), h, w] = x[n, c, h*b + i, w*b + j]

    with k = c*b*b + i*b + j for ``"torch"``, (i*b + j)*C + c for ``"tf"`` and (j*b + i)*C + c for
    ``"spd"``.

    Parameters
    ----------
    x : array, shape (N, C, H, W), any dtype of 1, 2, 4 or 8 bytes
        N may be missing. H and W are multiples of ``block``.
    block : int
    order : "torch" | "tf" | "spd"
    layout : "channels_first" | "channels_last"
    out : array, shape of y, dtype of x, optional
        Where to write; must not share memory with x.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, C*block*block, H/block, W/block)

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Elements are moved, never changed. Cost: one read and one write of x.

    "spd": Sunkara and Luo, "No more strided convolutions or pooling", 2022.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    >>> swath.space_to_depth(x, 2).ravel()
    array([0., 1., 2., 3.], dtype=float32)
    """
    return _core.space_to_depth(x, block, order, layout, out, threads)


def depth_to_space(
    x: Array,
    block: int,
    *,
    order: BlockOrder = "torch",
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Move channels into blocks of pixels: the inverse of `space_to_depth`.

    Parameters
    ----------
    x : array, shape (N, C*block*block, H, W), any dtype of 1, 2, 4 or 8 bytes
        N may be missing.
    block, order, layout, out, threads
        As in `space_to_depth`.

    Returns
    -------
    array, shape (N, C, H*block, W*block)

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)
    >>> swath.depth_to_space(x, 2).shape
    (1, 1, 2, 2)
    """
    return _core.depth_to_space(x, block, order, layout, out, threads)
