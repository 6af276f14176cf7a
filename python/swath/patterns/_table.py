"""Biases by relative position."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from swath import _core
from swath._arguments import as_array, error_of, shape_of
from swath._types import Array

_ORDERS = ("key_minus_query", "query_minus_key")


class RelativeTable:
    """A bias that depends on the head and on the relative position of query and key.

    ``bias[h, i, j] = table[h, (key - query) + K_1 - 1, ...]``, one index per axis of the grid, in
    places of the window: a dilated neighbourhood counts its own places, a shifted or wrapped
    window goes on around the end. Pairs with a prefix token have no bias.

    Parameters
    ----------
    table : array, shape (H, 2*K_1 - 1, ...), dtype of q
        K is the size of the window, or of the grid where the pattern has no window.
    order : "key_minus_query" | "query_minus_key"
        The second is that of Swin and CAT, the first that of NATTEN's legacy tables.

    Examples
    --------
    >>> import numpy as np
    >>> from swath import patterns
    >>> table = patterns.RelativeTable(np.arange(3.0).reshape(1, 3))
    >>> table.to_bias((2,))[0]
    array([[1., 2.],
           [0., 1.]])
    """

    __slots__ = ("order", "table")
    table: Array
    order: str

    def __init__(self, table: Array, order: str = "key_minus_query") -> None:
        op = "patterns.RelativeTable"
        shape = np.shape(table)
        if not 2 <= len(shape) <= 4 or any(n % 2 == 0 for n in shape[1:]):
            text = f"table has shape {shape}, needed is (H, 2*K_1-1, ...) of 1 to 3 axes"
            raise error_of(_core.ShapeError, op, "table", text)
        if order not in _ORDERS:
            text = f"order is {order!r}, needed is one of {_ORDERS}"
            raise error_of(_core.ParamError, op, "order", text)
        self.table = table
        self.order = order

    def __repr__(self) -> str:
        return f"RelativeTable(table={tuple(np.shape(self.table))}, order={self.order!r})"

    def to_bias(self, grid: tuple[int, ...], n_prefix: int = 0) -> Any:
        """Return the bias of all pairs of a grid, (H, N, N); pairs outside the table get 0."""
        table = as_array(self.table)
        heads, *extents = shape_of(table)
        n = math.prod(grid)
        at = np.stack(np.unravel_index(np.arange(n), grid), -1)
        delta = at[None, :] - at[:, None]
        if self.order == "query_minus_key":
            delta = -delta
        index = delta + np.array(extents) // 2
        n_all = n + n_prefix
        inside = np.zeros((n_all, n_all), bool)
        inside[n_prefix:, n_prefix:] = ((index >= 0) & (index < extents)).all(-1)
        places = index[inside[n_prefix:, n_prefix:]].T
        # a sum of one element of the table, or of none, for every pair
        bias = _core.combine_tokens(
            "patterns.RelativeTable", "table", table.reshape(heads, -1, 1),
            np.concatenate([[0], np.cumsum(inside)]), np.ravel_multi_index(tuple(places), extents),
            None, None, {"mode": "sum", "x_axes": [1], "y_axes": [1], "y_shape": [heads, n_all**2]},
            None,
        )  # fmt: skip
        return bias.reshape(heads, n_all, n_all)
