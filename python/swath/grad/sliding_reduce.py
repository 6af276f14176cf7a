"""Gradient of sliding reductions."""

from __future__ import annotations

from swath import _core
from swath._types import Array, Needs, Padding, Reduction
from swath.grad._results import InputGradient


def sliding_reduce(
    dy: Array,
    x: Array,
    window: int,
    *,
    axis: int = -1,
    op: Reduction = "sum",
    padding: Padding = 0,
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.sliding_reduce` with respect to its input.

    ::

        dx[..., i, ...] = sum of dy[..., p, ...] over the windows p that hold element i   "sum"

    "mean" divides by ``window``; for "max" and "min" only the windows count whose maximum (minimum)
    is the element. Of equal ones the first has the gradient, of NaN the last.

    Parameters
    ----------
    dy : array, shape of the forward's result, dtype of x
    x : array, any shape of at least one axis, float32 | float64 | float16 | bfloat16
        The forward's input; for "sum" and "mean" only its shape and dtype matter.
    window, axis, op, padding
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
        If dy does not have the shape of the forward's result, or as `swath.sliding_reduce`.
    DTypeError
        If dy and x are not of one floating dtype.
    ParamError, LayoutError, DeviceError
        As `swath.sliding_reduce`.

    Notes
    -----
    Accumulation, determinism and cost as in `grad.avg_pool2d` ("sum", "mean") and
    `grad.max_pool2d` ("max", "min").

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([1, 5, 2, 7], np.float32)
    >>> dy = np.array([1, 10, 100], np.float32)
    >>> swath.grad.sliding_reduce(dy, x, 2).dx
    array([  1.,  11., 110., 100.], dtype=float32)
    >>> swath.grad.sliding_reduce(dy, x, 2, op="max").dx
    array([  0.,  11.,   0., 100.], dtype=float32)
    """
    return InputGradient(
        *_core.sliding_reduce_backward(dy, x, window, axis, op, padding, needs, threads)
    )
