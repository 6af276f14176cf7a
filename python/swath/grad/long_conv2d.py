"""Gradients of the two-dimensional long convolution and of the split into bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from swath import _core
from swath._types import Array, BandMetric, Layout, LongConv2dMode, LongConvMethod2d, Needs
from swath.grad._results import InputGradient


class LongConv2dGrads(NamedTuple):
    """Gradients of `long_conv2d`; None where not needed."""

    du: Any
    dk: Any


def long_conv2d(
    dy: Array,
    u: Array,
    k: Array,
    *,
    mode: LongConv2dMode = "same",
    method: LongConvMethod2d = "auto",
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> LongConv2dGrads:
    """Gradients of `swath.long_conv2d`.

    ::

        du[b, d, s, t] = sum_{i, j} k[d, i, j] * dy[b, d, s + i - o_h, t + j - o_w]
        dk[d, i, j]    = sum_{b, p, q} dy[b, d, p, q] * u[b, d, p - i + o_h, q - j + o_w]

    Parameters
    ----------
    dy : array, shape of y, dtype of u
    u, k, mode, method, layout, threads
        As in `swath.long_conv2d`.
    needs : sequence of "du", "dk", optional
        The results to compute, also as "u" and "k"; default both.

    Returns
    -------
    LongConv2dGrads
        (du, dk), in the shapes of u and k. Taps that never meet u have a gradient of zero.

    Raises
    ------
    ShapeError
        If dy does not have the shape of the forward's result, or as `swath.long_conv2d`.
    ParamError, DTypeError, LayoutError, DeviceError
        As `swath.long_conv2d`.

    Notes
    -----
    As exact as the forward; the error of dk is a few eps of the norms of dy and u over the batch.
    By "fft" the sum of dk over the batch is made in the spectra, in at most 16 parts that the
    batch alone decides, and transformed back once: bitwise the same for any number of threads.
    Cost: two transforms for du, two and a sum for dk.

    Examples
    --------
    >>> import numpy as np, swath
    >>> u, k = np.ones((1, 2, 3, 3), np.float32), np.ones((2, 3, 3), np.float32)
    >>> du, dk = swath.grad.long_conv2d(np.ones((1, 2, 3, 3), np.float32), u, k)
    >>> dk[0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]], dtype=float32)
    """
    return LongConv2dGrads(
        *_core.long_conv2d_backward(dy, u, k, mode, method, layout, needs, threads)
    )


def band_split(
    dys: Sequence[Array | None] | Array,
    x: Array,
    cutoffs: Sequence[float],
    *,
    metric: BandMetric = "max",
    needs: Needs = None,
    threads: int | None = None,
) -> InputGradient:
    """Gradient of `swath.band_split`: the sum of each band of its own gradient.

    Taking a band is a symmetric projection, so ``dx = sum_i band_i(dys[i])``.

    Parameters
    ----------
    dys : sequence of arrays of x's shape and dtype, or one array, shape (bands, *x.shape)
        One for each band, highest first; None counts as zeros. At most 31 in a sequence.
    x : array, shape (..., H, W)
        The forward's input; only its shape and dtype matter.
    cutoffs, metric, threads
        As in `swath.band_split`.
    needs : sequence of "x", optional
        Which gradients to compute; None: all.

    Returns
    -------
    InputGradient
        ``dx``, array of x's shape.

    Raises
    ------
    ShapeError
        If there is not one array of x's shape for each band, or as `swath.band_split`.
    DTypeError
        If a gradient and x differ in dtype.
    ParamError, DeviceError
        As `swath.band_split`.

    Notes
    -----
    Precision as `swath.band_split`. Cost: a transform for each band, one of them back.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.tile(np.array([1, 3], np.float32), (2, 1))
    >>> swath.grad.band_split([None, x], x, [0.25]).dx[0]
    array([2., 2.], dtype=float32)
    """
    return InputGradient(*_core.band_split_backward(dys, x, cutoffs, metric, needs, threads))
