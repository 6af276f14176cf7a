"""Deformable convolution: every tap looks where its offset says."""

from __future__ import annotations

from swath import _core
from swath._types import Array, Ints, Layout, Padding


def deform_conv2d(
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
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve along two axes with taps that are moved by offsets, and weighted by a mask.

    ::

        y[n, o, p] = bias[o] + sum over c, t of
            weight[o, c, t] * mask[n, g, t, p] * x[n, c, p*s - pad + t*d + offset[n, g, t, p]]

    for deform group g of channel c. x is interpolated bilinearly and is 0 outside of the image.

    Parameters
    ----------
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        N may be missing.
    weight : array, shape (O, C/groups, Kh, Kw), dtype of x
    offset : array, shape (N, 2*deform_groups*Kh*Kw, H', W'), dtype of x
        In pixels, (dy, dx) for each tap, taps row by row, deform groups outermost.
    mask : array, shape (N, deform_groups*Kh*Kw, H', W'), dtype of x, optional
        Used as it is: the published layer takes the sigmoid before. None is version 1.
    bias : array, shape (O,), dtype of x, optional
    stride, padding, dilation, groups :
        As in `swath.conv2d`; padding is with zeros.
    deform_groups : int
        A divisor of C. Channels of one group share their offsets.
    layout : "channels_first" | "channels_last"
        The latter for x (N, H, W, C), and offset, mask and y likewise.
    out : array, shape of y, dtype of x, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, O, H', W')
        In the library of x, or ``out``.

    Raises
    ------
    ShapeError
        If offset or mask does not have the channels or y's positions; else as `swath.conv2d`.
    DTypeError, ParamError, LayoutError, DeviceError
        As `swath.conv2d`; ParamError also if ``deform_groups`` does not divide C.

    Notes
    -----
    A sample counts if -1 < h < H and -1 < w < W; of its four pixels those outside are 0, and a
    pixel whose weight is exactly 0 is not read. An infinite offset is outside. A NaN offset makes
    its sample NaN.

    The fraction of an offset is taken before the grid is added, so that it keeps the offset's own
    precision. Samples of at most 512 terms are made for a few positions at once and multiplied by
    the weights there: the full matrix of samples never exists. Sums as in `swath.conv2d`; the same
    bits for any number of threads. Scratch memory: a copy of x with the channels last (none for
    float32 or float64 data that is so already).

    Dai et al., "Deformable convolutional networks", 2017; Zhu et al., "Deformable ConvNets v2: more
    deformable, better results", 2019.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> offset = np.full((1, 2, 4, 4), 0.5, np.float32)
    >>> swath.deform_conv2d(x, np.ones((1, 1, 1, 1), np.float32), offset)[0, 0, 0]
    array([2.5, 3.5, 4.5, 2.5], dtype=float32)
    """
    return _core.deform_conv(
        x, weight, offset, mask, bias, stride, padding, dilation, groups, deform_groups, layout,
        out, threads,
    )  # fmt: skip
