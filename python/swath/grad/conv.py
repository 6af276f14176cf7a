"""Gradients of the convolutions and transposed convolutions."""

from __future__ import annotations

from typing import NamedTuple

from swath import _core
from swath._types import Activation, Array, Ints, Layout, Needs, Padding, PaddingMode, PassThrough
from swath._types import ResidualOrder as Order
from swath.ops.conv_transpose import check_zeros


class ConvGrads(NamedTuple):
    """Gradients of a convolution's inputs; None where there is none or it was not wanted."""

    dx: Array | None
    dweight: Array | None
    dbias: Array | None
    dscale: Array | None
    dshift: Array | None
    dresidual: Array | None


class ConvTransposeGrads(NamedTuple):
    """Gradients of a transposed convolution's inputs; None where it was not wanted."""

    dx: Array | None
    dweight: Array | None
    dbias: Array | None


def conv1d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvGrads:
    """Gradients of `swath.conv1d`.

    As `grad.conv2d`, for x of shape (N, C, L) and weight of shape (O, C/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.array([[[1, 2, 3, 4]]], np.float32), np.ones((1, 1, 3), np.float32)
    >>> dy = np.array([[[0, 1, 0, 0]]], np.float32)
    >>> swath.grad.conv1d(dy, x, weight, padding=1).dweight
    array([[[1., 2., 3.]]], dtype=float32)
    """
    return ConvGrads(
        *_core.conv_grad(
            1, dy, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout,
            channels, passthrough, activation, scale, shift, residual, residual_order, needs,
            threads,
        )
    )  # fmt: skip


def conv2d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvGrads:
    """Gradients of `swath.conv2d` with the same arguments.

    ::

        z = sum over c, t of weight[o, c, t] * x[n, g C/G + c, p*s + t*d - pad] + bias[o]
        y = act(z * scale + shift) + residual

    For the gradient dy of y: du = dy * act' * scale is that of the sum, dx[i] the sum of
    weight * du over the windows that see element i, dweight[o, c, t] the sum of du * x over the
    batch and all positions.

    Parameters
    ----------
    dy : array, shape (N, O, H', W'), float32 | float64 | float16 | bfloat16
        As y of the forward call.
    x, weight, bias, scale, shift, residual : array
        The inputs of the forward call, dtype of dy. The values of bias count only before an
        activation or a scale.
    stride, padding, dilation, groups, padding_mode, layout, channels, passthrough, activation, \
residual_order :
        As in the forward call. Channels that pass through take dy as their dx, or zero with
        ``passthrough="none"``.
    needs : sequence of str, optional
        The inputs whose gradients are wanted, of "x", "weight", "bias", "scale", "shift" and
        "residual"; None for all. What only the others need is not computed.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    ConvGrads : named tuple (dx, dweight, dbias, dscale, dshift, dresidual)
        Each with the shape of its input; None where it is not among ``needs``, and for a scale,
        shift or residual that is absent. dbias (O,) needs no bias.

    Raises
    ------
    ShapeError
        If dy does not have the shape of y; else as `swath.conv2d`.
    DTypeError, ParamError, DeviceError
        As `swath.conv2d`, and if ``needs`` names something else.

    Notes
    -----
    Before an activation, and for dscale, the sum is computed again, not stored by the forward
    call. At a kink the derivative is PyTorch's: 0 for relu at 0, the slope for leaky_relu.
    16-bit data is accumulated in float32, and du is rounded to 16 bits. Sums over the batch are
    made in parts that depend on the shapes alone and added in a fixed order: the same bits for
    any number of threads. Cost: 2 N O H' W' (C/groups) Kh Kw operations for each of dx, dweight
    and the sum, where it is needed.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
    >>> y = swath.conv2d(x, weight, padding=1, activation="relu")
    >>> g = swath.grad.conv2d(np.ones_like(y), x, weight, padding=1, activation="relu")
    >>> g.dx.shape, g.dweight.shape, g.dbias, g.dscale
    ((2, 3, 8, 8), (4, 3, 3, 3), array([128., 128., 128., 128.], dtype=float32), None)
    """
    return ConvGrads(
        *_core.conv_grad(
            2, dy, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout,
            channels, passthrough, activation, scale, shift, residual, residual_order, needs,
            threads,
        )
    )  # fmt: skip


