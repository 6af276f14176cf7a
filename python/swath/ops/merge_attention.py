"""Parts of an attention, computed over parts of the keys, as one."""

from __future__ import annotations

from collections.abc import Sequence

from swath import _core
from swath._types import Array


def merge_attention(
    parts: Sequence[tuple[Array, Array]], *, threads: int | None = None
) -> tuple[Array, Array]:
    """Merge attentions of the same queries to different keys into the attention to all of them.

    ::

        lse = ln sum_t exp(lse_t)        o = sum_t exp(lse_t - lse) o_t

    Exact for any split of the keys. A part with lse -inf saw no key: whatever its o holds does not
    count. Where all parts are so, o is 0 and lse -inf. At most one part may have been computed with
    a sink.

    Parameters
    ----------
    parts : sequence of (o, lse)
        One or more, as ``attention(..., return_lse=True)`` gives them: o of shape (..., D),
        float32 | float64 | float16 | bfloat16, lse of shape (...), float64 for float64 and float32
        for the others. All of one shape and dtype, in either layout: lse has o's axes without D.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    (o, lse)
        Arrays of the parts' shapes and dtypes.

    Raises
    ------
    ShapeError, DTypeError
        If the parts differ, or an lse does not go with its o.
    ParamError
        If there is no part, or ``parts`` holds anything but pairs.

    Notes
    -----
    Sums are kept in float32 (float64 for float64). Cost: one read of all parts and one write. Up
    to 15 parts are merged in one pass; of more, each 15 and then their results are, in this order,
    so that 16-bit results are rounded once more for each 15. An lse of +inf takes all the weight.

    The sum is that of Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.

    Examples
    --------
    >>> import numpy as np, swath
    >>> one, none = np.ones((1, 1, 2, 3), np.float32), np.zeros((1, 1, 2, 3), np.float32)
    >>> lse = np.zeros((1, 1, 2), np.float32)
    >>> o, total = swath.merge_attention([(one, lse), (none, lse - np.inf)])
    >>> bool((o == 1).all()), total.ravel()
    (True, array([0., 0.], dtype=float32))
    """
    parts = _as_list(parts)
    most = _core.max_merge_parts
    while isinstance(parts, list) and len(parts) > most:
        chunks = [parts[i : i + most] for i in range(0, len(parts), most)]
        parts = [_core.merge_attention(chunk, threads) for chunk in chunks]
    return _core.merge_attention(parts, threads)


def _as_list(parts: Sequence[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    # What is no list is for the compiled part to refuse.
    return list(parts) if isinstance(parts, (list, tuple)) else parts  # type: ignore[return-value]
