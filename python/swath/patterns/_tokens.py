"""Patterns along one sequence of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from swath import _core
from swath._arguments import error_of
from swath.patterns._base import Index, Ints, Mask, Pattern, read_int


class Dense(Pattern):
    """All keys for every query.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Dense().to_mask(1, 3)
    array([[ True,  True,  True]])
    """

    __slots__ = ()
    kind = "dense"

    def __init__(self, *, grid: Ints | None = None, n_prefix: int = 0) -> None:
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {}

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:  # noqa: ARG002
        return np.ones((len(i), n_k), bool)

    def _parameters(self) -> tuple[Any, ...]:
        return ()


class Causal(Dense):
    """Keys up to the query's own place, both counted from the end.

    ``j <= i + n_k - n_q``: with more keys than queries (decoding) the last query sees all keys.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Causal().to_mask(2, 3).astype(int)
    array([[1, 1, 0],
           [1, 1, 1]])
    """

    __slots__ = ()
    kind = "causal"

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:
        return np.asarray(np.arange(n_k) <= i[:, None] + (n_k - n_q))


class Window1D(Pattern):
    """Keys at most ``left`` before and ``right`` after the query.

    ``i - left <= j <= i + right``, None for no limit. With different numbers of queries and keys
    both are counted from the end, as in `Causal`.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Window1D(1, 0).to_mask(3).astype(int)
    array([[1, 0, 0],
           [1, 1, 0],
           [0, 1, 1]])
    """

    __slots__ = ("left", "right")
    kind = "window1d"
    left: int | None
    right: int | None

    def __init__(
        self,
        left: int | None,
        right: int | None,
        *,
        grid: Ints | None = None,
        n_prefix: int = 0,
    ) -> None:
        op = self._op()
        for arg, value in (("left", left), ("right", right)):
            self._set(**{arg: None if value is None else read_int(op, arg, value, 0)})
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"left": self.left, "right": self.right}

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:
        d = np.arange(n_k) - (i[:, None] + (n_k - n_q))
        mask = np.ones(d.shape, bool)
        if self.left is not None:
            mask &= d >= -self.left
        if self.right is not None:
            mask &= d <= self.right
        return mask

    def _parameters(self) -> tuple[Any, ...]:
        return tuple(-1 if v is None else v for v in (self.left, self.right))


class Grouped(Pattern):
    """Groups of queries that see one run of keys each, and shared tokens.

    The first ``n_shared`` tokens see all tokens and are seen by all. The other N are cut into
    ``n_groups`` runs of N/n_groups; the queries of run g see the keys of N/n_groups places from
    ``g * N/n_groups + offset`` on, around the end. (HilbertA, with tokens in Hilbert order.)

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Grouped(1, 2, 1).to_mask(5).astype(int)
    array([[1, 1, 1, 1, 1],
           [1, 0, 1, 1, 0],
           [1, 0, 1, 1, 0],
           [1, 1, 0, 0, 1],
           [1, 1, 0, 0, 1]])
    """

    __slots__ = ("n_groups", "n_shared", "offset")
    kind = "grouped"
    n_shared: int
    n_groups: int
    offset: int

    def __init__(
        self,
        n_shared: int,
        n_groups: int,
        offset: int = 0,
        *,
        grid: Ints | None = None,
        n_prefix: int = 0,
    ) -> None:
        op = self._op()
        self._set(
            n_shared=read_int(op, "n_shared", n_shared, 0),
            n_groups=read_int(op, "n_groups", n_groups, 1),
            offset=read_int(op, "offset", offset, -(2**31)),
        )
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"n_shared": self.n_shared, "n_groups": self.n_groups, "offset": self.offset}

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        super()._check(op, n_q, n_k)
        n = n_q - self.n_prefix - self.n_shared
        if n_q != n_k or n < 0 or n % self.n_groups:
            text = (
                f"pattern {self!r} has {n_q} queries and {n_k} keys, needed are equally many, and "
                "groups of one size after the shared tokens"
            )
            raise error_of(_core.ShapeError, op, "pattern", text)

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:
        s = self.n_shared
        n = n_q - s
        size = n // self.n_groups
        mask = np.ones((len(i), n_k), bool)
        after = i >= s
        if size:
            start = (i[after] - s) // size * size + self.offset
            mask[after, s:] = (np.arange(n) - start[:, None]) % n < size
        return mask

    def _parameters(self) -> tuple[Any, ...]:
        return self.n_shared, self.n_groups, self.offset
