"""Gradients of the gated and the masked convolutions."""

from __future__ import annotations

from typing import NamedTuple

from swath import _core
from swath._types import (
    Activation,
    Array,
    GateOrder,
    Ints,
    Layout,
    MaskUpdate,
    Needs,
    Padding,
    PaddingMode,
    PassThrough,
)
from swath.grad.conv import ConvGrads


class PartialConvGrads(NamedTuple):
    """Gradients of a masked convolution's inputs; None where it was not wanted."""

    dx: Array | None
    dweight: Array | None
    dbias: Array | None


def gated_conv1d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvGrads:
    """Gradients of `swath.gated_conv1d`.

    As `grad.gated_conv2d`, for x (N, C, L) and weight (2 O, C/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 5), np.float32), np.ones((6, 2, 3), np.float32)
    >>> swath.grad.gated_conv1d(np.ones((1, 3, 3), np.float32), x, weight).dx.shape
    (1, 2, 5)
    """
    return ConvGrads(
        *_core.gated_conv_grad(
            1, dy, x, weight, bias, activation, gate, order, stride, padding, dilation, groups,
            padding_mode, layout, channels, passthrough, scale, shift, residual, needs, threads,
        )
    )  # fmt: skip


def gated_conv2d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvGrads:
    """Gradients of `swath.gated_conv2d` with the same arguments.

    With a and g the arguments of activation and gate, da = dy * gate(g) * activation'(a) and
    dg = dy * activation(a) * gate'(g); from there each half is a convolution of its own (see
    `grad.conv2d`) and dx is the sum of both.

    Parameters
    ----------
    dy : array, shape (N, O, H', W'), dtype of x
        Gradient of the forward's result.
    x, weight, bias, activation, gate, order, stride, padding, dilation, groups, padding_mode, \
layout, channels, passthrough, scale, shift, residual, threads
        As in `swath.gated_conv2d`.
    needs : sequence of "x", "weight", "bias", "scale", "shift", "residual", optional
        Which gradients to compute; None for all.

    Returns
    -------
    ConvGrads
        (dx, dweight, dbias, dscale, dshift, dresidual), each of its input's shape; dbias has
        2 O values also without a bias. None where there is no such input or it is not needed.

    Raises
    ------
    ShapeError, DTypeError, ParamError, DeviceError
        As `swath.gated_conv2d`; ShapeError if dy has not the result's shape.

    Notes
    -----
    Cost: the forward once more, and twice its operations for dx and dweight. Memory: three arrays
    of dy's size. Bitwise the same for any number of threads.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 5, 5), np.float32), np.zeros((6, 2, 3, 3), np.float32)
    >>> g = swath.grad.gated_conv2d(np.ones((1, 3, 3, 3), np.float32), x, weight)
    >>> g.dweight[:, 0, 0, 0]
    array([4.5, 4.5, 4.5, 0. , 0. , 0. ], dtype=float32)
    """
    return ConvGrads(
        *_core.gated_conv_grad(
            2, dy, x, weight, bias, activation, gate, order, stride, padding, dilation, groups,
            padding_mode, layout, channels, passthrough, scale, shift, residual, needs, threads,
        )
    )  # fmt: skip


def gated_conv3d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvGrads:
    """Gradients of `swath.gated_conv3d`.

    As `grad.gated_conv2d`, for x (N, C, D, H, W) and weight (2 O, C/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 3, 5, 5), np.float32), np.ones((6, 2, 3, 3, 3), np.float32)
    >>> swath.grad.gated_conv3d(np.ones((1, 3, 1, 3, 3), np.float32), x, weight).dx.shape
    (1, 2, 3, 5, 5)
    """
    return ConvGrads(
        *_core.gated_conv_grad(
            3, dy, x, weight, bias, activation, gate, order, stride, padding, dilation, groups,
            padding_mode, layout, channels, passthrough, scale, shift, residual, needs, threads,
        )
    )  # fmt: skip


