"""Convolutions whose taps differ from position to position."""

from __future__ import annotations

from typing import Any

from swath import _core
from swath._types import Array, HeadMap, Ints, Layout, Padding


def dynamic_conv1d(
    x: Array,
    weight: Array,
    *,
    padding: Padding = "causal",
    softmax: bool = False,
    renormalize_padding: bool = False,
    head_map: HeadMap = "blocked",
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve each position of a sequence with taps of its own, shared by the channels of a head.

    ::

        y[b, c, t] = sum over k of w[b, h(c), k, t] * x[b, c, t + k - P]

    with x counted as 0 outside and w the weight or, with ``softmax``, its softmax over the taps.

    Parameters
    ----------
    x : array, shape (B, C, T) or (C, T), float32 | float64 | float16 | bfloat16
    weight : array, shape (B, H, K, T) or (H, K), dtype of x
        (H, K) are the same taps for every sample and position (lightweight convolution). H divides
        C. T is the output's length. B is missing if it is missing in x. With
        ``layout="channels_last"`` the position comes first: (B, T, H, K).
    padding : "causal" | "same" | (left, right)
        P = K - 1 before ("causal": tap K - 1 meets the current position), P = (K - 1) // 2 before
        and the rest after ("same"), or so many zeros; an int and the other rules of `conv1d` work
        too.
    softmax : bool
        Replace the taps of each position by their softmax, over all K of them, also those that meet
        only padding.
    renormalize_padding : bool
        Restrict the softmax to the taps that meet x; a position without one gives 0. No effect
        without ``softmax``.
    head_map : "blocked" | "interleaved"
        h(c) is c // (C / H), or c % H. Of the published modules those in (T, B, C) and the CUDA
        ones are blocked, the plain one in (B, C, T) is interleaved.
    layout : "channels_first" | "channels_last"
        x and the result are (B, C, T) or (B, T, C).
    out : array, shape and dtype of the result, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (B, C, T + left + right - K + 1), or as x is laid out

    Raises
    ------
    ShapeError
        If H does not divide C, or weight has other samples or positions than the result.
    ParamError
        If the padding is negative or an option unknown.
    DTypeError, LayoutError, DeviceError
        As `conv1d`.

    Notes
    -----
    Sums and softmax are accumulated in float32, or float64 for float64, tap by tap in order;
    results are bitwise the same for any number of threads, and for any chunks of a stream
    (`DynamicConv1d`).
    Cost: B C T K products, one read of x and weight and one write; the softmax is taken on tiles in
    cache, an exponential for every tap of a head.

    Wu et al., "Pay less attention with lightweight and dynamic convolutions", 2019.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 4)
    >>> weight = np.zeros((1, 1, 2, 4), np.float32)
    >>> weight[0, 0, 0, 2:] = 1  # the last two positions take what comes before
    >>> weight[0, 0, 1, :2] = 1  # the first two take themselves
    >>> swath.dynamic_conv1d(x, weight)
    array([[[1., 2., 2., 3.]]], dtype=float32)
    """
    return _core.dynamic_conv(
        0, x, weight, None, 1, 1, padding, softmax, renormalize_padding, head_map, layout, out,
        threads,
    )  # fmt: skip


def dynamic_conv2d(
    x: Array,
    weight: Array,
    *,
    kernel: Ints | None = None,
    stride: Ints = 1,
    dilation: Ints = 1,
    padding: Padding | None = None,
    softmax: bool = False,
    group_map: HeadMap = "blocked",
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve each position of an image with taps of its own, shared by the channels of a group.

    ::

        y[n, c, p, q] = sum over i, l of
            w[n, g(c), i * kw + l, p, q] * x[n, c, p * s + i * d - pad, q * s + l * d - pad]

    with x counted as 0 outside and w the weight or, with ``softmax``, its softmax over the taps.

    Parameters
    ----------
    x : array, shape (N, C, H, W) or (C, H, W), float32 | float64 | float16 | bfloat16
    weight : array, shape (N, G, kh * kw, Ho, Wo), dtype of x
        G divides C, Ho and Wo are the result's extents, N is missing if it is missing in x. With
        ``layout="channels_last"`` the positions come first: (N, Ho, Wo, G, kh * kw).
    kernel : int or (kh, kw), optional
        None: the weight's taps are a square.
    stride, dilation : int or one per axis
    padding : as in `conv2d`, optional
        None: "same" for odd kernels, d (k - 1) / 2 on each side.
    softmax : bool
        Replace the taps of each position by their softmax, also of those that meet only padding.
    group_map : "blocked" | "interleaved"
        g(c) is c // (C / G), or c % G.
    layout : "channels_first" | "channels_last"
    out : array, shape and dtype of the result, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (N, C, Ho, Wo), or as x is laid out

    Raises
    ------
    ShapeError
        If G does not divide C, if weight has other samples, taps or positions than needed, or the
        window does not fit.
    ParamError
        If padding is None and a kernel even, or an option is out of range.
    DTypeError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Accumulates in float32, or float64 for float64. Cost: N C Ho Wo kh kw products; a tap is read
    once for eight channels of its group.

    Involution: Li et al., "Involution: inverting the inherence of convolution for visual
    recognition", 2021 (`involution2d`). Small-kernel aggregation: Wang et al., "LSNet: see large,
    focus small", 2025 (`small_kernel_aggregation2d`).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 4, 3, 3), np.float32)
    >>> weight = np.ones((1, 2, 9, 3, 3), np.float32)
    >>> swath.dynamic_conv2d(x, weight, kernel=3)[0, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]], dtype=float32)
    """
    return _core.dynamic_conv(
        1, x, weight, kernel, stride, dilation, padding, softmax, False, group_map, layout, out,
        threads,
    )  # fmt: skip


