"""What functions that prepare indices in Python share: errors, shapes, small arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from swath import _core
from swath._types import Array

Indices = NDArray[np.int64]


def error_of(error: type[_core.Error], op: str, arg: str, text: str) -> _core.Error:
    """An error as the compiled part makes it: it names the function and its argument."""
    problem = error(f"{op}: {text}")
    problem.op, problem.arg = op, arg
    return problem


def fail(error: type[_core.Error], op: str, arg: str, text: str) -> NoReturn:
    """Raise an error as the compiled part does."""
    raise error_of(error, op, arg, text)


def as_array(x: Array) -> Array:
    """An array of any library as it is, anything else as NumPy."""
    return x if hasattr(x, "shape") and hasattr(x, "dtype") else np.asarray(x)


def shape_of(x: Array) -> tuple[int, ...]:
    return tuple(int(n) for n in x.shape)


def to_numpy(x: Array, op: str, arg: str) -> NDArray[Any]:
    """A small array of any library: indices, counts, a mask."""
    try:
        found = x.detach().numpy() if hasattr(x, "detach") else np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as problem:
        fail(_core.ParamError, op, arg, f"{arg} cannot be read as an array: {problem}")
    if found.dtype == object:
        fail(_core.DTypeError, op, arg, f"{arg} holds objects, needed are numbers")
    return found


def to_library(values: NDArray[Any], like: Array) -> Array:
    """A small array in the library of `like`."""
    if isinstance(like, np.ndarray):
        return values
    library = type(like).__module__.split(".")[0]
    if library == "torch":
        import torch

        return torch.from_numpy(values)
    if hasattr(like, "__array_namespace__"):
        return like.__array_namespace__().asarray(values)
    return values


def stacked(arrays: Array) -> Array:
    """A list of arrays of one library as an array of that library; anything else as it is."""
    first: Any = arrays[0] if isinstance(arrays, (list, tuple)) and len(arrays) > 0 else None
    if isinstance(first, np.ndarray) or not hasattr(first, "__dlpack__"):
        return arrays
    if type(first).__module__.split(".")[0] == "torch":
        import torch

        return torch.stack(tuple(arrays))
    if hasattr(first, "__array_namespace__"):
        return first.__array_namespace__().stack(arrays)
    return arrays


def read_indices(idx: Array, n: int, op: str, arg: str = "idx") -> Indices:
    """Integers from 0 to n - 1, contiguous."""
    found = to_numpy(idx, op, arg)
    if found.dtype.kind not in "iu" and found.size > 0:
        fail(_core.DTypeError, op, arg, f"{arg} has dtype {found.dtype}, needed are integers")
    if found.ndim == 0:
        fail(_core.ShapeError, op, arg, f"{arg} is a single number, needed is an array")
    wrong = (found < 0) | (found >= n)
    if wrong.any():
        text = f"{arg} has {found[wrong][0]}, needed are numbers from 0 to {n - 1}"
        fail(_core.ParamError, op, arg, text)
    return np.ascontiguousarray(found, np.int64)


def read_ints(value: Any, n: int | None, op: str, arg: str) -> tuple[int, ...]:
    """One positive integer for n axes, or one per axis; n None: any number of them."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value,) * (1 if n is None else n)
    good = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)
    if not good or not all(
        isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in value
    ):
        fail(_core.ParamError, op, arg, f"{arg} is {value!r}, needed are integers")
    found = tuple(int(v) for v in value)
    if (n is not None and len(found) != n) or not found:
        fail(_core.ParamError, op, arg, f"{arg} has {len(found)} numbers, needed are {n or 'some'}")
    if min(found) < (1 if arg != "grid" else 0):
        fail(_core.ParamError, op, arg, f"{arg} is {found}, needed are positive numbers")
    return found
