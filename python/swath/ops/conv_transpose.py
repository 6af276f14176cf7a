"""Transposed convolution: the adjoint of the convolution with the same arguments."""

from __future__ import annotations

from swath import _core
from swath._arguments import fail
from swath._types import Array, Ints, Layout, Padding, PaddingMode


def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    output_padding: Ints = 0,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve transposed along one axis.

    As `conv_transpose2d`, for x of shape (N, C, L) and weight of shape (C, O/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([[[1, 2, 3]]], np.float32)
    >>> swath.conv_transpose1d(x, np.ones((1, 1, 2), np.float32), stride=2)
    array([[[1., 1., 2., 2., 3., 3.]]], dtype=float32)
    """
    check_zeros("conv_transpose1d", padding_mode)
    return _core.conv_transpose(
        1, x, weight, bias, stride, padding, dilation, groups, output_padding, layout, out, threads
    )


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    output_padding: Ints = 0,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve transposed along two axes.

    ::

        y[n, o, q] = bias[o] + sum over c, p, t with p*s + t*d - pad = q of
                     weight[c, o, t] * x[n, c, p]

    for the channels c of o's group: the adjoint of `conv2d` with the same arguments.

    Parameters
    ----------
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        N may be missing.
    weight : array, shape (C, O/groups, Kh, Kw), dtype of x
    bias : array, shape (O,), dtype of x, optional
    stride, dilation : int or (int, int)
    padding : int, (int, int), ((before, after), (before, after)) or str
        Taken away from the output. ``"valid"``, ``"same"`` and ``"causal"`` are those of `conv2d`;
        ``"same_tf"`` that of an image of stride times x's extents: so is the output, where the
        window is no smaller than the stride.
    groups : int
    padding_mode : "zeros"
        The other modes of `conv2d` have no transpose here.
    output_padding : int or (int, int)
        Added to the output's length at the end; below max(stride, dilation).
    layout : "channels_first" | "channels_last"
    out : array, shape of y, dtype of x, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, O, H', W')
        H' = (H - 1)*stride - before - after + dilation*(Kh-1) + 1 + output_padding.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Every residue of the output position modulo the stride is one ordinary convolution with its
    share of the taps: no zeros are inserted or multiplied. Accumulation and determinism as in
    `conv2d`. Cost: 2 N C H W (O/groups) Kh Kw operations.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 4, 8, 8), np.float32), np.ones((4, 2, 3, 3), np.float32)
    >>> swath.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1).shape
    (1, 2, 16, 16)
    """
    check_zeros("conv_transpose2d", padding_mode)
    return _core.conv_transpose(
        2, x, weight, bias, stride, padding, dilation, groups, output_padding, layout, out, threads
    )


def conv_transpose3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    output_padding: Ints = 0,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve transposed along three axes.

    As `conv_transpose2d`, for x of shape (N, C, D, H, W) and weight of shape
    (C, O/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 3, 3, 3), np.float32), np.ones((2, 4, 2, 2, 2), np.float32)
    >>> swath.conv_transpose3d(x, weight, stride=2).shape
    (1, 4, 6, 6, 6)
    """
    check_zeros("conv_transpose3d", padding_mode)
    return _core.conv_transpose(
        3, x, weight, bias, stride, padding, dilation, groups, output_padding, layout, out, threads
    )


def check_zeros(op: str, padding_mode: str) -> None:
    """Raise for a padding other than with zeros."""
    if padding_mode != "zeros":
        text = f"padding_mode is {padding_mode!r}, needed is 'zeros' for a transposed convolution"
        fail(_core.ParamError, op, "padding_mode", text)
