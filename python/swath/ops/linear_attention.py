"""Attention without a softmax over pairs: its cost grows with the tokens, not with their square."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from swath import _core
from swath._arguments import as_array, fail, shape_of
from swath._types import Array

HeadLayout: TypeAlias = Literal["heads_first", "heads_last"]
KeyNorm: TypeAlias = Literal["softmax_tokens"] | Callable[[Array], Array]


def linear_attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    k_norm: KeyNorm = "softmax_tokens",
    causal: bool = False,
    scale: float | None = None,
    layout: HeadLayout = "heads_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Linear (factorised) attention.

    ::

        o_i = scale sum_j <q_i, k'_j> v_j        k' = k_norm(k)

    with j over all keys, or over j <= i where it is causal. q is only scaled.

    Parameters
    ----------
    q : array, shape (B, H, *tokens, D), float32 | float64 | float16 | bfloat16
    k : array, shape (B, H_kv, *tokens_kv, D), dtype of q
        H is a multiple of H_kv; head h of q goes with head h // (H/H_kv).
    v : array, shape (B, H_kv, *tokens_kv, D_v), dtype of q
    k_norm : "softmax_tokens" or callable
        The softmax over all tokens for each channel of k; or a function of k, whose result is used
        as it is, with nothing divided by its sum.
    causal : bool
        Query i sees the keys j <= i + N_k - N_q, so that the ends are aligned. The softmax of k is
        still that over all tokens.
    scale : float, optional
        Of q; D^-1/2 if not given.
    layout : "heads_first" | "heads_last"
        (B, H, *tokens, D) or (B, *tokens, H, D).
    out : array, shape (B, H, *tokens, D_v), dtype of q, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (B, H, *tokens, D_v)

    Raises
    ------
    ShapeError
        If q, k and v do not fit together, or D or D_v is not from 1 to 256.
    DTypeError
        If they differ in dtype.
    ParamError
        If k_norm or layout is unknown.

    Notes
    -----
    Computed in float32 (float64 for float64), the softmax of k from its maxima, so that no size of
    k overflows. Cost: 2 D D_v operations for each query and each key, and one read of each input
    (k three times); causal about 64 (D + D_v) more for each query. No more memory than D D_v
    numbers for each thread. Rows with no key are 0.

    Factorised attention: Xu et al., "Co-scale conv-attentional image transformers", 2021, and
    Rombach et al., "High-resolution image synthesis with latent diffusion models", 2022.

    Examples
    --------
    >>> import numpy as np, swath
    >>> q, k, v = np.random.default_rng(0).normal(size=(3, 1, 2, 5, 4)).astype(np.float32)
    >>> weights = np.exp(k) / np.exp(k).sum(2, keepdims=True)
    >>> expected = q @ (weights.swapaxes(2, 3) @ v) / 2
    >>> bool(np.allclose(swath.linear_attention(q, k, v), expected, atol=1e-6))
    True
    """
    k, has_softmax = normed("linear_attention", k, k_norm)
    return _core.linear_attention(q, k, v, has_softmax, causal, scale, layout, out, threads)


def normed(op: str, k: Array, k_norm: KeyNorm) -> tuple[Array, bool]:
    """k as the compiled part takes it, and whether that applies the softmax."""
    if isinstance(k_norm, str) and k_norm == "softmax_tokens":
        return k, True
    if not callable(k_norm):
        text = f"k_norm is {k_norm!r}, needed is 'softmax_tokens' or a function of k"
        fail(_core.ParamError, op, "k_norm", text)
    k = as_array(k)
    found = as_array(k_norm(k))
    if shape_of(found) != shape_of(k):
        text = f"k_norm gives the shape {shape_of(found)}, needed is that of k, {shape_of(k)}"
        fail(_core.ShapeError, op, "k_norm", text)
    return found, False
