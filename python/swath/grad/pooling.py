"""Gradients of pooling."""

from __future__ import annotations

from swath import _core
from swath._types import Array, Ints, Layout, Needs, Padding
from swath.grad._results import InputGradient


def avg_pool1d(
    dy: Array,
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.avg_pool1d`: `grad.avg_pool2d` with one spatial axis.

    Parameters
    ----------
    dy : array, shape of the forward's result, dtype of x
    x : array, shape (N, C, L), float32 | float64 | float16 | bfloat16
        The forward's input; only its shape and dtype matter.
    window, stride, padding, dilation, count_include_pad, layout
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
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `grad.avg_pool2d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, dy = np.zeros((1, 2, 6), np.float32), np.ones((1, 2, 3), np.float32)
    >>> swath.grad.avg_pool1d(dy, x, 2).dx.shape
    (1, 2, 6)
    """
    return InputGradient(
        *_core.avg_pool_backward(
            1, dy, x, window, stride, padding, dilation, count_include_pad, layout, needs, threads
        )
    )


def avg_pool2d(
    dy: Array,
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.avg_pool2d` with respect to its input.

    ::

        dx[n, c, i, j] = sum of dy[n, c, p, q] / divisor(p, q) over the windows (p, q) of (i, j)

    Parameters
    ----------
    dy : array, shape (N, C, H', W') of the forward's result, dtype of x
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        The forward's input; only its shape and dtype matter. N may be missing;
        ``layout="channels_last"`` is (N, H, W, C).
    window, stride, padding, dilation, count_include_pad, layout
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
        If dy does not have the shape of the forward's result, or as `swath.avg_pool2d`.
    DTypeError
        If dy and x are not of one floating dtype.
    ParamError, LayoutError, DeviceError
        As `swath.avg_pool2d`.

    Notes
    -----
    This is a windowed sum of dy, whose elements stand a stride apart, and is made by the kernels of
    `swath.avg_pool2d`: the cost per element hardly depends on the window. Sums of 16-bit values are
    kept in float32. Bitwise the same for any number of threads.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, dy = np.zeros((1, 2, 4), np.float32), np.array([[[4, 8]]], np.float32)
    >>> swath.grad.avg_pool2d(dy, x, 2).dx
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.]]], dtype=float32)
    """
    return InputGradient(
        *_core.avg_pool_backward(
            2, dy, x, window, stride, padding, dilation, count_include_pad, layout, needs, threads
        )
    )


def avg_pool3d(
    dy: Array,
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.avg_pool3d`: `grad.avg_pool2d` with three spatial axes.

    Parameters
    ----------
    dy : array, shape of the forward's result, dtype of x
    x : array, shape (N, C, D, H, W), float32 | float64 | float16 | bfloat16
        The forward's input; only its shape and dtype matter.
    window, stride, padding, dilation, count_include_pad, layout
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
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `grad.avg_pool2d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, dy = np.zeros((1, 2, 4, 4, 4), np.float32), np.ones((1, 2, 2, 2, 2), np.float32)
    >>> swath.grad.avg_pool3d(dy, x, 2).dx.shape
    (1, 2, 4, 4, 4)
    """
    return InputGradient(
        *_core.avg_pool_backward(
            3, dy, x, window, stride, padding, dilation, count_include_pad, layout, needs, threads
        )
    )


def max_pool1d(
    dy: Array,
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.max_pool1d`: `grad.max_pool2d` with one spatial axis.

    Parameters
    ----------
    dy : array, shape of the forward's result, dtype of x
    x : array, shape (N, C, L), float32 | float64 | float16 | bfloat16
        The forward's input.
    window, stride, padding, dilation, count_include_pad, layout
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
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `grad.max_pool2d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, dy = np.zeros((1, 2, 6), np.float32), np.ones((1, 2, 3), np.float32)
    >>> swath.grad.max_pool1d(dy, x, 2).dx.shape
    (1, 2, 6)
    """
    del count_include_pad
    return InputGradient(
        *_core.max_pool_backward(
            1, dy, x, window, stride, padding, dilation, layout, needs, threads
        )
    )


def max_pool2d(
    dy: Array,
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.max_pool2d` with respect to its input.

    ::

        dx[n, c, i, j] = sum of dy[n, c, p, q] over the windows (p, q) with their maximum at (i, j)

    Of equal maxima the first in row-major order of the window has the gradient. Where a window
    holds a NaN, the last NaN has it. (Both as PyTorch on CPUs.)

    Parameters
    ----------
    dy : array, shape (N, C, H', W') of the forward's result, dtype of x
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        The forward's input. N may be missing; ``layout="channels_last"`` is (N, H, W, C).
    window, stride, padding, dilation, count_include_pad, layout
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
        If dy does not have the shape of the forward's result, or as `swath.max_pool2d`.
    DTypeError
        If dy and x are not of one floating dtype.
    ParamError
        If a window lies wholly in the padding, or as `swath.max_pool2d`.
    LayoutError, DeviceError
        As `swath.max_pool2d`.

    Notes
    -----
    The maxima are found again from x, so that the forward has nothing to keep. Cost: for windows
    of up to 9 elements one comparison for each, above that about the sum of the window's sides per
    window. Sums of 16-bit values are kept in float32, sums of more than 512 windows in blocks.
    Bitwise the same for any number of threads.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([[[1, 5, 2, 2], [3, 4, 2, 0]]], np.float32)
    >>> swath.grad.max_pool2d(np.array([[[7, 9]]], np.float32), x, 2).dx
    array([[[0., 7., 9., 0.],
            [0., 0., 0., 0.]]], dtype=float32)
    """
    del count_include_pad
    return InputGradient(
        *_core.max_pool_backward(
            2, dy, x, window, stride, padding, dilation, layout, needs, threads
        )
    )


def max_pool3d(
    dy: Array,
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.max_pool3d`: `grad.max_pool2d` with three spatial axes.

    Parameters
    ----------
    dy : array, shape of the forward's result, dtype of x
    x : array, shape (N, C, D, H, W), float32 | float64 | float16 | bfloat16
        The forward's input.
    window, stride, padding, dilation, count_include_pad, layout
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
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `grad.max_pool2d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, dy = np.zeros((1, 2, 4, 4, 4), np.float32), np.ones((1, 2, 2, 2, 2), np.float32)
    >>> swath.grad.max_pool3d(dy, x, 2).dx.shape
    (1, 2, 4, 4, 4)
    """
    del count_include_pad
    return InputGradient(
        *_core.max_pool_backward(
            3, dy, x, window, stride, padding, dilation, layout, needs, threads
        )
    )
