"""Gates with one value per channel, made of the channels' own statistics."""

from __future__ import annotations

from collections.abc import Sequence

from swath import _core
from swath._types import Array, ChannelGateKind, Layout


def channel_gate(
    x: Array,
    *,
    kind: ChannelGateKind = "eca",
    weights: Sequence[Array | None],
    ndim: int | None = None,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply each channel by a gate made of the means of all channels.

    ::

        y[n, c, p] = x[n, c, p] * g[n, c]

        m[n, c] = mean over p of x[n, c, p], s[n, c] = standard deviation over p, unbiased
        "eca":       g = sigmoid(sum over t of w[t] m[n, c + t - k//2]), 0 outside the channels
        "se":        g = sigmoid(w2 relu(w1 m + b1) + b2)
        "cca":       g = sigmoid(w m + b)
        "mean_std":  g = hardsigmoid((w[..., 0] m + w[..., 1] s) * scale + shift)

    Parameters
    ----------
    x : array, shape (N, C, *S), float32 | float64 | float16 | bfloat16
        One to three spatial axes. N may be missing if ``ndim`` is given.
    kind : "eca" | "se" | "cca" | "mean_std"
    weights : tuple of arrays, dtype of x
        "eca": (w (k,),) with odd k. "se": (w1 (R, C), b1 (R,), w2 (C, R), b2 (C,)). "cca":
        (w (C, C), b (C,)). "mean_std": (w (C, C, 2), scale (C,), shift (C,)), a batch
        normalisation folded into scale and shift. Biases, scale and shift may be None.
    ndim : int, optional
        The number of spatial axes; default all axes of x but two.
    layout : "channels_first" | "channels_last"
    out : array, shape and dtype of x, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape of x

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Accumulated in float32, or float64 for float64; deviations about the mean of each block of
    positions, so that a large mean costs no digits. The deviation of a single position is NaN, as
    PyTorch's. One sample's result does not depend on the others. Cost: two reads of x and one
    write, and the weights once.

    "eca": Wang et al., "ECA-Net: efficient channel attention", 2020 (published code: k = 3; paper:
    the odd number at (log2(C) + 1) / 2). "se": Hu et al., "Squeeze-and-excitation networks", 2018.
    "cca": Ai et al., "DiCo: revitalizing ConvNets for scalable and efficient diffusion modeling",
    2025. "mean_std": Huang et al., "Partial convolution meets visual attention", 2025.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.zeros((1, 2, 3), np.float32)
    >>> x[0, 1] = 5
    >>> swath.channel_gate(x, kind="eca", weights=(np.zeros(3, np.float32),))
    array([[[0. , 0. , 0. ],
            [2.5, 2.5, 2.5]]], dtype=float32)
    """
    return _core.channel_gate(x, kind, weights, ndim, layout, out, threads)
