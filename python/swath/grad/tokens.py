"""Gradients of the functions that choose, move and pool tokens."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from swath import _core
from swath._arguments import Indices, as_array, fail, shape_of
from swath._types import Array, Ints, Needs
from swath.grad._results import InputGradient
from swath.ops import _token_tables as tables
from swath.ops import tokens
from swath.ops.pool_tokens import PoolMode, read_pooling, token_weights


def take_tokens(dy: Array, x: Array, idx: Array, *, threads: int | None = None) -> InputGradient:
    """Gradient of `swath.take_tokens`: dy put back, added where a token was taken twice.

    Parameters
    ----------
    dy : array, shape (..., M, D)
    x : array, shape (..., N, D)
        The forward's input; only its shape matters.
    idx, threads
        As in the forward call.

    Returns
    -------
    InputGradient
        ``dx``, array of x's shape.

    Raises
    ------
    ShapeError, DTypeError, ParamError
        As `swath.put_tokens`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((3, 1), np.float32)
    >>> swath.grad.take_tokens(np.ones((2, 1), np.float32), x, [1, 1]).dx.ravel()
    array([0., 2., 0.], dtype=float32)
    """
    return InputGradient(tokens._put("grad.take_tokens", "dy", dy, idx, x, threads))


def put_tokens(
    dx: Array, y: Array, idx: Array, like: Array | None = None, *, threads: int | None = None
) -> InputGradient:
    """Gradient of `swath.put_tokens` for its y: the gradient's tokens at idx.

    Parameters
    ----------
    dx : array, shape (..., N, D)
        The gradient of the forward's result.
    y : array, shape (..., M, D)
        The forward's input; only its shape matters.
    idx, like, threads
        As in the forward call; like is not needed.

    Returns
    -------
    InputGradient
        ``dx``, array of y's shape.

    Raises
    ------
    ShapeError
        If y does not have the shape of the tokens taken, or as `swath.take_tokens`.
    DTypeError, ParamError
        As `swath.take_tokens`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> y = np.ones((2, 1), np.float32)
    >>> g = np.arange(3, dtype=np.float32)[:, None]
    >>> swath.grad.put_tokens(g, y, [2, 0]).dx.ravel()
    array([2., 0.], dtype=float32)
    """
    del like
    found = tokens._take("grad.put_tokens", "dx", dx, idx, threads)
    _check_shape("grad.put_tokens", "y", y, found)
    return InputGradient(found)


def pack_tokens(dy: Array, x: Array, keep: Array, *, threads: int | None = None) -> InputGradient:
    """Gradient of `swath.pack_tokens`: dy at the kept tokens, 0 at the others.

    Parameters
    ----------
    dy : array, shape (..., total, D)
        The gradient of ``packed``.
    x : array, shape (B, ..., N, D)
        The forward's input; only its shape matters.
    keep, threads
        As in the forward call.

    Returns
    -------
    InputGradient
        ``dx``, array of x's shape.

    Raises
    ------
    ShapeError, DTypeError
        As `swath.pack_tokens`, or if dy does not have the shape of the forward's result.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, keep = np.ones((1, 3, 1), np.float32), np.array([[True, False, True]])
    >>> swath.grad.pack_tokens(np.full((2, 1), 5, np.float32), x, keep).dx.ravel()
    array([5., 0., 5.], dtype=float32)
    """
    kept = np.flatnonzero(tokens.read_keep("grad.pack_tokens", as_array(x), keep))
    return InputGradient(tokens._unpack("grad.pack_tokens", "dy", dy, kept, x, threads))


def unpack_tokens(
    dx: Array, y: Array, idx: Array, like: Array | None = None, *, threads: int | None = None
) -> InputGradient:
    """Gradient of `swath.unpack_tokens` for its y: the gradient's tokens at idx.

    Parameters
    ----------
    dx : array, shape (B, ..., N, D)
        The gradient of the forward's result.
    y : array, shape (..., total, D)
        The forward's input; only its shape matters.
    idx, like, threads
        As in the forward call; like is not needed.

    Returns
    -------
    InputGradient
        ``dx``, array of y's shape.

    Raises
    ------
    ShapeError, DTypeError, ParamError
        As `swath.unpack_tokens`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> g = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    >>> swath.grad.unpack_tokens(g, np.ones((2, 1), np.float32), [1, 5]).dx.ravel()
    array([1., 5.], dtype=float32)
    """
    del like
    found = tokens._pack("grad.unpack_tokens", "dx", dx, idx, threads)
    _check_shape("grad.unpack_tokens", "y", y, found)
    return InputGradient(found)


def _check_shape(op: str, arg: str, given: Array, needed: Array) -> None:
    if needed is None:  # under info.explain
        return
    found, shape = shape_of(as_array(given)), shape_of(needed)
    if found != shape:
        fail(_core.ShapeError, op, arg, f"{arg} has shape {found}, needed is {shape}")


class PoolTokensGrads(NamedTuple):
    """What `grad.pool_tokens` gives; None where it was not needed or there is no such input.

    Attributes
    ----------
    dx : array, shape and dtype of x
    dweights : array, shape and dtype of weights
    """

    dx: Array | None
    dweights: Array | None


def pool_tokens(
    dy: Array,
    x: Array,
    grid: Ints,
    factor: Ints,
    mode: PoolMode = "mean",
    weights: Array | None = None,
    *,
    needs: Needs = None,
    threads: int | None = None,
) -> PoolTokensGrads:
    """Gradient of `swath.pool_tokens`.

    Parameters
    ----------
    dy : array, shape of the forward's result, dtype of x
    x : array, shape (..., N, D) or (..., *grid, D)
        Its values matter for mode "max", where the first of equal tokens has the gradient, and for
        dweights.
    grid, factor, mode, weights, threads
        As in the forward call.
    needs : sequence of str, optional
        Of "x" and "weights"; None for all.

    Returns
    -------
    PoolTokensGrads
        ``dx``, array of x's shape; ``dweights``, array of weights' shape.

    Raises
    ------
    ShapeError
        If dy does not have the shape of the forward's result, or as `swath.pool_tokens`.
    DTypeError
        If dy and x differ in dtype.
    ParamError
        As `swath.pool_tokens`, or if ``needs`` names something else.

    Notes
    -----
    Cost: one read of dy, one write of dx; of x for "max" two reads, for dweights one.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((5, 1), np.float32)
    >>> dy = np.array([[2], [4], [6]], np.float32)
    >>> swath.grad.pool_tokens(dy, x, 5, 2).dx.ravel()
    array([1., 1., 2., 2., 6.], dtype=float32)
    """
    op = "grad.pool_tokens"
    x, dy = as_array(x), as_array(dy)
    on, factors = read_pooling(op, x, grid, factor, mode, weights)
    cells = tables.cells(on.grid, factors)
    needed = (*on.lead, *on.tokens(cells.shape), shape_of(x)[-1])
    if shape_of(dy) != needed:
        text = f"dy has shape {shape_of(dy)}, needed is {needed} (x.shape={shape_of(x)})"
        fail(_core.ShapeError, op, "dy", text)
    wants = _read_needs(op, needs)
    n_axes, places, given = 0, None, as_array(weights)
    if mode == "weighted":
        weights, n_axes, places = token_weights(op, weights, on, factors, threads)
    pooling = _PoolGrad(op, dy, x, on, cells, threads)
    dx = pooling.dx(mode, factors, weights, n_axes) if "x" in wants else None
    if weights is None or "weights" not in wants:
        return PoolTokensGrads(dx, None)
    shape = shape_of(given)
    if places is None:
        return PoolTokensGrads(dx, pooling.dweights(shape, n_axes))
    flat = (*shape[: -len(factors)], math.prod(factors))
    dweights = pooling.dweights(flat, 1, places=places.tolist())
    return PoolTokensGrads(dx, dweights.reshape(shape))


def _read_needs(op: str, needs: Needs) -> set[str]:
    known = ("x", "weights")
    names = known if needs is None else needs
    if isinstance(names, str):
        fail(_core.ParamError, op, "needs", f"needs is {needs!r}, needed is a sequence of {known}")
    short = {name.removeprefix("d") for name in names}
    if not short <= set(known):
        fail(_core.ParamError, op, "needs", f"needs is {needs!r}, needed are names of {known}")
    return short


class _PoolGrad(NamedTuple):
    op: str
    dy: Array
    x: Array
    on: tables.TokenGrid
    cells: tables.Cells
    threads: int | None

    def dx(self, mode: str, factors: tuple[int, ...], weights: Array | None, n_axes: int) -> Array:
        n_lead = len(self.on.lead)
        dy_axes = list(range(n_lead, n_lead + len(self.on.tokens(self.cells.shape))))
        options: dict[str, Any] = {"mode": "sum", "x_axes": dy_axes, **self.on.result(self.on.grid)}
        if mode == "max":
            options |= {"mode": "max_grad", "x_axes": self.on.axes, "g_axes": dy_axes}
            return self._call(
                self.x, "x", self.cells.offsets, self.cells.tokens, None, self.dy, options
            )
        if mode.startswith("nearest"):
            taken = tables.nearest(self.on.grid, factors, mode == "nearest_exact")
            offsets, found = tables.inverse_table(taken, len(self.cells.cell_of_token))
            return self._call(self.dy, "dy", offsets, found, None, None, options)
        if mode == "mean":
            shares = (1 / np.diff(self.cells.offsets)).astype(_sum_dtype(self.dy))
            options |= {"weight": "source", "weights_are_sums": True}
            return self._call(self.dy, "dy", None, self.cells.cell_of_token, shares, None, options)
        options |= {"weight": "row", "n_weight_axes": n_axes}
        return self._call(self.dy, "dy", None, self.cells.cell_of_token, weights, None, options)

    def dweights(self, shape: tuple[int, ...], n_axes: int, **more: Any) -> Array:
        n_lead = len(self.on.lead)
        options = {
            "mode": "dot",
            "x_axes": self.on.axes,
            "g_axes": list(range(n_lead, n_lead + len(self.on.tokens(self.cells.shape)))),
            **self.on.result(self.on.grid),
            "n_weight_axes": n_axes,
            "weights_result": list(shape),
            **more,
        }
        return self._call(self.x, "x", None, self.cells.cell_of_token, None, self.dy, options)

    def _call(
        self,
        x: Array,
        arg: str,
        offsets: Indices | None,
        sources: Indices,
        weights: Array | None,
        g: Array | None,
        options: dict[str, Any],
    ) -> Array:
        return _core.combine_tokens(
            self.op, arg, x, offsets, sources, weights, g, options, self.threads
        )


def _sum_dtype(x: Array) -> type[np.floating]:
    return np.float64 if str(x.dtype).endswith("float64") else np.float32
