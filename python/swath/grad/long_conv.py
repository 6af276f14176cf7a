"""Gradients of long convolutions."""

from __future__ import annotations

from typing import Any, NamedTuple

from swath import _core
from swath._types import Array, HeadMap, Layout, LongMethod, LongMode, Needs
from swath.ops import freq_mask as masks


class LongConvGrads(NamedTuple):
    """What the backward of `swath.long_conv` gives; None where there is or was asked for nothing.

    Attributes
    ----------
    du : array, shape of u
    dk : array, shape of k
    dpre_gate, dpost_gate : array, shapes of the gates
    dskip, dbias : array, shape (D,)
    """

    du: Array | None
    dk: Array | None
    dpre_gate: Array | None
    dpost_gate: Array | None
    dskip: Array | None
    dbias: Array | None


def long_conv(
    dy: Array,
    u: Array,
    k: Array,
    *,
    mode: LongMode = "causal",
    offset: int | None = None,
    skip: Array | None = None,
    bias: Array | None = None,
    pre_gate: Array | None = None,
    post_gate: Array | None = None,
    freq_mask: Any = None,
    n_fft: int | None = None,
    correlate: bool = False,
    head_map: HeadMap = "blocked",
    method: LongMethod = "auto",
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> LongConvGrads:
    """Gradients of `swath.long_conv`.

    ::

        dc = dy * post_gate
        dv[t] = sum over j of k[j] * dc[t + j - offset] + skip * dc[t]
        du = pre_gate * dv,  dpre_gate = u * dv,  dpost_gate = dy * (c + skip * v + bias)
        dk[j] = sum over batch and t of dc[t] * v[t - j + offset]
        dskip = sum over batch and t of dc * v,  dbias = sum over batch and t of dc

    Parameters
    ----------
    dy : array, shape of the result, dtype of u
    u, k, mode, offset, skip, bias, pre_gate, post_gate, freq_mask, n_fft, correlate, head_map, \
method, layout, threads
        As in `swath.long_conv`.
    needs : sequence of str, optional
        The results to compute, by their names ("du") or those of their inputs ("u"); default all.

    Returns
    -------
    LongConvGrads
        (du, dk, dpre_gate, dpost_gate, dskip, dbias); None for an input that was not given. Taps
        that meet no element of u, such as those beyond L in mode "causal", get zero.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.long_conv`.

    Notes
    -----
    dk is summed over batch and channels of a head as a spectrum, in at most 16 parts that the
    shapes alone determine, and takes one inverse transform for a head: the same bits on any number
    of threads. Cost: two transforms of a row for du (and dpre_gate), two for dk, two for
    dpost_gate.

    Examples
    --------
    >>> import numpy as np, swath
    >>> u, k = np.ones((1, 1, 4), np.float32), np.ones((1, 3), np.float32)
    >>> grads = swath.grad.long_conv(u, u, k)
    >>> grads.du, grads.dk
    (array([[[3., 3., 2., 1.]]], dtype=float32), array([[4., 3., 2.]], dtype=float32))
    """
    response, n_fft = masks.resolve("grad.long_conv", freq_mask, n_fft, u, mode, layout)
    return LongConvGrads(
        *_core.long_conv_backward(
            dy, u, k, mode, offset, skip, bias, pre_gate, post_gate, response, n_fft, correlate,
            head_map, method, layout, needs, threads,
        )
    )  # fmt: skip
