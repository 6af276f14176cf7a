"""Gradients of attention, from its inputs and what it gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from swath import _core
from swath._types import Array, AttentionLayout
from swath.ops.attention import lower, lower_bias
from swath.patterns import Pattern, RelativeTable


class AttentionGrads(NamedTuple):
    """Gradients of `attention`; None where there is no such input or it was not needed."""

    dq: Any
    dk: Any
    dv: Any
    dbias: Any
    dbias_lowrank: Any
    dkey_bias: Any
    dsink: Any
    dextra_kv: Any


def attention(
    do: Array,
    q: Array,
    k: Array,
    v: Array,
    o: Array,
    lse: Array,
    *,
    dlse: Array | None = None,
    pattern: Pattern | None = None,
    causal: bool = False,
    scale: float | None = None,
    bias: Array | RelativeTable | None = None,
    bias_lowrank: tuple[Array, Array] | None = None,
    key_bias: Array | None = None,
    key_mask: Array | None = None,
    softcap: float | None = None,
    sink: Array | None = None,
    extra_kv: Sequence[tuple[Any, ...]] | None = None,
    layout: AttentionLayout = "heads_first",
    needs: Sequence[str] | None = None,
    threads: int | None = None,
) -> AttentionGrads:
    """Gradients of `swath.attention` with the same arguments, without a matrix of all pairs.

    ::

        P[i, j]  = exp(S[i, j] - lse[i])
        dS[i, j] = P[i, j] (<do[i], v[j]> - <do[i], o[i]> + dlse[i])
        dZ = dS                  with softcap c: dS (1 - (Z / c)**2)
        dq[i] = scale * sum over j of dZ[i, j] k[j]
        dk[j] = scale * sum over i of dZ[i, j] q[i]
        dv[j] = sum over i of P[i, j] do[i]
        dsink = -sum over i of exp(sink - lse[i]) (<do[i], o[i]> - dlse[i])

    Parameters
    ----------
    do : array, shape (B, H, *tokens, D_v), dtype of q
        The gradient of o.
    q, k, v : array
        As in `swath.attention`.
    o, lse : array
        What `swath.attention` gave with ``return_lse=True``. Of parts that were merged: the merged
        ones, for every part.
    dlse : array, shape and dtype of lse, optional
        The gradient of lse.
    pattern, causal, scale, bias, bias_lowrank, key_bias, key_mask, softcap, sink, extra_kv, layout
        As in `swath.attention`. Entries of extra_kv and members of the pattern: at most 6 together.
    needs : sequence of names of the results, optional
        The results to compute, also by the names of their inputs ("q" for "dq"); default all.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    AttentionGrads
        (dq, dk, dv, dbias, dbias_lowrank, dkey_bias, dsink, dextra_kv), each of the dtype and
        shape of its input: k and v have H_kv heads, and a bias that is one for several samples,
        heads or tokens gets the sum. dbias of a relative table has the shape of the table;
        dbias_lowrank is a pair (da, db); dextra_kv a list of (dk, dv, dlog_weight), where the last
        is None for a weight that is a number.

    Raises
    ------
    ShapeError, DTypeError, ParamError, DeviceError, UnsupportedError
        As `swath.attention`.

    Notes
    -----
    A query without any key gets 0. The gradient of a mean of keys (`patterns.Blocks` with levels)
    goes to its tokens in equal shares.

    All gradients come out of one walk over the tiles of the forward: 2 N_q n (3 D + 2 D_v)
    operations a head for n keys a query. dk and dv are summed in at most 16 parts, each with a row
    of float32 (float64 for float64) per key of its queries, biases in at most 16 copies; sums are
    added in an order that the shape gives. Results are bitwise the same for any number of threads.

    Source: Dao et al., "FlashAttention", 2022 (the backward from lse).

    Examples
    --------
    >>> import numpy as np, swath
    >>> q = k = v = np.random.default_rng(0).normal(size=(1, 2, 30, 8))
    >>> o, lse = swath.attention(q, k, v, causal=True, return_lse=True)
    >>> grads = swath.grad.attention(np.ones_like(o), q, k, v, o, lse, causal=True)
    >>> grads.dq.shape, grads.dbias
    ((1, 2, 30, 8), None)
    """
    op = "grad.attention"
    members = lower(op, pattern)
    array, kind = lower_bias(op, bias, pattern, q, layout)
    dq, dk, dv, dbias, da, db, dkey_bias, dsink, dextra = _core.attention_backward(
        do, q, k, v, o, lse, dlse, members, causal, scale, array, kind, bias_lowrank, key_bias,
        key_mask, softcap, sink, extra_kv, layout, needs, threads,
    )  # fmt: skip
    if dbias is not None and isinstance(bias, RelativeTable) and kind == 0:
        dbias = _sum_into_table(dbias, bias, pattern)
    low_rank = None if da is None else (da, db)
    extras = None if dextra is None else _split(dextra, extra_kv or ())
    return AttentionGrads(dq, dk, dv, dbias, low_rank, dkey_bias, dsink, extras)


def _sum_into_table(dbias: Any, bias: RelativeTable, pattern: Any) -> Any:
    """The gradient of a table that was expanded to all pairs of its grid."""
    pairs = _core.as_numpy(dbias)
    shape = np.shape(bias.table)
    n = math.prod(shape[1:])
    members = getattr(pattern, "members", (pattern,))
    grid = next((m.grid for m in members if m is not None and m.grid), None)
    numbered = np.arange(1.0, n + 1).reshape(1, *shape[1:])
    n_tokens = pairs.shape[-1]
    places = grid or (n_tokens,)
    numbers = RelativeTable(numbered, bias.order).to_bias(places, n_tokens - math.prod(places))[0]
    wide = pairs.reshape(shape[0], -1).astype(np.float64)
    sums = np.stack([np.bincount(numbers.ravel().astype(np.int64), row, n + 1)[1:] for row in wide])
    found = sums.reshape(shape)
    return dbias.new_tensor(found) if hasattr(dbias, "new_tensor") else found.astype(pairs.dtype)


def _split(flat: Any, extra_kv: Sequence[tuple[Any, ...]]) -> list[tuple[Any, Any, Any]]:
    """(dk, dv, dlog_weight) of every entry, out of one array."""
    parts = []
    at = 0

    def take(array: Any) -> Any:
        nonlocal at
        shape = tuple(np.shape(array))
        begin, at = at, at + math.prod(shape)
        return flat[begin:at].reshape(shape)

    for entry in extra_kv:
        dk, dv = take(entry[0]), take(entry[1])
        has_weights = len(entry) > 2 and not isinstance(entry[2], (int, float))
        parts.append((dk, dv, take(entry[2]) if has_weights else None))
    return parts
