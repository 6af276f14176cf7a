"""Functions that choose and move tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swath import _core
from swath._arguments import (
    as_array,
    fail,
    read_indices,
    shape_of,
    to_library,
    to_numpy,
)
from swath._types import Array
from swath.ops import _token_tables as tables


def take_tokens(x: Array, idx: Array, *, threads: int | None = None) -> Array:
    """Take tokens by index.

    ::

        y[..., m, :] = x[..., idx[..., m], :]

    Parameters
    ----------
    x : array, shape (..., N, D), float32 | float64 | float16 | bfloat16
    idx : array of integers, shape (M,) or (..., M)
        From 0 to N - 1, in any order, repeated or not. Leading axes broadcast to those of x, for
        indices of their own for each sample or head.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (..., M, D), library of x

    Raises
    ------
    ShapeError
        If x has less than two axes, or the leading axes of idx do not broadcast to those of x.
    DTypeError
        If idx holds no integers.
    ParamError
        If an index is out of range.

    Notes
    -----
    Elements are moved, never changed. Cost: one read of the rows taken and one write. The gradient
    is `put_tokens`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(6, dtype=np.float32).reshape(3, 2)
    >>> swath.take_tokens(x, [2, 0])
    array([[4., 5.],
           [0., 1.]], dtype=float32)
    """
    return _take("take_tokens", "x", x, idx, threads)


def put_tokens(y: Array, idx: Array, like: Array, *, threads: int | None = None) -> Array:
    """Put tokens back where `take_tokens` found them.

    ::

        x[..., n, :] = sum over m with idx[..., m] = n of y[..., m, :]

    Tokens that idx does not name are 0; those put to one place are added, so that this is the
    exact adjoint of `take_tokens`, and its inverse where idx is a permutation.

    Parameters
    ----------
    y : array, shape (..., M, D), float32 | float64 | float16 | bfloat16
    idx : array of integers, shape (M,) or (..., M)
        From 0 to N - 1; as in `take_tokens`.
    like : array, shape (..., N, D)
        Only its shape matters.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape of like, dtype and library of y

    Raises
    ------
    ShapeError
        If y, idx and like do not fit together.
    DTypeError, ParamError
        As `take_tokens`.

    Notes
    -----
    Sums are kept in float32 (float64 for float64) and made in the order of m. Cost: one read of y,
    one write of x.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(6, dtype=np.float32).reshape(3, 2)
    >>> swath.put_tokens(swath.take_tokens(x, [2, 0]), [2, 0], like=x)
    array([[0., 1.],
           [0., 0.],
           [4., 5.]], dtype=float32)
    """
    return _put("put_tokens", "y", y, idx, like, threads)


def _take(op: str, arg: str, x: Array, idx: Array, threads: int | None) -> Array:
    x = as_array(x)
    shape = _token_shape(x, op, arg)
    found = read_indices(idx, shape[-2], op)
    strides = tables.table_strides(op, found, shape[:-2])
    options = {
        "mode": "sum",
        "x_axes": [len(shape) - 2],
        "y_axes": [len(shape) - 2],
        "y_shape": [*shape[:-2], found.shape[-1]],
        "table_strides": strides,
    }
    return _core.combine_tokens(op, arg, x, None, found.ravel(), None, None, options, threads)


def _put(op: str, arg: str, y: Array, idx: Array, like: Array, threads: int | None) -> Array:
    y, like = as_array(y), as_array(like)
    given, shape = _token_shape(y, op, arg), _token_shape(like, op, "like")
    found = read_indices(idx, shape[-2], op)
    if (*given[:-2], given[-1]) != (*shape[:-2], shape[-1]) or given[-2] != found.shape[-1]:
        text = f"{arg} has shape {given}, needed is {(*shape[:-2], found.shape[-1], shape[-1])}"
        fail(_core.ShapeError, op, arg, f"{text} (like.shape={shape}, idx.shape={found.shape})")
    strides = tables.table_strides(op, found, shape[:-2])
    offsets, sources = tables.inverse_table(found, shape[-2])
    options = {
        "mode": "sum",
        "x_axes": [len(shape) - 2],
        "y_axes": [len(shape) - 2],
        "y_shape": list(shape[:-1]),
        "table_strides": strides,
    }
    return _core.combine_tokens(op, arg, y, offsets, sources, None, None, options, threads)


def _token_shape(x: Array, op: str, arg: str) -> tuple[int, ...]:
    shape = shape_of(x)
    if len(shape) < 2:
        fail(_core.ShapeError, op, arg, f"{arg} has shape {shape}, needed are tokens and channels")
    return shape


class PackedTokens(NamedTuple):
    """What `pack_tokens` gives.

    Attributes
    ----------
    packed : array, shape (..., total, D)
    cu : array of int32, shape (B + 1,)
        Where the tokens of each sample begin; the last number is the total.
    idx : array of int64, shape (total,)
        b N + n of each token.
    """

    packed: Array
    cu: Array
    idx: Array


def pack_tokens(x: Array, keep: Array, *, threads: int | None = None) -> PackedTokens:
    """Pack the kept tokens of all samples into one sequence.

    Parameters
    ----------
    x : array, shape (B, ..., N, D), float32 | float64 | float16 | bfloat16
        Axes between B and N, such as heads, stay: they share ``keep``. ``(N, D)`` is one sample.
    keep : array of bool, shape (B, N), or (N,) for x (N, D)
        True: the token stays.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    PackedTokens
        ``packed``, array of shape (..., total, D), sample after sample in the order of the tokens;
        ``cu``, int32 (B + 1,), the running count as `patterns.VarLen` takes it; ``idx``, int64
        (total,), the place b N + n of each token, for `unpack_tokens`.

    Raises
    ------
    ShapeError
        If x has less than two axes or keep another shape.
    DTypeError
        If keep is not bool (or 0 and 1 as integers).

    Notes
    -----
    Elements are moved, never changed. Cost: one read and one write of what is kept. The published
    use: Havtorn et al., "MSViT: dynamic mixed-scale tokenization", 2023.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    >>> packed, cu, idx = swath.pack_tokens(x, np.array([[1, 0, 1], [0, 1, 0]], bool))
    >>> packed.ravel(), cu, idx
    (array([0., 2., 4.], dtype=float32), array([0, 2, 3], dtype=int32), array([0, 2, 4]))
    """
    op = "pack_tokens"
    x = as_array(x)
    kept = read_keep(op, x, keep)
    idx = np.flatnonzero(kept).astype(np.int64)
    cu = np.concatenate([[0], np.cumsum(kept.sum(1))]).astype(np.int32)
    return PackedTokens(_pack(op, "x", x, idx, threads), to_library(cu, x), to_library(idx, x))


def unpack_tokens(y: Array, idx: Array, like: Array, *, threads: int | None = None) -> Array:
    """Put packed tokens back to their samples; the other tokens are 0.

    Parameters
    ----------
    y : array, shape (..., total, D), float32 | float64 | float16 | bfloat16
    idx : array of integers, shape (total,)
        As `pack_tokens` gives it: b N + n.
    like : array, shape (B, ..., N, D), or (N, D)
        Only its shape matters, but for the channels: D is that of y.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (B, ..., N, D), dtype and library of y

    Raises
    ------
    ShapeError
        If y, idx and like do not fit together.
    DTypeError
        If idx holds no integers.
    ParamError
        If an index is out of range.

    Notes
    -----
    Cost: one read of y, one write of the result. Tokens put to one place are added.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    >>> packed, cu, idx = swath.pack_tokens(x, np.array([[1, 0, 1], [0, 1, 0]], bool))
    >>> swath.unpack_tokens(packed, idx, like=x).ravel()
    array([0., 0., 2., 0., 4., 0.], dtype=float32)
    """
    return _unpack("unpack_tokens", "y", y, idx, like, threads)


def _samples(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[-2]) if len(shape) > 2 else (shape[-2],)


def _sample_axes(shape: tuple[int, ...]) -> list[int]:
    return [0, len(shape) - 2] if len(shape) > 2 else [0]


def read_keep(op: str, x: Array, keep: Array) -> NDArray[np.bool_]:
    """(B, N)"""
    shape = _token_shape(x, op, "x")
    kept = to_numpy(keep, op, "keep")
    if kept.dtype.kind not in "biu":
        fail(_core.DTypeError, op, "keep", f"keep has dtype {kept.dtype}, needed is bool")
    needed = _samples(shape)
    if kept.shape != needed:
        text = f"keep has shape {kept.shape}, needed is {needed} (x.shape={shape})"
        fail(_core.ShapeError, op, "keep", text)
    return kept.astype(bool).reshape(needed[0] if len(needed) == 2 else 1, shape[-2])


def _pack(op: str, arg: str, x: Array, idx: Array, threads: int | None) -> Array:
    x = as_array(x)
    shape = _token_shape(x, op, arg)
    found = read_indices(idx, int(np.prod(_samples(shape))), op)
    if found.ndim != 1:
        fail(_core.ShapeError, op, "idx", f"idx has shape {found.shape}, needed is one axis")
    middle = list(shape[1:-2])
    options = {
        "mode": "sum",
        "x_axes": _sample_axes(shape),
        "y_axes": [len(middle)],
        "y_shape": [*middle, len(found)],
    }
    return _core.combine_tokens(op, arg, x, None, found, None, None, options, threads)


def _unpack(op: str, arg: str, y: Array, idx: Array, like: Array, threads: int | None) -> Array:
    y, like = as_array(y), as_array(like)
    given, shape = _token_shape(y, op, arg), _token_shape(like, op, "like")
    n = int(np.prod(_samples(shape)))
    found = read_indices(idx, n, op)
    if found.ndim != 1:
        fail(_core.ShapeError, op, "idx", f"idx has shape {found.shape}, needed is one axis")
    if given[:-1] != (*shape[1:-2], len(found)):
        text = f"{arg} has shape {given}, needed is {(*shape[1:-2], len(found), given[-1])}"
        fail(_core.ShapeError, op, arg, f"{text} (like.shape={shape}, idx.shape={found.shape})")
    offsets, sources = tables.inverse_table(found, n)
    options = {
        "mode": "sum",
        "x_axes": [len(given) - 2],
        "y_axes": _sample_axes(shape),
        "y_shape": list(shape[:-1]),
    }
    return _core.combine_tokens(op, arg, y, offsets, sources, None, None, options, threads)