def partial_conv1d(
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    renormalize: bool = True,
    mask_update: MaskUpdate = "any",
    eps: float = 1e-8,
    layout: Layout = "channels_first",
    activation: Activation = None,
    needs: Needs = None,
    threads: int | None = None,
) -> PartialConvGrads:
    """Gradients of the first result of `swath.partial_conv1d`.

    As `grad.partial_conv2d`, for x (N, C, L) and weight (O, C/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 5), np.float32), np.ones((3, 2, 3), np.float32)
    >>> swath.grad.partial_conv1d(np.ones((1, 3, 3), np.float32), x, weight).dx.shape
    (1, 2, 5)
    """
    return PartialConvGrads(
        *_core.partial_conv_grad(
            1, dy, x, weight, bias, mask, stride, padding, dilation, groups, renormalize,
            mask_update, eps, layout, activation, needs, threads,
        )
    )  # fmt: skip


def partial_conv2d(
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    renormalize: bool = True,
    mask_update: MaskUpdate = "any",
    eps: float = 1e-8,
    layout: Layout = "channels_first",
    activation: Activation = None,
    needs: Needs = None,
    threads: int | None = None,
) -> PartialConvGrads:
    """Gradients of the first result of `swath.partial_conv2d` with the same arguments.

    The mask is a constant: r and the new mask are factors of dy on its way to the sum, and dx is 0
    under a hole. Nothing under a hole, NaN included, reaches a gradient.

    Parameters
    ----------
    dy : array, shape (N, O, H', W'), dtype of x
        Gradient of y.
    x, weight, bias, mask, stride, padding, dilation, groups, renormalize, mask_update, eps, \
layout, activation, threads
        As in `swath.partial_conv2d`.
    needs : sequence of "x", "weight", "bias", optional
        Which gradients to compute; None for all.

    Returns
    -------
    PartialConvGrads
        (dx, dweight, dbias); dbias, the sum of dy times the new mask, also without a bias.

    Raises
    ------
    ShapeError, DTypeError, ParamError, DeviceError
        As `swath.partial_conv2d`; ShapeError if dy has not y's shape.

    Notes
    -----
    Cost: about twice the operations of the forward, once more with an activation. Bitwise the same
    for any number of threads.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
    >>> mask = np.ones((1, 1, 5, 5), bool)
    >>> mask[..., 0, 0] = False
    >>> g = swath.grad.partial_conv2d(np.ones((1, 3, 3, 3), np.float32), x, weight, mask=mask)
    >>> float(g.dx[0, 0, 0, 0]), float(g.dx[0, 0, 4, 4])
    (0.0, 3.0)
    """
    return PartialConvGrads(
        *_core.partial_conv_grad(
            2, dy, x, weight, bias, mask, stride, padding, dilation, groups, renormalize,
            mask_update, eps, layout, activation, needs, threads,
        )
    )  # fmt: skip


def partial_conv3d(
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    renormalize: bool = True,
    mask_update: MaskUpdate = "any",
    eps: float = 1e-8,
    layout: Layout = "channels_first",
    activation: Activation = None,
    needs: Needs = None,
    threads: int | None = None,
) -> PartialConvGrads:
    """Gradients of the first result of `swath.partial_conv3d`.

    As `grad.partial_conv2d`, for x (N, C, D, H, W) and weight (O, C/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 3, 5, 5), np.float32), np.ones((3, 2, 3, 3, 3), np.float32)
    >>> swath.grad.partial_conv3d(np.ones((1, 3, 1, 3, 3), np.float32), x, weight).dx.shape
    (1, 2, 3, 5, 5)
    """
    return PartialConvGrads(
        *_core.partial_conv_grad(
            3, dy, x, weight, bias, mask, stride, padding, dilation, groups, renormalize,
            mask_update, eps, layout, activation, needs, threads,
        )
    )  # fmt: skip
