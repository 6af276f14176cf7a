"""Patterns given by lists: blocks, segments, packed sequences, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from swath import _core
from swath._arguments import error_of
from swath._types import Array
from swath.patterns._base import Index, Ints, Mask, Pattern, read_int, read_ints


def _read_list(op: str, arg: str, values: Any, least: int) -> tuple[int, ...]:
    try:
        items = list(np.asarray(values).tolist() if hasattr(values, "shape") else values)
    except TypeError:
        text = f"{arg} is {values!r}, needed is a sequence of integers"
        raise error_of(_core.ParamError, op, arg, text) from None
    return tuple(read_int(op, arg, v, least) for v in items)


def _read_pair(op: str, arg: str, value: Any) -> tuple[int, int]:
    numbers = read_ints(op, arg, value, 1)
    if isinstance(numbers, int):
        return numbers, numbers
    if len(numbers) != 2:
        text = f"{arg} is {value!r}, needed is (queries, keys) of a block"
        raise error_of(_core.ParamError, op, arg, text)
    return numbers[0], numbers[1]


class Blocks(Pattern):
    """Lists of key blocks, one for each block of queries.

    Query i sees the keys of the blocks ``indices[..., i // bq, :counts[..., i // bq]]``, block b
    being the keys ``[b*bk, (b+1)*bk)``; the last blocks of both sides may be smaller. With
    ``levels`` p a kept block is seen as means of p keys (and values) each, a mean counting as often
    as it has keys (pyramid sparse attention); 1 is the block itself. `swath.select_blocks` makes
    such lists.

    Parameters
    ----------
    indices : array, shape (B|1, H|1, n_q, k_max), int32
        Ascending in each row; entries past the count are ignored. n_q = ceil(N_q / bq).
    counts : array, shape (B|1, H|1, n_q), int32
    block : int or (bq, bk)
    levels : array, shape of indices, int32, optional
        From 1 to bk. A block may be listed at several levels, in any order of them.

    Examples
    --------
    >>> import numpy as np
    >>> from swath import patterns
    >>> indices = np.array([[[[0, 1], [1, 0]]]], np.int32)
    >>> counts = np.array([[[2, 1]]], np.int32)
    >>> patterns.Blocks(indices, counts, block=2).to_mask(4).astype(int)[0, 0]
    array([[1, 1, 1, 1],
           [1, 1, 1, 1],
           [0, 0, 1, 1],
           [0, 0, 1, 1]])
    """

    __slots__ = ("block", "counts", "indices", "levels")
    kind = "blocks"
    indices: Array
    counts: Array
    block: tuple[int, int]
    levels: Array | None

    def __init__(
        self,
        indices: Array,
        counts: Array,
        block: Ints,
        levels: Array | None = None,
        *,
        grid: Ints | None = None,
        n_prefix: int = 0,
    ) -> None:
        op = self._op()
        for arg, value, rank in (("indices", indices, 4), ("counts", counts, 3)):
            shape = np.shape(value)
            if len(shape) != rank:
                text = f"{arg} has shape {shape}, needed are {rank} axes (B|1, H|1, n_q"
                raise error_of(_core.ShapeError, op, arg, f"{text}{', k_max' * (rank == 4)})")
        if np.shape(counts) != np.shape(indices)[:3]:
            text = f"counts has shape {np.shape(counts)}, indices has {np.shape(indices)}"
            raise error_of(_core.ShapeError, op, "counts", text)
        if levels is not None and np.shape(levels) != np.shape(indices):
            text = f"levels has shape {np.shape(levels)}, indices has {np.shape(indices)}"
            raise error_of(_core.ShapeError, op, "levels", text)
        self._set(
            indices=indices, counts=counts, levels=levels, block=_read_pair(op, "block", block)
        )
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("indices", "counts", "block", "levels")}

    def __repr__(self) -> str:
        shape = tuple(np.shape(self.indices))
        levels = "" if self.levels is None else ", levels=..."
        return f"Blocks(indices={shape}, block={self.block}{levels})"

    def _is_plain(self) -> bool:
        return self.levels is None

    def _lead(self) -> tuple[int, ...]:
        return tuple(np.shape(self.indices)[:2])

    def _known_sizes(self) -> tuple[int | None, int | None]:
        if self.grid is not None:
            return super()._known_sizes()
        n = int(np.shape(self.indices)[2]) * self.block[0] + self.n_prefix
        return n, n

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        super()._check(op, n_q, n_k)
        needed = -(-(n_q - self.n_prefix) // self.block[0])
        found = np.shape(self.indices)[2]
        if found != needed:
            text = f"pattern lists {found} query blocks of {self.block[0]}, {n_q} queries are"
            raise error_of(_core.ShapeError, op, "pattern", f"{text} {needed}")

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:  # noqa: ARG002
        indices = np.asarray(self.indices)
        b, h, n_blocks, k_max = indices.shape
        n_key_blocks = -(-n_k // self.block[1])
        kept = np.arange(k_max) < np.asarray(self.counts)[..., None]
        seen = np.zeros((b, h, n_blocks, n_key_blocks), bool)
        at = (*np.nonzero(kept)[:3], indices[kept])
        seen[at] = True
        rows = seen[:, :, i // self.block[0]]
        return np.asarray(np.repeat(rows, self.block[1], axis=-1)[..., :n_k])

    def _parameters(self) -> tuple[Any, ...]:
        return self.indices, self.counts, self.levels, *self.block


class Segments(Pattern):
    """Runs of tokens, and which of them see which.

    ``visible[s, t]``: the queries of segment s see the keys of segment t (EasyControl, Group
    Diffusion).

    Parameters
    ----------
    lengths : sequence of int
        Their sum is the number of tokens.
    visible : array, shape (n, n), bool

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Segments((1, 2), [[True, True], [False, True]]).to_mask().astype(int)
    array([[1, 1, 1],
           [0, 1, 1],
           [0, 1, 1]])
    """

    __slots__ = ("lengths", "visible")
    kind = "segments"
    lengths: tuple[int, ...]
    visible: Mask

    def __init__(
        self,
        lengths: Sequence[int],
        visible: Any,
        *,
        grid: Ints | None = None,
        n_prefix: int = 0,
    ) -> None:
        op = self._op()
        sizes = _read_list(op, "lengths", lengths, 0)
        seen = np.array(visible)
        if seen.dtype != bool and seen.size:
            text = f"visible is {seen.dtype}, needed is bool"
            raise error_of(_core.DTypeError, op, "visible", text)
        if seen.shape != (len(sizes), len(sizes)):
            text = f"visible has shape {seen.shape}, needed is {(len(sizes), len(sizes))}"
            raise error_of(_core.ShapeError, op, "visible", text)
        seen.flags.writeable = False
        self._set(lengths=sizes, visible=seen)
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"lengths": self.lengths, "visible": self.visible}

    def _known_sizes(self) -> tuple[int | None, int | None]:
        n = sum(self.lengths) + self.n_prefix
        return n, n

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        super()._check(op, n_q, n_k)
        n = sum(self.lengths) + self.n_prefix
        if n_q != n or n_k != n:
            text = f"pattern has segments of {n} tokens, there are {n_q} queries and {n_k} keys"
            raise error_of(_core.ShapeError, op, "pattern", text)

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:  # noqa: ARG002
        of_token = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return np.asarray(self.visible[of_token[i][:, None], of_token[None, :]])

    def _parameters(self) -> tuple[Any, ...]:
        return self.lengths, [int(v) for v in self.visible.ravel()]


class VarLen(Pattern):
    """Sequences packed one after the other, each attending to itself.

    Sequence s has the queries ``[cu_q[s], cu_q[s+1])`` and the keys ``[cu_k[s], cu_k[s+1])``. With
    ``causal=True`` in the call each sequence is aligned at its own end.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.VarLen((0, 1, 3)).to_mask().astype(int)
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 1, 1]])
    """

    __slots__ = ("cu_k", "cu_q")
    kind = "varlen"
    cu_q: tuple[int, ...]
    cu_k: tuple[int, ...]

    def __init__(
        self,
        cu_q: Sequence[int],
        cu_k: Sequence[int] | None = None,
        *,
        grid: Ints | None = None,
        n_prefix: int = 0,
    ) -> None:
        op = self._op()
        both = {"cu_q": cu_q, "cu_k": cu_q if cu_k is None else cu_k}
        for arg, values in both.items():
            found = _read_list(op, arg, values, 0)
            if not found or found[0] != 0 or list(found) != sorted(found):
                text = f"{arg} is {found}, needed are ascending numbers from 0 on"
                raise error_of(_core.ParamError, op, arg, text)
            self._set(**{arg: found})
        if len(self.cu_q) != len(self.cu_k):
            text = f"cu_k has {len(self.cu_k)} numbers, cu_q has {len(self.cu_q)}"
            raise error_of(_core.ShapeError, op, "cu_k", text)
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"cu_q": self.cu_q, "cu_k": self.cu_k}

    def _known_sizes(self) -> tuple[int | None, int | None]:
        return self.cu_q[-1] + self.n_prefix, self.cu_k[-1] + self.n_prefix

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        super()._check(op, n_q, n_k)
        needed = self._known_sizes()
        if (n_q, n_k) != needed:
            text = f"pattern is about {needed} queries and keys, there are {(n_q, n_k)}"
            raise error_of(_core.ShapeError, op, "pattern", text)

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:  # noqa: ARG002
        of_query = np.searchsorted(self.cu_q, i, "right")
        of_key = np.searchsorted(self.cu_k, np.arange(n_k), "right")
        return np.asarray(of_query[:, None] == of_key)

    def _parameters(self) -> tuple[Any, ...]:
        return self.cu_q, self.cu_k


class FromMask(Pattern):
    """Any mask: see `from_mask`."""

    __slots__ = ("block", "mask")
    kind = "mask"
    mask: Array
    block: tuple[int, int]

    def __init__(
        self, mask: Array, block: Ints = 64, *, grid: Ints | None = None, n_prefix: int = 0
    ) -> None:
        op = "patterns.from_mask"
        shape = np.shape(mask)
        if len(shape) not in (2, 4):
            text = f"mask has shape {shape}, needed is (N_q, N_k) or (B|1, H|1, N_q, N_k)"
            raise error_of(_core.ShapeError, op, "mask", text)
        if not str(getattr(mask, "dtype", np.asarray(mask).dtype)).endswith("bool"):
            text = f"mask is {getattr(mask, 'dtype', np.asarray(mask).dtype)}, needed is bool"
            raise error_of(_core.DTypeError, op, "mask", text)
        self._set(mask=mask, block=_read_pair(op, "block", block))
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"mask": self.mask, "block": self.block}

    def __repr__(self) -> str:
        return f"from_mask({tuple(np.shape(self.mask))}, block={self.block})"

    def _lead(self) -> tuple[int, ...]:
        return tuple(np.shape(self.mask)[:-2])

    def _known_sizes(self) -> tuple[int | None, int | None]:
        n_q, n_k = np.shape(self.mask)[-2:]
        return n_q + self.n_prefix, n_k + self.n_prefix

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        super()._check(op, n_q, n_k)
        if (n_q, n_k) != self._known_sizes():
            text = f"pattern is a mask of {self._known_sizes()} tokens, there are {(n_q, n_k)}"
            raise error_of(_core.ShapeError, op, "pattern", text)

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:  # noqa: ARG002
        return np.asarray(np.asarray(self.mask)[..., i, :])

    def _parameters(self) -> tuple[Any, ...]:
        return self.mask, *self.block


def from_mask(
    mask: Array, block: Ints = 64, *, grid: Ints | None = None, n_prefix: int = 0
) -> FromMask:
    """Make a pattern of any mask, exact for every pair.

    Parameters
    ----------
    mask : array, shape (N_q, N_k) or (B|1, H|1, N_q, N_k), bool
        True: attend. Kept as it is, not copied.
    block : int or (queries, keys)
        Blocks without any True are skipped; the sizes have no other meaning.

    Raises
    ------
    ShapeError, DTypeError
        If ``mask`` has another shape or is not bool.

    Examples
    --------
    >>> import numpy as np
    >>> from swath import patterns
    >>> float(patterns.from_mask(np.eye(4, dtype=bool)).density())
    0.25
    """
    return FromMask(mask, block, grid=grid, n_prefix=n_prefix)
