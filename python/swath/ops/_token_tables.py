"""Which tokens make which: the tables of indices behind the functions on tokens."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from swath import _core
from swath._arguments import Indices, fail, read_ints, shape_of
from swath._types import Array

MODES = ("mean", "nearest", "nearest_exact", "max", "weighted")


class Cells(NamedTuple):
    """The cells of a grid and their tokens."""

    shape: tuple[int, ...]  # cells along each axis
    offsets: Indices  # (cells + 1,)
    tokens: Indices  # cell after cell, ascending in each
    cell_of_token: Indices


@lru_cache(maxsize=32)
def cells(grid: tuple[int, ...], factor: tuple[int, ...]) -> Cells:
    """Every token is in one cell; the last cell of an axis may be smaller."""
    shape = tuple(-(-n // f) for n, f in zip(grid, factor, strict=True))
    of_axes = np.ix_(*(np.arange(n) // f for n, f in zip(grid, factor, strict=True)))
    cell = np.zeros(grid, np.int64)
    for axis, n in zip(of_axes, shape, strict=True):
        cell = cell * n + axis
    flat = cell.ravel()
    counts = np.bincount(flat, minlength=math.prod(shape))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Cells(shape, offsets, np.argsort(flat, kind="stable").astype(np.int64), flat)


@lru_cache(maxsize=32)
def nearest(grid: tuple[int, ...], factor: tuple[int, ...], is_exact: bool) -> Indices:
    """The token of each cell, in the order of the cells."""
    token = np.zeros((1,) * len(grid), np.int64)
    for a, (n, f) in enumerate(zip(grid, factor, strict=True)):
        first = np.arange(-(-n // f)) * f
        along = np.minimum(first + (f // 2 if is_exact else 0), n - 1)
        token = token * n + along.reshape((-1,) + (1,) * (len(grid) - a - 1))
    return np.ascontiguousarray(token.ravel())


@lru_cache(maxsize=32)
def places(grid: tuple[int, ...], factor: tuple[int, ...]) -> Indices:
    """The place of each token in its cell."""
    place = np.zeros((1,) * len(grid), np.int64)
    for a, (n, f) in enumerate(zip(grid, factor, strict=True)):
        place = place * f + (np.arange(n) % f).reshape((-1,) + (1,) * (len(grid) - a - 1))
    return np.ascontiguousarray(place.ravel())


def inverse_table(idx: Indices, n: int) -> tuple[Indices, Indices]:
    """For idx (..., M): offsets (..., n + 1) and sources, the places of each of n tokens."""
    flat = idx.reshape(math.prod(idx.shape[:-1]), idx.shape[-1])
    order = np.argsort(flat, axis=-1, kind="stable").astype(np.int64)
    offsets = np.zeros((len(flat), n + 1), np.int64)
    for table, places in enumerate(flat):
        np.cumsum(np.bincount(places, minlength=n), out=offsets[table, 1:])
    offsets += np.arange(len(flat), dtype=np.int64)[:, None] * idx.shape[-1]
    return offsets.ravel(), order.ravel()


def table_strides(op: str, idx: Indices, lead: tuple[int, ...]) -> list[int]:
    """How many tables further along each leading axis."""
    given, found = idx.shape[:-1], [0] * len(lead)
    stride = 1
    for i in range(1, len(given) + 1):
        if i > len(lead) or given[-i] not in (1, lead[-i]):
            text = f"idx has shape {idx.shape}, needed are leading axes that broadcast to {lead}"
            fail(_core.ShapeError, op, "idx", text)
        if given[-i] > 1:
            found[-i] = stride
        stride *= given[-i]
    return found


class TokenGrid(NamedTuple):
    """An array whose tokens lie on a grid, flattened or not."""

    lead: tuple[int, ...]
    grid: tuple[int, ...]
    axes: list[int]  # the token axes of the array

    def tokens(self, on: tuple[int, ...]) -> tuple[int, ...]:
        """The token axes of a result with another grid."""
        return on if len(self.axes) == len(self.grid) else (math.prod(on),)

    def result(self, on: tuple[int, ...]) -> dict[str, Any]:
        tokens, n_lead = self.tokens(on), len(self.lead)
        axes = list(range(n_lead, n_lead + len(tokens)))
        return {"y_shape": [*self.lead, *tokens], "y_axes": axes}


def token_grid(x: Array, grid: Any, op: str, arg: str = "x") -> TokenGrid:
    """How the tokens of x (..., N, D) or (..., *grid, D) lie."""
    shape = shape_of(x)
    extents = read_ints(grid, None, op, "grid")
    k = len(extents)
    if len(shape) > k and shape[-1 - k : -1] == extents:
        return TokenGrid(shape[: -1 - k], extents, list(range(len(shape) - 1 - k, len(shape) - 1)))
    if len(shape) >= 2 and shape[-2] == math.prod(extents):
        return TokenGrid(shape[:-2], extents, [len(shape) - 2])
    text = f"{arg} has shape {shape}, needed are {math.prod(extents)} tokens of the grid {extents}"
    fail(_core.ShapeError, op, arg, f"{text} before the channels")
