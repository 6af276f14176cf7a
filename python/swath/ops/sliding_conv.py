"""Sliding-window convolution (cross-correlation) along one, two or three axes."""

from __future__ import annotations

from swath import _core
from swath._types import Activation, Array, Ints, Layout, Padding, PaddingMode, PassThrough
from swath._types import ResidualOrder as Order


def conv1d(
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
    """Convolve along one axis, with an epilogue in the same pass.

    As `conv2d`, for x of shape (N, C, L) and weight of shape (O, C/groups, K); ``padding`` may
    also be one flat pair ``(before, after)``.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([[[1, 2, 3, 4]]], np.float32)
    >>> swath.conv1d(x, np.ones((1, 1, 3), np.float32), padding=1)
    array([[[3., 6., 9., 7.]]], dtype=float32)
    """
    return _core.conv(
        1, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, channels,
        passthrough, activation, scale, shift, residual, residual_order, out, threads,
    )  # fmt: skip


def conv2d(
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
    """Convolve along two axes, with an epilogue in the same pass.

    ::

        z[n, o, p] = bias[o] + sum over c, t of weight[o, c, t] * x[n, g C/G + c, p*s + t*d - pad]
        y = act(z * scale + shift) + residual

    for output channel o of group g, position p and tap t: the kernel is not flipped
    (cross-correlation).

    Parameters
    ----------
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        N may be missing. Read through its strides, without a copy.
    weight : array, shape (O, C/groups, Kh, Kw), dtype of x
    bias : array, shape (O,), dtype of x, optional
    stride, dilation : int or (int, int)
        ``dilation`` may also be an integer array of shape (O, 2): each output channel its own.
    padding : int, (int, int), ((before, after), (before, after)) or str
        ``"valid"`` none; ``"same"`` dilation*(K-1) in all, the odd one after; ``"same_tf"`` as
        TensorFlow, by the stride; ``"causal"`` all before on the first axis, "same" on the others.
    groups : int
    padding_mode : "zeros" | "reflect" | "replicate" | "circular" | "partial"
        What stands outside x. "partial": zeros, and the result without bias is multiplied by
        the window's size over its share inside x.
    layout : "channels_first" | "channels_last"
        The latter for x of shape (N, H, W, C), and y likewise.
    channels : (start, stop), optional
        Convolve only these channels of x. The others follow ``passthrough``: "copy" puts them into
        y unchanged (then O = stop - start, and y has x's size), "none" leaves them out.
    activation : str or (str, float), optional
        relu, relu6, leaky_relu (0.01), elu (1.0), gelu, gelu_tanh, silu, sigmoid, hardsigmoid,
        hardswish, tanh or softplus.
    scale, shift : array, shape (O,), dtype of x, optional
    residual : array, shape of y, dtype of x, optional
    residual_order : "after" | "before"
        Of the activation.
    out : array, shape of y, dtype of x, optional
        Where to write; must not share memory with an input. With ``channels`` it may be x itself:
        the other channels are then not touched.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, O, H', W')
        In the library of x, or ``out``. H' = floor((H + pads - dilation*(Kh-1) - 1) / stride) + 1.

    Raises
    ------
    ShapeError
        If the shapes do not fit together, or the window does not fit into the padded x.
    DTypeError
        If a dtype is not one of the four, or they differ.
    ParamError
        If an argument has no such value, or ``out`` shares memory with an input.
    LayoutError
        If elements of ``out`` share memory with each other or are not aligned.
    DeviceError
        If an array is not on the cpu.

    Notes
    -----
    Sums are accumulated in float32 for 16-bit and float32 data and in float64 for float64, those
    of more than 512 terms in blocks. Results are bitwise the same from run to run and for any
    number of threads. Cost: 2 N O H' W' (C/groups) Kh Kw operations; scratch memory is at most two
    blocks of rows a thread plus packed weights.

    "partial" padding: Liu et al., "Partial convolution based padding", 2018. ``channels``: Chen et
    al., "Run, don't walk: chasing higher FLOPS for faster neural networks", 2023.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 3, 32, 32), np.float32)
    >>> weight = np.ones((8, 3, 3, 3), np.float32)
    >>> y = swath.conv2d(x, weight, padding="same", activation="relu")
    >>> y.shape, float(y[0, 0, 5, 5])
    ((1, 8, 32, 32), 27.0)
    """
    return _core.conv(
        2, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, channels,
        passthrough, activation, scale, shift, residual, residual_order, out, threads,
    )  # fmt: skip


def conv3d(
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
    """Convolve along three axes, with an epilogue in the same pass.

    As `conv2d`, for x of shape (N, C, D, H, W) and weight of shape (O, C/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 2, 4, 6, 6), np.float32)
    >>> swath.conv3d(x, np.ones((5, 2, 3, 3, 3), np.float32)).shape
    (1, 5, 2, 4, 4)
    """
    return _core.conv(
        3, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout, channels,
        passthrough, activation, scale, shift, residual, residual_order, out, threads,
    )  # fmt: skip
