"""The choice of key blocks for block-sparse attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath import _core
from swath._arguments import as_array, fail, read_ints, shape_of, to_numpy
from swath._types import Array, Ints
from swath.ops.linear_attention import HeadLayout
from swath.patterns import Blocks

OP = "select_blocks"


def select_blocks(
    q: Array,
    k: Array,
    *,
    block: Ints,
    top_k: int | None = None,
    top_p: float | None = None,
    threshold: float | None = None,
    levels: Mapping[int, tuple[float, float]] | None = None,
    parents: Blocks | None = None,
    force: Array | None = None,
    scale: float | None = None,
    layout: HeadLayout = "heads_first",
    threads: int | None = None,
) -> Blocks:
    """Choose for each block of queries the blocks of keys that it will attend to.

    A block is as good as the scaled product of the means::

        score[i, j] = scale <mean of query block i, mean of key block j>

    in float32, the means over the tokens that are there where the last block is smaller. Equal
    scores go to the lower index, NaN counts as -inf.

    Parameters
    ----------
    q : array, shape (B, H, *tokens, D), float32 | float64 | float16 | bfloat16
    k : array, shape (B, H_kv, *tokens_kv, D), dtype of q
        H is a multiple of H_kv; head h of q goes with head h // (H/H_kv). Token axes count as
        flattened: sort the tokens of a grid first (`swath.order`), so that blocks are compact.
    block : int or (bq, bk)
        Tokens of a block of queries and of keys.
    top_k : int, optional
        At most so many, the best ones; all candidates if there are fewer.
    top_p : float, optional
        The smallest set of the best ones whose softmax, over the row's candidates, reaches top_p;
        all from 1 on.
    threshold : float, optional
        Those whose softmax is at least so large.
    levels : mapping of int to (low, high), optional
        Keep a block at level p, as means of p keys, if its place among the row's n candidates,
        best first, is from low n to below high n; the first level that fits counts, and blocks in
        none are dropped. With top_p the place is the softmax of the better ones instead.
        ``{1: (0, 0.05), 2: (0.05, 0.15), 4: (0.15, 0.25), 8: (0.25, 0.5)}`` is the published
        choice. What top_k, top_p and threshold do not keep is dropped too.
    parents : patterns.Blocks, optional
        A choice with blocks whose sizes are multiples of these: only blocks inside the kept ones
        of the parent row are candidates, and the softmax is over them.
    force : array, optional
        Key blocks to keep in any case, beyond top_k and also outside of parents: their indices,
        for every row, or bool (n_q, n_k). They are kept at level 1.
    scale : float, optional
        D^-1/2 if not given. The choice of top_k does not depend on it, but for its sign.
    layout : "heads_first" | "heads_last"
        (B, H, *tokens, D) or (B, *tokens, H, D).
    threads : int, optional
        Limit for this call.

    Returns
    -------
    patterns.Blocks
        ``indices`` (B, H, n_q, k_max) int32, ascending in each row; ``counts`` (B, H, n_q) int32;
        ``levels`` int32 if there are any. Arrays are of q's library.

    Raises
    ------
    ShapeError
        If q and k do not fit together, or force or parents do not fit them.
    DTypeError
        If q and k differ in dtype.
    ParamError
        If none of top_k, top_p, threshold and levels is given, or one is out of range; or an index
        of force or parents is.

    Notes
    -----
    Means and scores in float32 (means in float64 for float64). Cost: one read of q and k, 2 D
    operations for each pair of candidates, and a choice that is linear in the candidates for top_k
    and threshold; top_p and levels sort them. Not differentiable.

    Hierarchical choice: "Log-linear sparse attention", 2025, whose scores are unscaled. Levels:
    "Pyramid sparse attention", 2025.

    Examples
    --------
    >>> import numpy as np, swath
    >>> k = np.eye(4, dtype=np.float32)[None, None]
    >>> swath.select_blocks(k, k, block=1, top_k=2).indices[0, 0]
    array([[0, 1],
           [0, 1],
           [0, 2],
           [0, 3]], dtype=int32)
    """
    q, k = as_array(q), as_array(k)
    blocks = read_ints(block, 2, OP, "block")
    options: dict[str, Any] = {"block": blocks, "layout": layout}
    if scale is not None:
        options["scale"] = scale
    options |= _read_choice(top_k, top_p, threshold, levels, blocks[1])
    forced: tuple[Any, Any] = (None, None)
    kept: tuple[Any, Any] = (None, None)
    if parents is not None:
        if not isinstance(parents, Blocks):
            fail(_core.ParamError, OP, "parents", f"parents is {parents!r}, needed are Blocks")
        kept = parents.indices, parents.counts
        options["parent_block"] = parents.block
    if force is not None:
        forced = _read_force(force, _count_blocks(q, k, blocks, layout))
        sizes = [len(forced[0])] if forced[1] is None else np.diff(forced[1])
        options["max_forced"] = int(max(sizes, default=0))
    indices, counts, kept_at = _core.select_blocks(
        q, k, kept[0], kept[1], forced[0], forced[1], options, threads
    )
    if indices is None:  # under info.explain
        return Blocks(np.zeros((1, 1, 1, 1), np.int32), np.zeros((1, 1, 1), np.int32), blocks)
    longest = int(counts.max()) if 0 not in shape_of(counts) else 0
    if longest < shape_of(indices)[-1]:
        indices = indices[..., :longest]
        kept_at = None if kept_at is None else kept_at[..., :longest]
    return Blocks(indices, counts, blocks, kept_at)


def _read_choice(
    top_k: Any,
    top_p: Any,
    threshold: Any,
    levels: Mapping[int, tuple[float, float]] | None,
    largest: int,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if all(given is None for given in (top_k, top_p, threshold, levels)):
        text = "none of top_k, top_p, threshold and levels is given, needed is one"
        fail(_core.ParamError, OP, "top_k", text)
    if top_k is not None:
        if not isinstance(top_k, (int, np.integer)) or isinstance(top_k, bool) or top_k < 0:
            fail(_core.ParamError, OP, "top_k", f"top_k is {top_k!r}, needed is a number from 0 on")
        found["top_k"] = int(top_k)
    if top_p is not None:
        found["top_p"] = _read_share("top_p", top_p)
    if threshold is not None:
        found["threshold"] = _read_share("threshold", threshold)
    if levels is not None:
        found["levels"] = _read_levels(levels, largest)
        found["by_weight"] = top_p is not None
    return found


def _read_share(arg: str, value: Any) -> float:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not value >= 0:
        fail(_core.ParamError, OP, arg, f"{arg} is {value!r}, needed is a number from 0 on")
    return float(value)


def _read_levels(
    levels: Mapping[int, tuple[float, float]], largest: int
) -> list[tuple[int, float, float]]:
    found = []
    try:
        for level, (low, high) in levels.items():
            found.append((int(level), float(low), float(high)))
    except (AttributeError, TypeError, ValueError):
        text = f"levels is {levels!r}, needed is a mapping of levels to (low, high)"
        fail(_core.ParamError, OP, "levels", text)
    if not found or any(not (1 <= p <= largest and 0 <= low <= high) for p, low, high in found):
        text = f"levels is {levels!r}, needed are 1 to {largest} and 0 <= low <= high"
        fail(_core.ParamError, OP, "levels", text)
    return found


def _count_blocks(
    q: Array, k: Array, blocks: tuple[int, ...], layout: HeadLayout
) -> tuple[int, int]:
    """Blocks of queries and keys; arrays of too few axes are for the compiled part to refuse."""
    tokens = slice(2, -1) if layout == "heads_first" else slice(1, -2)
    sizes = [int(np.prod(shape_of(x)[tokens])) for x in (q, k)]
    n_q, n_k = (-(-n // b) for n, b in zip(sizes, blocks, strict=True))
    return n_q, n_k


def _read_force(
    force: Array, shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int64] | None]:
    """Forced blocks, ascending, and where each row's begin; None: the same for all."""
    found = to_numpy(force, OP, "force")
    if found.dtype == bool:
        if found.shape != shape:
            text = f"force has shape {found.shape}, needed is {shape} or block indices"
            fail(_core.ShapeError, OP, "force", text)
        rows = np.concatenate([[0], np.cumsum(found.sum(1))]).astype(np.int64)
        return np.nonzero(found)[1].astype(np.int32), rows
    if found.ndim != 1:
        text = f"force has shape {found.shape}, needed is one axis, or bool {shape}"
        fail(_core.ShapeError, OP, "force", text)
    if found.dtype.kind not in "iu" and found.size > 0:
        fail(_core.DTypeError, OP, "force", f"force has dtype {found.dtype}, needed are integers")
    wrong = (found < 0) | (found >= shape[1])
    if wrong.any():
        text = f"force has {found[wrong][0]}, needed are numbers from 0 to {shape[1] - 1}"
        fail(_core.ParamError, OP, "force", text)
    return np.unique(found).astype(np.int32), None
