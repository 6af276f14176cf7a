"""What all patterns share: arguments, masks by rows, unions."""

from __future__ import annotations

import math
import operator
import pickle
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from swath import _core
from swath._arguments import error_of

Ints = int | Sequence[int]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

_LARGEST = 2**31 - 1
_MASK_BYTES_A_STEP = 1 << 24


def read_int(op: str, arg: str, value: Any, least: int) -> int:
    """Return an integer of at least ``least``; anything else is a ParamError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool | np.bool_) or not least <= number <= _LARGEST:
        raise error_of(
            _core.ParamError, op, arg, f"{arg} is {value!r}, needed is an integer >= {least}"
        )
    return number


def read_ints(op: str, arg: str, value: Any, least: int) -> int | tuple[int, ...]:
    """Return one integer for all axes, or a tuple of 1 to 3 for one each."""
    if hasattr(value, "__index__") or not isinstance(value, Iterable) or isinstance(value, str):
        return read_int(op, arg, value, least)
    numbers = tuple(read_int(op, arg, v, least) for v in value)
    if not 1 <= len(numbers) <= 3:
        text = f"{arg} is {value!r}, needed is an integer or 1 to 3 of them, one per token axis"
        raise error_of(_core.ParamError, op, arg, text)
    return numbers


def per_axis(value: Any, n: int) -> tuple[Any, ...]:
    """Repeat a single value for all axes."""
    return value if isinstance(value, tuple) else (value,) * n


def one_length(op: str, **values: Any) -> int | None:
    """Return the number of axes that the tuples among ``values`` have; None without any."""
    found: int | None = None
    for arg, value in values.items():
        if not isinstance(value, tuple):
            continue
        if found is not None and len(value) != found:
            text = f"{arg} has {len(value)} axes, needed are {found} as in the arguments before"
            raise error_of(_core.ParamError, op, arg, text)
        found = len(value)
    return found


class Pattern:
    """Which keys each query may attend to.

    A pattern is immutable and holds no memory that grows with the square of the number of tokens.
    With ``grid`` the tokens lie on axes of these lengths, the last one fastest; it may be left out
    if q has that many token axes. The first ``n_prefix`` tokens (text, for example) are on no
    grid: they see all tokens and are seen by all. ``a | b`` allows what a or b allows. Patterns
    of one kind with the same arguments are equal.
    """

    __slots__ = ("grid", "n_prefix")
    kind: ClassVar[str]
    grid: tuple[int, ...] | None
    n_prefix: int

    def __init__(self, grid: Ints | None, n_prefix: int) -> None:
        op = self._op()
        if grid is not None:
            lengths = read_ints(op, "grid", grid, 0)
            grid = lengths if isinstance(lengths, tuple) else (lengths,)
            axes = self._n_axes()
            if axes is not None and axes != len(grid):
                text = f"grid has {len(grid)} axes, the pattern {axes}"
                raise error_of(_core.ParamError, op, "grid", text)
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "n_prefix", read_int(op, "n_prefix", n_prefix, 0))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def _op(cls) -> str:
        return f"patterns.{cls.__name__}"

    def _options(self) -> dict[str, Any]:
        raise NotImplementedError

    def __repr__(self) -> str:
        options = {**self._options(), "grid": self.grid, "n_prefix": self.n_prefix}
        shown = ", ".join(
            f"{k}={' '.join(repr(v).split())}"
            for k, v in options.items()
            if not (k == "grid" and v is None) and not (k == "n_prefix" and v == 0)
        )
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        options = {**self._options(), "grid": self.grid, "n_prefix": self.n_prefix}
        return _rebuild, (type(self), options)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and pickle.dumps(self) == pickle.dumps(other)

    def __hash__(self) -> int:
        return hash(pickle.dumps(self))

    def __or__(self, other: Any) -> Pattern:
        if not isinstance(other, Pattern):
            return NotImplemented
        return Union((*_members(self), *_members(other)))

    def _is_plain(self) -> bool:
        """Return whether every allowed key counts once: what a union needs."""
        return True

    def _n_axes(self) -> int | None:
        """Return how many token axes the pattern is about; None: any number."""
        return None

    def _sizes(self, n_q: int | None, n_k: int | None) -> tuple[int, int]:
        op = f"{self._op()}.to_mask"
        known = self._known_sizes()
        n_q = known[0] if n_q is None else read_int(op, "n_q", n_q, 0)
        n_k = (known[1] if n_q == known[0] else n_q) if n_k is None else read_int(op, "n_k", n_k, 0)
        if n_q is None or n_k is None:
            text = "n_q is None, needed is the number of queries (the pattern has no grid)"
            raise error_of(_core.ParamError, op, "n_q", text)
        self._check(op, n_q, n_k)
        return n_q, n_k

    def _known_sizes(self) -> tuple[int | None, int | None]:
        """Return (n_q, n_k) as far as the pattern tells them."""
        if self.grid is None:
            return None, None
        n = math.prod(self.grid) + self.n_prefix
        return n, n

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        """Raise unless the pattern is about n_q queries and n_k keys."""
        if min(n_q, n_k) < self.n_prefix:
            text = f"pattern has n_prefix={self.n_prefix}, there are {n_q} queries and {n_k} keys"
            raise error_of(_core.ShapeError, op, "pattern", text)

    def _grid_of(self, n: int) -> tuple[int, ...]:
        return (n - self.n_prefix,) if self.grid is None else self.grid

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:
        """Return the mask of queries ``i``, all counted after the prefix."""
        raise NotImplementedError

    def _rows(self, i: Index, n_q: int, n_k: int) -> Mask:
        p = self.n_prefix
        rows = np.ones((*self._lead(), len(i), n_k), bool)
        after = i >= p
        rows[..., after, p:] = self._inner(i[after] - p, n_q - p, n_k - p)
        return rows

    def _lead(self) -> tuple[int, ...]:
        """Return the axes of a mask before (n_q, n_k)."""
        return ()

    def to_mask(self, n_q: int | None = None, n_k: int | None = None) -> Mask:
        """Return which pairs are allowed, (n_q, n_k) bool; True: attend.

        The definition of the pattern, for tests and for pictures. ``n_q`` and ``n_k`` may be left
        out where the pattern knows them (a grid, lengths, lists); ``n_k`` defaults to ``n_q``.
        Patterns with lists of their own for each sample or head have these axes in front.
        """
        n_q, n_k = self._sizes(n_q, n_k)
        return self._rows(np.arange(n_q), n_q, n_k)

    def density(self, n_q: int | None = None, n_k: int | None = None) -> float:
        """Return the share of pairs that are allowed; 0 if there are none."""
        n_q, n_k = self._sizes(n_q, n_k)
        n_lead = math.prod(self._lead())
        if n_q * n_k * n_lead == 0:
            return 0.0
        step = max(1, _MASK_BYTES_A_STEP // (n_k * n_lead))
        n = 0
        for first in range(0, n_q, step):
            rows = self._rows(np.arange(first, min(first + step, n_q)), n_q, n_k)
            n += int(np.count_nonzero(rows))
        return n / (n_q * n_k * n_lead)

    def _lower(self) -> tuple[Any, ...]:
        """Return (kind, grid, n_prefix, n_axes, parameters) for the compiled part."""
        return self.kind, self.grid, self.n_prefix, self._n_axes(), self._parameters()

    def _parameters(self) -> tuple[Any, ...]:
        raise NotImplementedError


def _rebuild(cls: type[Pattern], options: dict[str, Any]) -> Pattern:
    return cls(**options)


def _members(p: Pattern) -> tuple[Pattern, ...]:
    return p.members if isinstance(p, Union) else (p,)


class Union(Pattern):
    """What any of several patterns allows: made by ``a | b``.

    Each member keeps its own grid and prefix. Members without multiplicities only: `Blocks` with
    ``levels`` and a finite ``mask_value`` of `Window` cannot be part of a union.
    """

    __slots__ = ("members",)
    kind = "union"
    members: tuple[Pattern, ...]

    def __init__(self, members: Sequence[Pattern]) -> None:
        op = "patterns.Union"
        self._set(members=tuple(members), grid=None, n_prefix=0)
        limit = 4
        if not 1 <= len(self.members) <= limit:
            text = f"members are {len(self.members)} patterns, needed are 1 to {limit}"
            raise error_of(_core.ParamError, op, "members", text)
        for m in self.members:
            if not m._is_plain():
                text = f"members holds {m!r}, whose keys have weights"
                raise error_of(_core.ParamError, op, "members", text)

    def __reduce__(self) -> tuple[Any, ...]:
        return Union, (self.members,)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.members))

    def _known_sizes(self) -> tuple[int | None, int | None]:
        known = [m._known_sizes() for m in self.members]
        return tuple(  # type: ignore[return-value]
            next((sizes[i] for sizes in known if sizes[i] is not None), None) for i in range(2)
        )

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        for m in self.members:
            m._check(op, n_q, n_k)

    def _lead(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*(m._lead() for m in self.members))

    def _rows(self, i: Index, n_q: int, n_k: int) -> Mask:
        rows = np.zeros((*self._lead(), len(i), n_k), bool)
        for m in self.members:
            rows |= m._rows(i, n_q, n_k)
        return rows
