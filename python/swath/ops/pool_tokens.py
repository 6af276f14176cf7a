"""Pooling of tokens that lie on a grid."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np

from swath import _core
from swath._arguments import Indices, as_array, fail, read_ints, shape_of
from swath._types import Array, Ints
from swath.ops import _token_tables as tables
from swath.ops import tokens

PoolMode: TypeAlias = Literal["mean", "nearest", "nearest_exact", "max", "weighted"]


def pool_tokens(
    x: Array,
    grid: Ints,
    factor: Ints,
    mode: PoolMode = "mean",
    weights: Array | None = None,
    *,
    threads: int | None = None,
) -> Array:
    """Make one token of each cell of a grid of tokens.

    The cells are boxes of ``factor`` tokens. Where a factor does not divide the grid the last cell
    of that axis has fewer tokens: there are ceil(n / factor) of them in every mode, and no token is
    left out.

    Parameters
    ----------
    x : array, shape (..., N, D) or (..., *grid, D), float32 | float64 | float16 | bfloat16
    grid : int or ints
        The extents of the token axes, N = prod(grid).
    factor : int or ints
        Of all axes or per axis.
    mode : str
        "mean": of the tokens that are there. "max": per channel, NaN if one is. "nearest": the
        first token of the cell. "nearest_exact": token ``factor // 2`` along each axis, the
        centre, or the last one of a smaller cell that ends before it. "weighted": the plain
        weighted sum, not divided by anything.
    weights : array, shape (..., N), (..., *grid) or (..., *factor), dtype of x
        For mode "weighted": of each token, or of each place in a cell, the same in all cells.
        Leading axes broadcast to those of x.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (..., M, D) or (..., *cells, D), as x was given

    Raises
    ------
    ShapeError
        If x does not have the tokens of the grid or the weights do not fit.
    DTypeError
        If weights differ in dtype from x.
    ParamError
        If grid, factor or mode make no sense, or weights come without mode "weighted".

    Notes
    -----
    Sums are kept in float32 (float64 for float64). Cost: one read of x, for the nearest modes of
    one token a cell, and one write of the result. The number of tokens behind a mean, as the
    multiplicity of a pooled key, is the size of the box cut to the grid.

    "weighted" with one weight per place in a cell is the downsampling of keys and values of Liu et
    al., "CLEAR: conv-like linearization revs pre-trained diffusion transformers up", 2024;
    "nearest_exact" is that of Smith et al., "ToDo: token downsampling for efficient
    generation of high-resolution images", 2024.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(5, dtype=np.float32)[:, None]
    >>> swath.pool_tokens(x, 5, 2).ravel(), swath.pool_tokens(x, 5, 2, "nearest_exact").ravel()
    (array([0.5, 2.5, 4. ], dtype=float32), array([1., 3., 4.], dtype=float32))
    """
    op = "pool_tokens"
    x = as_array(x)
    on, factors = read_pooling(op, x, grid, factor, mode, weights)
    cells = tables.cells(on.grid, factors)
    options = {"x_axes": on.axes, **on.result(cells.shape)}
    if mode.startswith("nearest"):
        sources = tables.nearest(on.grid, factors, mode == "nearest_exact")
        options["mode"] = "sum"
        return _core.combine_tokens(op, "x", x, None, sources, None, None, options, threads)
    if mode == "weighted":
        weights, n_axes, _ = token_weights(op, weights, on, factors, threads)
        options |= {"mode": "sum", "weight": "source", "n_weight_axes": n_axes}
    else:
        options["mode"] = mode
    return _core.combine_tokens(
        op, "x", x, cells.offsets, cells.tokens, weights, None, options, threads
    )


def read_pooling(
    op: str, x: Array, grid: Ints, factor: Ints, mode: Any, weights: Array | None
) -> tuple[tables.TokenGrid, tuple[int, ...]]:
    """Check what `pool_tokens` and its gradient share."""
    if mode not in tables.MODES:
        fail(_core.ParamError, op, "mode", f"mode is {mode!r}, needed is one of {tables.MODES}")
    if (weights is None) == (mode == "weighted"):
        needed = "needed are weights" if weights is None else "weights are for mode 'weighted' only"
        fail(_core.ParamError, op, "weights", f"mode is {mode!r}, {needed}")
    on = tables.token_grid(x, grid, op)
    return on, read_ints(factor, len(on.grid), op, "factor")


def token_weights(
    op: str, weights: Array, on: tables.TokenGrid, factors: tuple[int, ...], threads: int | None
) -> tuple[Array, int, Indices | None]:
    """Weights of all tokens, how many of their last axes are tokens, and the places in the cell
    that they were copied from, None if they were given so.
    """
    weights = as_array(weights)
    shape, k = shape_of(weights), len(on.grid)
    if shape[-k:] == on.grid:
        return weights, k, None
    if shape and shape[-1] == int(np.prod(on.grid)):
        return weights, 1, None
    if shape[-k:] == factors:
        places = tables.places(on.grid, factors)
        flat = weights.reshape(*shape[:-k], math.prod(factors), 1)
        spread = tokens._take(op, "weights", flat, places, threads)
        return spread.reshape(*shape[:-k], len(places)), 1, places
    text = f"weights has shape {shape}, needed are the tokens of the grid {on.grid}"
    fail(_core.ShapeError, op, "weights", f"{text} or a cell's {factors} at its end")
