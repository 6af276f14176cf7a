"""Gradients of dynamic convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from swath import _core
from swath._types import Array, HeadMap, Ints, Layout, Padding
from swath.ops.dynamic_conv import flat_taps, shared_taps


class DynamicConvGrads(NamedTuple):
    """Gradients of the functions of dynamic convolution; None where not needed."""

    dx: Any
    dweight: Any


def dynamic_conv1d(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    padding: Padding = "causal",
    softmax: bool = False,
    renormalize_padding: bool = False,
    head_map: HeadMap = "blocked",
    layout: Layout = "channels_first",
    needs: Sequence[str] | None = None,
    threads: int | None = None,
) -> DynamicConvGrads:
    """Gradients of `swath.dynamic_conv1d`, through the softmax too.

    ::

        dx[b, c, u] = sum over k of w[b, h(c), k, u - k + P] * dy[b, c, u - k + P]
        dw[b, h, k, t] = sum over the channels c of h of dy[b, c, t] * x[b, c, t + k - P]

    and with ``softmax`` dweight = w * (dw - sum over k of w * dw). A shared weight (H, K) gets the
    sum over samples and positions.

    Parameters
    ----------
    dy : array, shape of the result, dtype of x
    x, weight, padding, softmax, renormalize_padding, head_map, layout, threads
        As in `swath.dynamic_conv1d`.
    needs : sequence of "dx", "dweight", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    DynamicConvGrads
        (dx, dweight), of the shapes of x and weight.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.dynamic_conv1d`.

    Notes
    -----
    Everything is computed anew from the forward's inputs; every element is written once, so that
    results are bitwise the same for any number of threads. A shared weight's gradient is made of
    at most 16 partial sums, chosen by the shape. With ``softmax`` the softmax of a weight for every
    position is kept for the time of the call, in float32 (float64).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    >>> dx, dweight = swath.grad.dynamic_conv1d(x, x, np.ones((1, 2), np.float32))
    >>> dx
    array([[[1., 3., 5., 3.]]], dtype=float32)
    >>> dweight
    array([[ 8., 14.]], dtype=float32)
    """
    return DynamicConvGrads(
        *_core.dynamic_conv_backward(
            0, dy, x, weight, None, 1, 1, padding, softmax, renormalize_padding, head_map, layout,
            needs, threads,
        )
    )  # fmt: skip


def dynamic_conv2d(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    kernel: Ints | None = None,
    stride: Ints = 1,
    dilation: Ints = 1,
    padding: Padding | None = None,
    softmax: bool = False,
    group_map: HeadMap = "blocked",
    layout: Layout = "channels_first",
    needs: Sequence[str] | None = None,
    threads: int | None = None,
) -> DynamicConvGrads:
    """Gradients of `swath.dynamic_conv2d`, through the softmax too.

    Parameters
    ----------
    dy : array, shape of the result, dtype of x
    x, weight, kernel, stride, dilation, padding, softmax, group_map, layout, threads
        As in `swath.dynamic_conv2d`.
    needs : sequence of "dx", "dweight", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    DynamicConvGrads
        (dx, dweight), of the shapes of x and weight.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.dynamic_conv2d`.

    Notes
    -----
    dx is gathered, each element from the positions that it was part of: no atomics, one order.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 2, 3, 3), np.float32)
    >>> weight = np.ones((1, 1, 9, 3, 3), np.float32)
    >>> swath.grad.dynamic_conv2d(x, x, weight, needs=("x",)).dx[0, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]], dtype=float32)
    """
    return DynamicConvGrads(
        *_core.dynamic_conv_backward(
            1, dy, x, weight, kernel, stride, dilation, padding, softmax, False, group_map, layout,
            needs, threads,
        )
    )  # fmt: skip


def lightweight_conv1d(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    padding: Padding = "causal",
    softmax: bool = True,
    renormalize_padding: bool = False,
    head_map: HeadMap = "blocked",
    layout: Layout = "channels_first",
    needs: Sequence[str] | None = None,
    threads: int | None = None,
) -> DynamicConvGrads:
    """Gradients of `swath.lightweight_conv1d`.

    Parameters
    ----------
    dy : array, shape of the result, dtype of x
    x, weight, padding, softmax, renormalize_padding, head_map, layout, threads
        As in `swath.lightweight_conv1d`.
    needs : sequence of "dx", "dweight", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    DynamicConvGrads
        (dx, dweight), of the shapes of x and weight.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.dynamic_conv1d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([[2, 4, 6]], np.float32)
    >>> swath.grad.lightweight_conv1d(x, x, np.zeros((1, 2), np.float32)).dweight
    array([[-6.,  6.]], dtype=float32)
    """
    dx, dweight = _core.dynamic_conv_backward(
        2, dy, x, shared_taps(weight), None, 1, 1, padding, softmax, renormalize_padding, head_map,
        layout, needs, threads,
    )  # fmt: skip
    return DynamicConvGrads(dx, _as_given(dweight, weight))


def involution2d(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    kernel: Ints | None = None,
    stride: Ints = 1,
    padding: Padding | None = None,
    dilation: Ints = 1,
    layout: Layout = "channels_first",
    needs: Sequence[str] | None = None,
    threads: int | None = None,
) -> DynamicConvGrads:
    """Gradients of `swath.involution2d`.

    Parameters
    ----------
    dy : array, shape of the result, dtype of x
    x, weight, kernel, stride, padding, dilation, layout, threads
        As in `swath.involution2d`.
    needs : sequence of "dx", "dweight", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    DynamicConvGrads
        (dx, dweight), of the shapes of x and weight.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.dynamic_conv2d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 4, 3, 3), np.float32)
    >>> weight = np.ones((1, 2, 3, 3, 3, 3), np.float32)
    >>> swath.grad.involution2d(x, x, weight).dweight[0, 0, 0, 0]
    array([[0., 0., 0.],
           [0., 2., 2.],
           [0., 2., 2.]], dtype=float32)
    """
    taps, kernel = flat_taps(x, weight, kernel, layout)
    dx, dweight = _core.dynamic_conv_backward(
        3, dy, x, taps, kernel, stride, dilation, padding, False, False, "blocked", layout, needs,
        threads,
    )  # fmt: skip
    return DynamicConvGrads(dx, _as_given(dweight, weight))


def small_kernel_aggregation2d(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    kernel: Ints | None = None,
    layout: Layout = "channels_first",
    needs: Sequence[str] | None = None,
    threads: int | None = None,
) -> DynamicConvGrads:
    """Gradients of `swath.small_kernel_aggregation2d`.

    Parameters
    ----------
    dy : array, shape and dtype of x
    x, weight, kernel, layout, threads
        As in `swath.small_kernel_aggregation2d`.
    needs : sequence of "dx", "dweight", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    DynamicConvGrads
        (dx, dweight), of the shapes of x and weight.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.dynamic_conv2d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 4, 2, 2), np.float32)
    >>> weight = np.ones((1, 2, 9, 2, 2), np.float32)
    >>> swath.grad.small_kernel_aggregation2d(x, x, weight).dweight.shape
    (1, 2, 9, 2, 2)
    """
    return DynamicConvGrads(
        *_core.dynamic_conv_backward(
            4, dy, x, weight, kernel, 1, 1, None, False, False, "interleaved", layout, needs,
            threads,
        )
    )  # fmt: skip


def _as_given(dweight: Array | None, weight: Array) -> Array | None:
    """In the weight's own axes."""
    shape = getattr(weight, "shape", None)
    if dweight is None or shape is None or tuple(dweight.shape) == tuple(shape):
        return dweight
    return dweight.reshape(shape)