def lightweight_conv1d(
    x: Array,
    weight: Array,
    *,
    padding: Padding = "causal",
    softmax: bool = True,
    renormalize_padding: bool = False,
    head_map: HeadMap = "blocked",
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve with the softmax of a few taps that the channels of a head share: LightConv.

    ::

        y[b, c, t] = sum over k of softmax(weight[h(c)])[k] * x[b, c, t + k - P]

    `dynamic_conv1d` with taps that are the same everywhere, and the softmax as published.

    Parameters
    ----------
    x : array, shape (B, C, T) or (C, T), float32 | float64 | float16 | bfloat16
    weight : array, shape (H, K), or (H, 1, K) as the published module keeps it, dtype of x
    padding, renormalize_padding, head_map, layout, out, threads
        As in `dynamic_conv1d`. The published decoder is causal, its encoder "same".
    softmax : bool
        False: the taps as they are.

    Returns
    -------
    array, shape (B, C, T + left + right - K + 1), or as x is laid out

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `dynamic_conv1d`.

    Notes
    -----
    The softmax is taken once a call. Wu et al., "Pay less attention with lightweight and dynamic
    convolutions", 2019.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.array([[2, 4, 6]], np.float32)
    >>> swath.lightweight_conv1d(x, np.zeros((1, 2), np.float32))
    array([[1., 3., 5.]], dtype=float32)
    """
    return _core.dynamic_conv(
        2, x, shared_taps(weight), None, 1, 1, padding, softmax, renormalize_padding, head_map,
        layout, out, threads,
    )  # fmt: skip


def involution2d(
    x: Array,
    weight: Array,
    *,
    kernel: Ints | None = None,
    stride: Ints = 1,
    padding: Padding | None = None,
    dilation: Ints = 1,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Involution: taps for every position, shared by the C / G neighbouring channels of a group.

    `dynamic_conv2d` with the published channel map, ``group_map="blocked"``, and no softmax.

    Parameters
    ----------
    x : array, shape (N, C, H, W) or (C, H, W), float32 | float64 | float16 | bfloat16
    weight : array, shape (N, G, kh, kw, Ho, Wo) as published, or (N, G, kh * kw, Ho, Wo)
        With ``layout="channels_last"`` (N, Ho, Wo, G, kh, kw) or (N, Ho, Wo, G, kh * kw).
    kernel : int or (kh, kw), optional
        None: as the weight's axes say; of the second form the taps are a square.
    stride, dilation, layout, out, threads
        As in `dynamic_conv2d`.
    padding : as in `conv2d`, optional
        None: d (k - 1) / 2, as the published layer.

    Returns
    -------
    array, shape (N, C, Ho, Wo), or as x is laid out

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `dynamic_conv2d`.

    Notes
    -----
    Li et al., "Involution: inverting the inherence of convolution for visual recognition", 2021.
    The published layer makes the taps from x by two 1x1 convolutions.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 32, 8, 8), np.float32)
    >>> swath.involution2d(x, np.ones((1, 2, 7, 7, 8, 8), np.float32))[0, 0, 0]
    array([16., 20., 24., 28., 28., 24., 20., 16.], dtype=float32)
    """
    taps, kernel = flat_taps(x, weight, kernel, layout)
    return _core.dynamic_conv(
        3, x, taps, kernel, stride, dilation, padding, False, False, "blocked", layout, out,
        threads,
    )  # fmt: skip


def small_kernel_aggregation2d(
    x: Array,
    weight: Array,
    *,
    kernel: Ints | None = None,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Small-kernel aggregation (SKA) of LSNet: taps for every position, channel c has group c % G.

    `dynamic_conv2d` with the published channel map, ``group_map="interleaved"``, stride 1, zeros
    around x and no softmax.

    Parameters
    ----------
    x : array, shape (N, C, H, W) or (C, H, W), float32 | float64 | float16 | bfloat16
    weight : array, shape (N, G, k * k, H, W), dtype of x
        With ``layout="channels_last"`` (N, H, W, G, k * k). The published G is C / 8.
    kernel : int or (kh, kw), optional
        None: the weight's taps are a square.
    layout, out, threads
        As in `dynamic_conv2d`.

    Returns
    -------
    array, shape of x

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `dynamic_conv2d`.

    Notes
    -----
    Wang et al., "LSNet: see large, focus small", 2025.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 4, 2, 2), np.float32)
    >>> weight = np.stack([np.zeros((9, 2, 2)), np.ones((9, 2, 2))])[None].astype(np.float32)
    >>> swath.small_kernel_aggregation2d(x, weight)[0, :, 0, 0]
    array([0., 4., 0., 4.], dtype=float32)
    """
    return _core.dynamic_conv(
        4, x, weight, kernel, 1, 1, None, False, False, "interleaved", layout, out, threads
    )


def shared_taps(weight: Array) -> Array:
    """(H, 1, K) -> (H, K)."""
    shape: tuple[int, ...] = getattr(weight, "shape", ())
    return weight.reshape(shape[0], shape[2]) if len(shape) == 3 and shape[1] == 1 else weight


def flat_taps(x: Array, weight: Array, kernel: Any, layout: Layout) -> tuple[Array, Any]:
    """The weight with one axis of taps, and the kernel; what is wrong is left to the checks."""
    shape = tuple(getattr(weight, "shape", ()))
    if len(shape) != len(getattr(x, "shape", ())) + 2:
        return weight, kernel
    at = len(shape) - (2 if layout == "channels_last" else 4)
    taps = shape[at] * shape[at + 1]
    flat = weight.reshape(*shape[:at], taps, *shape[at + 2 :])
    return flat, shape[at : at + 2] if kernel is None else kernel
