"""Gradients of convolution with weights for each sample, and of mixtures of kernels."""

from __future__ import annotations

from typing import NamedTuple

from swath import _core
from swath._types import Activation, Array, Ints, Layout, Needs, Padding, PaddingMode, PassThrough
from swath._types import ResidualOrder as Order
from swath.grad.conv import ConvGrads


class MixKernelsGrads(NamedTuple):
    """Gradients of `mix_kernels`; None where it was not wanted."""

    dcoeff: Array | None
    dexperts: Array | None


def sample_conv1d(
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
    """Gradients of `swath.sample_conv1d`.

    As `grad.sample_conv2d`, for x of shape (N, C, L) and weight of shape (N, O, C/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.array([[[1, 2, 3]]] * 2, np.float32), np.ones((2, 1, 1, 2), np.float32)
    >>> dy = np.array([[[1, 0]], [[0, 1]]], np.float32)
    >>> swath.grad.sample_conv1d(dy, x, weight).dweight[:, 0, 0]
    array([[1., 2.],
           [2., 3.]], dtype=float32)
    """
    return ConvGrads(
        *_core.sample_conv_backward(
            1, dy, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout,
            channels, passthrough, activation, scale, shift, residual, residual_order, needs,
            threads,
        )
    )  # fmt: skip


def sample_conv2d(
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
    """Gradients of `swath.sample_conv2d` with the same arguments.

    Parameters
    ----------
    dy : array, shape (N, O, H', W'), float32 | float64 | float16 | bfloat16
        As y of the forward call.
    x, weight, bias, scale, shift, residual : array
        The inputs of the forward call, dtype of dy.
    stride, padding, dilation, groups, padding_mode, layout, channels, passthrough, activation, \
residual_order, threads :
        As in the forward call.
    needs : sequence of str, optional
        The results to compute, "dx" or "x" and so on; None for all.

    Returns
    -------
    ConvGrads : named tuple (dx, dweight, dbias, dscale, dshift, dresidual)
        Each with the shape of its input: dweight has N, dbias, dscale and dshift have it where the
        input had. Without a bias dbias is (O,).

    Raises
    ------
    ShapeError, DTypeError, ParamError, DeviceError
        As `swath.sample_conv2d`, and as `grad.conv2d`.

    Notes
    -----
    The bits of dx and dweight are those of `grad.conv2d` for each sample alone; a gradient that all
    samples share is the sum over them in their order.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((2, 3, 8, 8), np.float32), np.ones((2, 4, 3, 3, 3), np.float32)
    >>> g = swath.grad.sample_conv2d(np.ones((2, 4, 6, 6), np.float32), x, weight)
    >>> g.dx.shape, g.dweight.shape, g.dbias
    ((2, 3, 8, 8), (2, 4, 3, 3, 3), array([72., 72., 72., 72.], dtype=float32))
    """
    return ConvGrads(
        *_core.sample_conv_backward(
            2, dy, x, weight, bias, stride, padding, dilation, groups, padding_mode, layout,
            channels, passthrough, activation, scale, shift, residual, residual_order, needs,
            threads,
        )
    )  # fmt: skip


def mix_kernels(
    dw: Array,
    coeff: Array,
    experts: Array,
    *,
    needs: Needs = None,
    threads: int | None = None,
) -> MixKernelsGrads:
    """Gradients of `swath.mix_kernels`.

    ::

        dcoeff[n, e] = sum over a kernel's elements of dw[n] * experts[e]
        dexperts[e] = sum over n of coeff[n, e] * dw[n]

    Parameters
    ----------
    dw : array, shape (N, ...), or (...) for coeff of shape (E,)
        The gradient of the mixtures.
    coeff, experts, threads
        As in `swath.mix_kernels`.
    needs : sequence of "dcoeff", "dexperts", optional
        The results to compute, also by the names of their inputs; None for all.

    Returns
    -------
    MixKernelsGrads : named tuple (dcoeff, dexperts)

    Raises
    ------
    ShapeError, DTypeError, ParamError, DeviceError
        As `swath.mix_kernels`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> coeff = np.array([[1, 2]], np.float32)
    >>> experts = np.array([[1, 1, 1], [0, 1, 2]], np.float32)
    >>> swath.grad.mix_kernels(np.ones((1, 3), np.float32), coeff, experts)
    MixKernelsGrads(dcoeff=array([[3., 3.]], dtype=float32),
                    dexperts=array([[1., 1., 1.], [2., 2., 2.]], dtype=float32))
    """
    return MixKernelsGrads(*_core.mix_kernels_backward(dw, coeff, experts, needs, threads))
