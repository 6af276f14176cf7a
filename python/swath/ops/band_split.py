"""The split of images into frequency bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swath import _core
from swath._types import Array, BandMetric


def band_split(
    x: Array,
    cutoffs: Sequence[float],
    *,
    metric: BandMetric = "max",
    threads: int | None = None,
) -> list[Any]:
    """Split images into frequency bands that sum to them.

    With X the discrete Fourier transform over the last two axes and f the frequency of a bin,

    ::

        band[0]  = x - low(cutoffs[0])
        band[i]  = low(cutoffs[i - 1]) - low(cutoffs[i])
        band[-1] = low(cutoffs[-1]),        low(c) = inverse(X where f <= c, else 0)

    Parameters
    ----------
    x : array, shape (..., H, W), float32 | float64 | float16 | bfloat16
        Any sizes and strides; at most five leading axes.
    cutoffs : sequence of float
        Strictly descending, in cycles per sample (0.5 is the highest frequency of an axis), 0 or
        more. None at all gives one band, a copy of x.
    metric : "max" | "radius"
        f = max(abs(u), abs(v)) or sqrt(u*u + v*v), u and v the frequencies of ``numpy.fft.fftfreq``
        along H and W, to the last bit. A bin that is at a cutoff belongs to the lower band.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    list of len(cutoffs) + 1 arrays of x's shape and dtype, highest band first
        Above 31 cutoffs they are views of one array.

    Raises
    ------
    ShapeError
        If x has fewer than two axes, or more than seven.
    ParamError
        If the cutoffs do not descend, one is negative or not finite, or the metric is unknown.
    DTypeError, DeviceError
        As `conv2d`.

    Notes
    -----
    Computed in float32, or float64 for float64; every band is rounded once. The first band is x
    less the others before they are rounded, so the bands sum to x up to half an ulp of each
    band (and what adding them up rounds). The error of a band is a few eps times the norm of its
    plane. A NaN or an infinity makes its plane NaN in all bands. Planes are computed each by
    itself, bitwise the same for any number of threads and any batch.

    Cost: one transform of x and one for each cutoff; columns that a band lacks are skipped.
    Sizes with prime factors above 61 take three to six times as long. Threads share the planes: a
    single one is worked on by one thread.

    Chen et al., "Frequency dynamic convolution for dense image prediction", 2025 (FDConv): its
    modulation has the cutoffs 0.25, 0.125, 0.0625 and the metric "max", with "<" at the edges.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.tile(np.array([1, 3], np.float32), (2, 1))
    >>> high, low = swath.band_split(x, [0.25])
    >>> high[0], low[0]
    (array([-1.,  1.], dtype=float32), array([2., 2.], dtype=float32))
    """
    return _core.band_split(x, cutoffs, metric, threads)
