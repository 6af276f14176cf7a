"""Gradient of merging parts of an attention."""

from __future__ import annotations

from collections.abc import Sequence

from swath import _core
from swath._types import Array
from swath.ops.merge_attention import _as_list


def merge_attention(
    do: Array,
    parts: Sequence[tuple[Array, Array]],
    *,
    dlse: Array | None = None,
    threads: int | None = None,
) -> list[tuple[Array, Array]]:
    """Gradient of `swath.merge_attention` for every o and lse.

    ::

        w_t = exp(lse_t - lse)      do_t = w_t do
        dlse_t = w_t (<do, o_t> - sum_s w_s <do, o_s> + dlse)

    Parameters
    ----------
    do : array, shape and dtype of o
    parts : sequence of (o, lse)
        As in the forward call.
    dlse : array, shape and dtype of lse, optional
        The gradient of the merged lse; None for 0.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    list of (do_t, dlse_t)
        For every part, in their order; 0 for a part that saw no key.

    Raises
    ------
    ShapeError, DTypeError, ParamError
        As `swath.merge_attention`, or if do or dlse do not go with the parts.

    Notes
    -----
    Sums are kept in float32 (float64 for float64). Cost: two reads of the parts and one write. More
    than 15 parts as in the forward.

    Examples
    --------
    >>> import numpy as np, swath
    >>> o, lse = np.ones((1, 3), np.float32), np.zeros(1, np.float32)
    >>> (do, dlse), _ = swath.grad.merge_attention(o, [(o, lse), (3 * o, lse)])
    >>> do, dlse
    (array([[0.5, 0.5, 0.5]], dtype=float32), array([-1.5], dtype=float32))
    """
    parts = _as_list(parts)
    most = _core.max_merge_parts
    if not isinstance(parts, list) or len(parts) <= most:
        return _core.merge_attention_backward(do, dlse, parts, threads)
    chunks = [parts[i : i + most] for i in range(0, len(parts), most)]
    merged = [_core.merge_attention(chunk, threads) for chunk in chunks]
    gradients = merge_attention(do, merged, dlse=dlse, threads=threads)
    found = []
    for chunk, (do_chunk, dlse_chunk) in zip(chunks, gradients, strict=True):
        found += _core.merge_attention_backward(do_chunk, dlse_chunk, chunk, threads)
    return found
