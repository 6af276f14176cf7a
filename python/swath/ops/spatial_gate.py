"""Gates with one value per position, and the choice between branches."""

from __future__ import annotations

from swath import _core
from swath._arguments import stacked
from swath._types import Array, Layout


def spatial_gate(
    x: Array,
    logits: Array,
    *,
    ndim: int | None = None,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply all channels by the sigmoid of one map.

    ::

        y[n, c, p] = x[n, c, p] * sigmoid(logits[n, 0, p])

    Parameters
    ----------
    x : array, shape (N, C, *S), float32 | float64 | float16 | bfloat16
        One to three spatial axes. N may be missing if ``ndim`` is given.
    logits : array, shape (N, 1, *S), dtype of x
    ndim : int, optional
        The number of spatial axes; default all axes of x but two.
    layout : "channels_first" | "channels_last"
        Of both arrays.
    out : array, shape and dtype of x, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape of x

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Computed in float32, or float64 for float64. Cost: one read of x and one write; the sigmoid is
    computed once for a position and some thousand channels.

    Pixel attention: Zhao et al., "Efficient image super-resolution using pixel attention", 2020.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 2, 3), np.float32)
    >>> swath.spatial_gate(x, np.array([[[0, 100, -1000]]], np.float32))
    array([[[0.5, 1. , 0. ],
            [0.5, 1. , 0. ]]], dtype=float32)
    """
    return _core.spatial_gate(False, x, logits, True, ndim, layout, out, threads)


def spatial_softmax_gate(
    x: Array,
    logits: Array,
    *,
    residual: bool = True,
    ndim: int | None = None,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply groups of channels by the softmax of a map over its positions.

    ::

        A[n, g, p] = softmax over p of logits[n, g, p]
        y[n, c, p] = A[n, c // (C/G), p] * x[n, c, p] + x[n, c, p]

    without the last term if ``residual`` is False.

    Parameters
    ----------
    x : array, shape (N, C, *S), float32 | float64 | float16 | bfloat16
        One to three spatial axes. N may be missing if ``ndim`` is given.
    logits : array, shape (N, G, *S), dtype of x
        G divides C; each group is C/G channels in succession.
    residual : bool
    ndim, layout, out, threads
        As in `spatial_gate`.

    Returns
    -------
    array, shape of x

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    The softmax is taken after subtracting the map's maximum, in float32, or float64 for float64;
    a map with NaN, with +inf or with -inf everywhere is NaN, as PyTorch's. Cost: one read of x and
    one write, and three passes over the logits.

    Saini et al., "ULSAM: ultra-lightweight subspace attention module", 2020.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 2, 4), np.float32)
    >>> swath.spatial_softmax_gate(x, np.zeros((1, 1, 4), np.float32))[0, 0]
    array([1.25, 1.25, 1.25, 1.25], dtype=float32)
    """
    return _core.spatial_gate(True, x, logits, residual, ndim, layout, out, threads)


def branch_select(
    branches: Array,
    logits: Array,
    *,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Mix branches channel by channel, by a softmax over the branches.

    ::

        y[n, c, p] = sum over m of softmax over m of logits[n, m, c] * branches[m, n, c, p]

    Parameters
    ----------
    branches : array, shape (M, N, C, *S), float32 | float64 | float16 | bfloat16
        One to three spatial axes; (M, N, *S, C) with ``layout="channels_last"``. A list of
        arrays is stacked, which copies.
    logits : array, shape (N, M, C), dtype of branches
        N may be missing in both arrays.
    layout : "channels_first" | "channels_last"
    out : array, shape (N, C, *S), dtype of branches, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, C, *S)

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Accumulated in float32, or float64 for float64. Cost: one read of the branches and one write.

    Li et al., "Selective kernel networks", 2019.

    Examples
    --------
    >>> import numpy as np, swath
    >>> branches = np.array([[[[1, 2]]], [[[3, 6]]]], np.float32)
    >>> swath.branch_select(branches, np.zeros((1, 2, 1), np.float32))
    array([[[2., 4.]]], dtype=float32)
    """
    return _core.branch_select(stacked(branches), logits, layout, out, threads)
