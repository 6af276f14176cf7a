"""Pooling and sliding reductions, at a cost that does not depend on the window."""

from __future__ import annotations

from swath import _core
from swath._types import Array, Ints, Layout, Padding, Reduction


def avg_pool1d(
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Average over windows along one axis: as `avg_pool2d`, for x of shape (N, C, L).

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.avg_pool1d(np.array([[[1, 3, 5, 7]]], np.float32), 2)
    array([[[2., 6.]]], dtype=float32)
    """
    return _core.avg_pool(
        1, x, window, stride, padding, dilation, count_include_pad, layout, out, threads
    )


def avg_pool2d(
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Average over windows along two axes.

    ::

        y[n, c, p] = 1/K * sum over t of x[n, c, p*s + t*d - pad]

    with K the window's size, or the number of its elements inside x.

    Parameters
    ----------
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        N may be missing.
    window : int or (int, int)
    stride : int or (int, int), optional
        Default: the window.
    padding : int, (int, int), ((before, after), (before, after)) or str
        Zeros around x; names as in `conv2d`.
    dilation : int or (int, int)
    count_include_pad : bool
        Whether padding counts in the average's denominator.
    layout : "channels_first" | "channels_last"
    out : array, shape of y, dtype of x, optional
        Where to write; must not share memory with x.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, C, H', W')
        Lengths as in `conv2d`.

    Raises
    ------
    ShapeError, DTypeError, LayoutError, DeviceError
        As `conv2d`.
    ParamError
        As `conv2d`, and if a window lies wholly in the padding and ``count_include_pad`` is False.

    Notes
    -----
    Sums are accumulated in float32, or float64 for float64, and never by subtraction: one Inf or
    huge value reaches only the windows that it is in. Results are bitwise the same for any number
    of threads. Cost per output is independent of the window.

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.avg_pool2d(np.ones((1, 3, 8, 8), np.float32), 2).shape
    (1, 3, 4, 4)
    """
    return _core.avg_pool(
        2, x, window, stride, padding, dilation, count_include_pad, layout, out, threads
    )


def avg_pool3d(
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Average over windows along three axes: as `avg_pool2d`, for x of shape (N, C, D, H, W).

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.avg_pool3d(np.ones((1, 3, 4, 8, 8), np.float32), 2).shape
    (1, 3, 2, 4, 4)
    """
    return _core.avg_pool(
        3, x, window, stride, padding, dilation, count_include_pad, layout, out, threads
    )


def max_pool1d(
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Maximum over windows along one axis: as `max_pool2d`, for x of shape (N, C, L).

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.max_pool1d(np.array([[[1, 3, 7, 5]]], np.float32), 2)
    array([[[3., 7.]]], dtype=float32)
    """
    del count_include_pad
    return _core.max_pool(1, x, window, stride, padding, dilation, layout, out, threads)


def max_pool2d(
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Maximum over windows along two axes.

    ::

        y[n, c, p] = max over t of x[n, c, p*s + t*d - pad]

    Padding counts as minus infinity; a NaN makes every window that it is in NaN.

    Parameters
    ----------
    x, window, stride, padding, dilation, layout, out, threads
        As in `avg_pool2d`.
    count_include_pad : bool
        As in `avg_pool2d`, where it counts: a maximum is the same with both.

    Returns
    -------
    array, shape (N, C, H', W')
        Lengths as in `conv2d`.

    Raises
    ------
    ShapeError, DTypeError, LayoutError, DeviceError
        As `conv2d`.
    ParamError
        As `conv2d`, and if a window lies wholly in the padding.

    Notes
    -----
    Exact. Cost per output is independent of the window.

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.max_pool2d(np.ones((1, 3, 9, 9), np.float32), 3, stride=2, padding=1).shape
    (1, 3, 5, 5)
    """
    del count_include_pad
    return _core.max_pool(2, x, window, stride, padding, dilation, layout, out, threads)


def max_pool3d(
    x: Array,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    count_include_pad: bool = True,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Maximum over windows along three axes: as `max_pool2d`, for x of shape (N, C, D, H, W).

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.max_pool3d(np.ones((1, 3, 4, 8, 8), np.float32), 2).shape
    (1, 3, 2, 4, 4)
    """
    del count_include_pad
    return _core.max_pool(3, x, window, stride, padding, dilation, layout, out, threads)


def sliding_reduce(
    x: Array,
    window: int,
    *,
    axis: int = -1,
    op: Reduction = "sum",
    padding: Padding = 0,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Sum, average, maximum or minimum over a window that slides along one axis.

    ::

        y[..., p, ...] = op over t < window of x[..., p + t - before, ...]

    Parameters
    ----------
    x : array, any shape of at least one axis, float32 | float64 | float16 | bfloat16
    window : int
    axis : int
    op : "sum" | "mean" | "max" | "min"
        "mean" divides by ``window``. Padding counts as 0 for "sum" and "mean", and never wins for
        "max" and "min".
    padding : int, (before, after), "valid", "same" or "causal"
    out : array, shape of y, dtype of x, optional
        Where to write; must not share memory with x.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape of x with L + before + after - window + 1 along ``axis``

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `max_pool2d`.

    Notes
    -----
    Accumulation and determinism as in `avg_pool2d`. Cost per output is independent of the window.

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.sliding_reduce(np.array([1, 2, 3, 4], np.float32), 3, padding="same")
    array([3., 6., 9., 7.], dtype=float32)
    """
    return _core.sliding_reduce(x, window, axis, op, padding, out, threads)
