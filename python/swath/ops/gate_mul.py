"""Products of an array with a gate, in one pass."""

from __future__ import annotations

from swath import _core
from swath._types import Activation, Array, Gate, Layout


def gate_mul(
    a: Array,
    b: Array,
    *,
    activation: Activation = None,
    gate: Gate = "sigmoid",
    add: Array | None = None,
    tile: int = 1,
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply an array by a gate, in one pass.

    ::

        y[n, c, p] = activation(a[n, c, p]) * gate(b[n, c mod (C/tile), p]) + add[n, c, p]

    Parameters
    ----------
    a : array, shape (N, C, *S), float32 | float64 | float16 | bfloat16
        Any shape while ``tile`` is 1. For another ``tile`` the channels are the second axis, or
        the last one with ``layout="channels_last"``, so that N must be there.
    b : array, shape (N, C/tile, *S), dtype of a
    activation : str or (str, value), optional
        Of a; names as in `conv2d`.
    gate : str, (str, value), ("asym_gauss", (a, mu, s1, s2)) or None
        An activation's name; None for b itself; or the asymmetric Gaussian
        ``a exp(-s1 (b - mu)**2)`` for b < mu, ``1 + (a - 1) exp(-s2 (b - mu)**2)`` else. Its four
        parameters are numbers or arrays of one element, shared by all channels as published. They
        are used as they are: the published layer clamps a to [1.01, 6], mu to [0.1, 3] and s1, s2
        to [0.5, 2] before each call, and starts at (1.1, 2, 1, 1).
    add : array, shape and dtype of a, optional
    tile : int
        How often b is repeated along the channels, as by ``np.tile``.
    layout : "channels_first" | "channels_last"
        Where the channels are.
    out : array, shape and dtype of a, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape of a

    Raises
    ------
    ShapeError, DTypeError, LayoutError, DeviceError
        As `conv2d`.
    ParamError
        If ``tile`` does not divide the channels, or an activation or gate is unknown.

    Notes
    -----
    Computed in float32, or float64 for float64. Results follow IEEE arithmetic: an infinite a
    times a gate of 0 is NaN. Cost: one read of each input and one write; a gate that is repeated
    is computed once for a few thousand of its uses.

    Gated convolution: Yu et al., "Free-form image inpainting with gated convolution", 2019.
    "asym_gauss": Xie et al., "Image inpainting with learnable bidirectional attention maps", 2019.

    Examples
    --------
    >>> import numpy as np, swath
    >>> a = np.array([[1, 2, 3, 4]], np.float32)
    >>> swath.gate_mul(a, np.array([[0, 1]], np.float32), gate=None, tile=2)
    array([[0., 2., 0., 4.]], dtype=float32)
    """
    return _core.gate_mul(a, b, activation, gate, add, tile, layout, out, threads)
