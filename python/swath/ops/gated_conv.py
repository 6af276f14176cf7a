"""Gated convolution: features times gates, both convolutions of one input, in one pass."""

from __future__ import annotations

from swath import _core
from swath._types import (
    Activation,
    Array,
    GateOrder,
    Ints,
    Layout,
    Padding,
    PaddingMode,
    PassThrough,
)


def gated_conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    activation: Activation = "elu",
    gate: Activation = "sigmoid",
    order: GateOrder = "feature_first",
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints | Array = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    layout: Layout = "channels_first",
    channels: tuple[int, int] | None = None,
    passthrough: PassThrough = "copy",
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Gated convolution along one axis.

    As `gated_conv2d`, for x of shape (N, C, L) and weight of shape (2 O, C/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 3, 8), np.float32)
    >>> swath.gated_conv1d(x, np.ones((4, 3, 3), np.float32)).shape
    (1, 2, 6)
    """
    return _core.gated_conv(
        1, x, weight, bias, activation, gate, order, stride, padding, dilation, groups,
        padding_mode, layout, channels, passthrough, scale, shift, residual, out, threads,
    )  # fmt: skip


def gated_conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    activation: Activation = "elu",
    gate: Activation = "sigmoid",
    order: GateOrder = "feature_first",
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints | Array = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    layout: Layout = "channels_first",
    channels: tuple[int, int] | None = None,
    passthrough: PassThrough = "copy",
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve along two axes with twice the output channels and gate one half with the other.

    ::

        a = (conv2d(x, weight[:O], bias[:O]) * scale[:O] + shift[:O])
        g = (conv2d(x, weight[O:], bias[O:]) * scale[O:] + shift[O:])
        y = activation(a) * gate(g) + residual

    in one pass over x: the 2 O maps are never in memory. With groups each half is a grouped
    convolution of its own.

    Parameters
    ----------
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        N may be missing. Read through its strides, without a copy.
    weight : array, shape (2 O, C/groups, Kh, Kw), dtype of x
        Features first, then gates; the other way round with ``order="gate_first"``.
    bias : array, shape (2 O,), dtype of x, optional
    activation : str or (str, float), optional
        Of the features, as in `conv2d`; None for none.
    gate : "sigmoid" | "hardsigmoid" | "identity" | "tanh" | "relu" or any other activation
    order : "feature_first" | "gate_first"
        Which half of the weight makes the features.
    stride, padding, dilation, groups, padding_mode, layout, channels, passthrough
        As in `conv2d`. "partial" padding scales both halves.
    scale, shift : array, shape (2 O,), dtype of x, optional
        Act before activation and gate.
    residual : array, shape of y, dtype of x, optional
        Added last.
    out : array, shape of y, dtype of x, optional
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, O, H', W')
        In the library of x, or ``out``.

    Raises
    ------
    ShapeError
        If the shapes do not fit together, or weight has an odd number of output channels.
    DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Cost: that of a convolution with 2 O output channels, and O activations and gates an output
    position. Accumulation, determinism and memory as in `conv2d`.

    Yu et al., "Free-form image inpainting with gated convolution", 2019.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 3, 8, 8), np.float32)
    >>> weight = np.zeros((10, 3, 3, 3), np.float32)
    >>> y = swath.gated_conv2d(x, weight, np.ones(10, np.float32), padding=1)
    >>> y.shape, round(float(y[0, 0, 0, 0]), 4)
    ((1, 5, 8, 8), 0.7311)
    """
    return _core.gated_conv(
        2, x, weight, bias, activation, gate, order, stride, padding, dilation, groups,
        padding_mode, layout, channels, passthrough, scale, shift, residual, out, threads,
    )  # fmt: skip


def gated_conv3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    activation: Activation = "elu",
    gate: Activation = "sigmoid",
    order: GateOrder = "feature_first",
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints | Array = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    layout: Layout = "channels_first",
    channels: tuple[int, int] | None = None,
    passthrough: PassThrough = "copy",
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Gated convolution along three axes.

    As `gated_conv2d`, for x (N, C, D, H, W) and weight (2 O, C/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 3, 4, 6, 6), np.float32)
    >>> swath.gated_conv3d(x, np.ones((4, 3, 3, 3, 3), np.float32)).shape
    (1, 2, 2, 4, 4)
    """
    return _core.gated_conv(
        3, x, weight, bias, activation, gate, order, stride, padding, dilation, groups,
        padding_mode, layout, channels, passthrough, scale, shift, residual, out, threads,
    )  # fmt: skip