def conv3d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvGrads:
    """Gradients of `swath.conv3d`.

    As `grad.conv2d`, for x of shape (N, C, D, H, W) and weight of shape (O, C/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 4, 5, 6), np.float32), np.ones((3, 2, 2, 2, 2), np.float32)
    >>> swath.grad.conv3d(np.ones((1, 3, 3, 4, 5), np.float32), x, weight).dx.shape
    (1, 2, 4, 5, 6)
    """
    return ConvGrads(
        *_core.conv_grad(
            3, dy, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout,
            channels, passthrough, activation, scale, shift, residual, residual_order, needs,
            threads,
        )
    )  # fmt: skip


def conv_transpose1d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvTransposeGrads:
    """Gradients of `swath.conv_transpose1d`.

    As `grad.conv_transpose2d`, for x of shape (N, C, L) and weight of shape (C, O/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 1, 3), np.float32), np.array([[[1, 2]]], np.float32)
    >>> swath.grad.conv_transpose1d(np.ones((1, 1, 6), np.float32), x, weight, stride=2).dx
    array([[[3., 3., 3.]]], dtype=float32)
    """
    check_zeros("grad.conv_transpose1d", padding_mode)
    return ConvTransposeGrads(
        *_core.conv_transpose_grad(
            1, dy, x, weight, bias, stride, padding, dilation, groups, output_padding, layout,
            needs, threads,
        )
    )  # fmt: skip


def conv_transpose2d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvTransposeGrads:
    """Gradients of `swath.conv_transpose2d` with the same arguments.

    dx is the convolution of dy with the weight; dweight[c, o, t] is the sum of
    x[c, p] * dy[o, p*s + t*d - pad] over the batch and all positions p.

    Parameters
    ----------
    dy : array, shape (N, O, H', W'), float32 | float64 | float16 | bfloat16
        As y of the forward call.
    x, weight, bias : array
        The inputs of the forward call, dtype of dy. The values of bias do not count.
    stride, padding, dilation, groups, padding_mode, output_padding, layout :
        As in the forward call.
    needs : sequence of str, optional
        The inputs whose gradients are wanted, of "x", "weight" and "bias"; None for all.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    ConvTransposeGrads : named tuple (dx, dweight, dbias)
        Each with the shape of its input, None where it is not among ``needs``. dbias (O,) needs
        no bias.

    Raises
    ------
    ShapeError, DTypeError, ParamError, DeviceError
        As `grad.conv2d`.

    Notes
    -----
    Accumulation and determinism as in `grad.conv2d`. Cost: 2 N C H W (O/groups) Kh Kw operations
    for each of dx and dweight.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 4, 8, 8), np.float32), np.ones((4, 2, 2, 2), np.float32)
    >>> dy = np.ones((1, 2, 16, 16), np.float32)
    >>> g = swath.grad.conv_transpose2d(dy, x, weight, stride=2, needs=("weight",))
    >>> g.dx is None, g.dweight.shape
    (True, (4, 2, 2, 2))
    """
    check_zeros("grad.conv_transpose2d", padding_mode)
    return ConvTransposeGrads(
        *_core.conv_transpose_grad(
            2, dy, x, weight, bias, stride, padding, dilation, groups, output_padding, layout,
            needs, threads,
        )
    )  # fmt: skip


def conv_transpose3d(
    dy: Array,
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
    needs: Needs = None,
    threads: int | None = None,
) -> ConvTransposeGrads:
    """Gradients of `swath.conv_transpose3d`.

    As `grad.conv_transpose2d`, for x of shape (N, C, D, H, W) and weight of shape
    (C, O/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 2, 3, 3, 3), np.float32), np.ones((2, 4, 2, 2, 2), np.float32)
    >>> dy = np.ones((1, 4, 6, 6, 6), np.float32)
    >>> swath.grad.conv_transpose3d(dy, x, weight, stride=2).dweight.shape
    (2, 4, 2, 2, 2)
    """
    check_zeros("grad.conv_transpose3d", padding_mode)
    return ConvTransposeGrads(
        *_core.conv_transpose_grad(
            3, dy, x, weight, bias, stride, padding, dilation, groups, output_padding, layout,
            needs, threads,
        )
    )  # fmt: skip
