"""Gradient of linear attention."""

from __future__ import annotations

from typing import NamedTuple

from swath import _core
from swath._types import Array, Needs
from swath.ops.linear_attention import HeadLayout, KeyNorm, normed


class LinearAttentionGrads(NamedTuple):
    """What `grad.linear_attention` gives; None where it was not needed.

    Attributes
    ----------
    dq : array, shape and dtype of q
    dk : array, shape and dtype of k
    dv : array, shape and dtype of v
    """

    dq: Array | None
    dk: Array | None
    dv: Array | None


def linear_attention(
    do: Array,
    q: Array,
    k: Array,
    v: Array,
    *,
    k_norm: KeyNorm = "softmax_tokens",
    causal: bool = False,
    scale: float | None = None,
    layout: HeadLayout = "heads_first",
    needs: Needs = None,
    threads: int | None = None,
) -> LinearAttentionGrads:
    """Gradient of `swath.linear_attention`.

    Parameters
    ----------
    do : array, shape of the forward's result, dtype of q
    q, k, v, k_norm, causal, scale, layout
        As in the forward call. With a callable k_norm, dk is the gradient of its result: what is
        behind it is the caller's (`swath.torch` and `swath.jax` go through it).
    needs : sequence of str, optional
        Of "q", "k" and "v"; None for all.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    LinearAttentionGrads
        ``dq``, ``dk``, ``dv``; dk and dv have the heads of k and v.

    Raises
    ------
    ShapeError, DTypeError, ParamError
        As `swath.linear_attention`, or if do does not go with it.

    Notes
    -----
    Computed in float32 (float64 for float64). Cost: about three times the forward.

    Examples
    --------
    >>> import numpy as np, swath
    >>> q, k, v = np.random.default_rng(0).normal(size=(3, 1, 2, 5, 4))
    >>> do = np.ones_like(v)
    >>> dq, dk, dv = swath.grad.linear_attention(do, q, k, v)
    >>> bool(np.allclose((q * dq).sum(), swath.linear_attention(q, k, v).sum()))
    True
    """
    k, has_softmax = normed("grad.linear_attention", k, k_norm)
    return LinearAttentionGrads(
        *_core.linear_attention_backward(
            do, q, k, v, has_softmax, causal, scale, layout, needs, threads
        )
    )
