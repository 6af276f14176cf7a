"""Two-dimensional convolution with large kernels."""

from __future__ import annotations

from swath import _core
from swath._types import Array, Layout, LongConv2dMode, LongConvMethod2d


def long_conv2d(
    u: Array,
    k: Array,
    *,
    mode: LongConv2dMode = "same",
    method: LongConvMethod2d = "auto",
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve each channel with a kernel of any size, by Fourier transforms where it is large.

    ::

        y[b, d, p, q] = sum_{i, j} k[d, i, j] * u[b, d, p - i + o_h, q - j + o_w]

    with zeros outside of u: the true convolution, whose kernel is that of `conv2d` mirrored.

    Parameters
    ----------
    u : array, shape (B, D, H, W), float32 | float64 | float16 | bfloat16
        B may be missing.
    k : array, shape (D, Kh, Kw), dtype of u
        Of any size of at least one tap; it may be larger than u.
    mode : "same" | "circular" | "full"
        "same": size of u, o = (K - 1)//2, the centre of "full" as SciPy cuts it. "circular": u
        repeats in all directions, o = 0, and K is at most the size of u. "full": all sums with a
        tap on u, size + K - 1, o = 0.
    method : "auto" | "fft" | "direct"
        "auto" takes the direct sum for small kernels (a measured limit on Kh*Kw).
    layout : "channels_first" | "channels_last"
        Of u and y. k is (D, Kh, Kw) in both.
    out : array, shape of y, dtype of u, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (B, D, H, W), or (B, D, H + Kh - 1, W + Kw - 1) for "full"

    Raises
    ------
    ShapeError
        If k does not have the D channels of u, or no taps.
    ParamError
        If k is larger than u in "circular" mode, or a name is unknown.
    DTypeError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Computed in float32, or float64 for float64. By "fft" the error of a plane is a few eps
    ``norm(k) norm(u)``, independent of the value at a pixel, and a NaN or an infinity in a plane
    makes that whole plane NaN; "direct" is as exact as `conv2d`. Each plane of each sample is
    computed by itself: results are bitwise the same for any number of threads and any batch.

    Cost by "fft": transforms of size + K/2 points an axis ("same"; products of 2, 3 and 5), of
    half spectra and in planes that stay in the cache; the kernels are transformed once a call.
    Threads share the planes: a single one is worked on by one thread. An empty u gives zeros in
    "full" mode.

    Fu et al., "FlashFFTConv: efficient convolutions for long sequences with tensor cores", 2024,
    in one dimension; Rao et al., "Global filter networks for image classification", 2021.

    Examples
    --------
    >>> import numpy as np, swath
    >>> u = np.zeros((1, 5, 5), np.float32)
    >>> u[0, 2, 1] = 1
    >>> k = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    >>> swath.long_conv2d(u, k)[0, 1:4, :3]
    array([[0., 1., 2.],
           [3., 4., 5.],
           [6., 7., 8.]], dtype=float32)
    """
    return _core.long_conv2d(u, k, mode, method, layout, out, threads)
