"""Convolution with weights of its own for each sample, and mixtures of kernels."""

from __future__ import annotations

from swath import _core
from swath._types import Activation, Array, Ints, Layout, Padding, PaddingMode, PassThrough
from swath._types import ResidualOrder as Order


def sample_conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints | Array = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    layout: Layout = "channels_first",
    channels: tuple[int, int] | None = None,
    passthrough: PassThrough = "copy",
    activation: Activation = None,
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    residual_order: Order = "after",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve each sample along one axis with weights of its own.

    As `sample_conv2d`, for x of shape (N, C, L) and weight of shape (N, O, C/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([[[1, 2, 3]], [[1, 2, 3]]], np.float32)
    >>> weight = np.array([[[[1, 1]]], [[[0, 2]]]], np.float32)
    >>> swath.sample_conv1d(x, weight)[:, 0]
    array([[3., 5.],
           [4., 6.]], dtype=float32)
    """
    return _core.sample_conv(
        1, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, channels,
        passthrough, activation, scale, shift, residual, residual_order, out, threads,
    )  # fmt: skip


def sample_conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints | Array = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    layout: Layout = "channels_first",
    channels: tuple[int, int] | None = None,
    passthrough: PassThrough = "copy",
    activation: Activation = None,
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    residual_order: Order = "after",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve each sample along two axes with weights of its own.

    ::

        y[n] = conv2d(x[n], weight[n], bias[n])

    Parameters
    ----------
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        Read through its strides. Without N, weight has no N either.
    weight : array, shape (N, O, C/groups, Kh, Kw), dtype of x
        Such as `mix_kernels` gives.
    bias, scale, shift : array, shape (O,) or (N, O), dtype of x, optional
        One for all samples, or one for each.
    stride, padding, dilation, groups, padding_mode, layout, channels, passthrough, activation, \
residual, residual_order, out, threads :
        As in `swath.conv2d`.

    Returns
    -------
    array, shape (N, O, H', W')
        As `swath.conv2d`; also ``out`` itself.

    Raises
    ------
    ShapeError
        If weight, or a bias with two axes, does not have x's number of samples; else as
        `swath.conv2d`.
    DTypeError, ParamError, LayoutError, DeviceError
        As `swath.conv2d`.

    Notes
    -----
    Every sample runs the kernels that `swath.conv2d` takes for it alone: the bits are those of
    N calls, in one plan whose tasks are shared among the threads. Weights that are the same for all
    samples by their strides (``np.broadcast_to``, ``Tensor.expand``) are packed once: the call is
    then one plain convolution. Cost: that of `swath.conv2d`, and the packing of N weights.

    Yang et al., "CondConv: conditionally parameterized convolutions", 2019; Maggioni et al.,
    "Tunable convolutions with parametric multi-loss optimization", 2023; Chen et al., "Frequency
    dynamic convolution for dense image prediction", 2025. A 1x1 kernel for each sample is the
    product of tokens and features of global dynamic convolution.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((2, 3, 8, 8), np.float32)
    >>> experts = np.ones((4, 5, 3, 3, 3), np.float32)
    >>> coeff = np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]], np.float32)
    >>> y = swath.sample_conv2d(x, swath.mix_kernels(coeff, experts), padding="same")
    >>> y.shape, float(y[1, 0, 4, 4])
    ((2, 5, 8, 8), 27.0)
    """
    return _core.sample_conv(
        2, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, channels,
        passthrough, activation, scale, shift, residual, residual_order, out, threads,
    )  # fmt: skip


def mix_kernels(
    coeff: Array, experts: Array, *, out: Array | None = None, threads: int | None = None
) -> Array:
    """Mix the kernels of several experts, for each sample.

    ::

        weights[n, ...] = sum over e of coeff[n, e] * experts[e, ...]

    Parameters
    ----------
    coeff : array, shape (N, E) or (E,), float32 | float64 | float16 | bfloat16
        Used as they are: routing functions (sigmoid, softmax, an affine layer) come before.
    experts : array, shape (E, ...), dtype of coeff
        Kernels (E, O, C/groups, *kernel), or biases (E, O).
    out : array, shape (N, ...), dtype of coeff, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, ...), or (...) for coeff of shape (E,)
        For `sample_conv2d`.

    Raises
    ------
    ShapeError
        If experts does not have E kernels.
    DTypeError, ParamError, LayoutError, DeviceError
        As `swath.conv2d`.

    Notes
    -----
    A product of two matrices: sums in float32 (float64 for float64), of more than 512 experts in
    blocks. Each sample's bits depend on its own coefficients alone.

    Where all samples have the same coefficients (one knob at inference), fold once: ``coeff`` of
    shape (E,) gives one kernel without N, for `swath.conv2d` or a `swath.Conv2d` that keeps it.

    Examples
    --------
    >>> import numpy as np, swath
    >>> experts = np.array([[1, 2], [10, 20]], np.float32)
    >>> swath.mix_kernels(np.array([[1, 0], [0.5, 0.5]], np.float32), experts)
    array([[ 1. ,  2. ],
           [ 5.5, 11. ]], dtype=float32)
    """
    return _core.mix_kernels(coeff, experts, out, threads)
