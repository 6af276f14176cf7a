"""Arrays of any library as float64 NumPy and back, and the errors of these functions."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from swath import _core
from swath._arguments import fail
from swath._types import Array

Wide = NDArray[np.float64]


class Given:
    """The arrays of one call: float64 copies, one dtype, and the first one's library."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.like: Array | None = None
        self.name = self.dtype = ""

    def read(self, array: Array, arg: str, ndim: int | None = None) -> Wide:
        """A float64 copy of a floating array."""
        values, dtype = _core.host_values(array, self.op, arg)
        if self.like is None:
            self.like, self.name, self.dtype = array, arg, dtype
        elif dtype != self.dtype:
            text = f"{arg} is {dtype}, {self.name} is {self.dtype}: needed is one dtype"
            fail(_core.DTypeError, self.op, arg, text)
        wide: Wide = values
        if ndim is not None and wide.ndim != ndim:
            self.bad_shape(arg, wide, f"{ndim} axes")
        return wide

    def read_or(self, array: Array | None, arg: str, value: float, n: int) -> Wide:
        """A vector of n numbers; n times `value` for None."""
        if array is None:
            return np.full(n, value)
        wide = self.read(array, arg)
        if wide.shape != (n,):
            self.bad_shape(arg, wide, f"({n},)")
        return wide

    def result(self, values: Wide) -> Any:
        """In the first array's library and dtype."""
        return _core.host_result(np.ascontiguousarray(values, np.float64), self.like, self.op)

    def bad_shape(self, arg: str, found: Wide, needed: str) -> NoReturn:
        fail(_core.ShapeError, self.op, arg, f"{arg} has shape {found.shape}, needed is {needed}")

    def bad_value(self, arg: str, found: object, needed: str) -> NoReturn:
        fail(_core.ParamError, self.op, arg, f"{arg} is {found!r}, needed is {needed}")

    def ints(self, value: Any, n: int, arg: str, least: int = 1) -> tuple[int, ...]:
        """One integer for all axes, or one per axis."""
        needed = f"an integer >= {least}, or {n} of them"
        items = list(value) if isinstance(value, Sequence | np.ndarray) else [value] * n
        try:
            if any(isinstance(i, bool | np.bool_) for i in items):
                raise TypeError
            found = tuple(index(i) for i in items)
        except TypeError:
            self.bad_value(arg, value, needed)
        if len(found) != n or any(i < least for i in found):
            self.bad_value(arg, value, needed)
        return found
