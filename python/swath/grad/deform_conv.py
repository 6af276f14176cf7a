"""Gradients of the deformable convolution."""

from __future__ import annotations

from typing import NamedTuple

from swath import _core
from swath._types import Array, Ints, Layout, Needs, Padding


class DeformConvGrads(NamedTuple):
    """Gradients of `deform_conv2d`; None where there is none or it was not wanted."""

    dx: Array | None
    dweight: Array | None
    doffset: Array | None
    dmask: Array | None
    dbias: Array | None


def deform_conv2d(
    dy: Array,
    x: Array,
    weight: Array,
    offset: Array,
    mask: Array | None = None,
    bias: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    deform_groups: int = 1,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> DeformConvGrads:
    """Gradients of `swath.deform_conv2d` with the same arguments.

    Parameters
    ----------
    dy : array, shape (N, O, H', W'), float32 | float64 | float16 | bfloat16
        As y of the forward call.
    x, weight, offset, mask, bias : array
        The inputs of the forward call, dtype of dy. The values of bias do not count.
    stride, padding, dilation, groups, deform_groups, layout, threads :
        As in the forward call.
    needs : sequence of "dx", "dweight", "doffset", "dmask", "dbias", optional
        The results to compute, also by the names of their inputs; None for all.

    Returns
    -------
    DeformConvGrads : named tuple (dx, dweight, doffset, dmask, dbias)
        Each with the shape of its input; dmask is None without a mask, dbias (O,) needs no bias.

    Raises
    ------
    ShapeError, DTypeError, ParamError, DeviceError
        As `swath.deform_conv2d`, and if dy does not have the shape of y.

    Notes
    -----
    Where an offset puts a sample exactly on a pixel, its derivative is the one to the right and
    downward, as in the published code; samples that do not count have none.

    Without atomics: a task owns some channels of a sample and walks over the positions in order, so
    results are bitwise the same for any number of threads, and dx of a sample does not depend on
    the others. Sums over the batch are made in at most 16 parts, added in order.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([[[[1, 2, 4]]]], np.float32)
    >>> offset = np.full((1, 2, 1, 3), 0.5, np.float32) * np.array([[[0]], [[1]]], np.float32)
    >>> one = np.ones((1, 1, 1, 1), np.float32)
    >>> g = swath.grad.deform_conv2d(np.ones_like(x), x, one, offset)
    >>> g.dx, g.doffset[0, 1]
    (array([[[[0.5, 1. , 1. ]]]], dtype=float32), array([[ 1.,  2., -4.]], dtype=float32))
    """
    return DeformConvGrads(
        *_core.deform_conv_backward(
            dy, x, weight, offset, mask, bias, stride, padding, dilation, groups, deform_groups,
            layout, needs, threads,
        )
    )  # fmt: skip
