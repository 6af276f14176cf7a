"""Orders of the tokens of a grid in which neighbours stay near each other.

Each function returns ``order``, the row-major index of the token at each place:
``x[..., order, :]`` (`swath.take_tokens`) is the sorted array, ``np.argsort(order)`` is the way
back, and so is `swath.put_tokens`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from swath._arguments import Indices, read_ints
from swath._types import Ints

__all__ = ["hilbert", "morton", "window"]


def morton(grid: Ints) -> Indices:
    """Order along the Z-order curve.

    The bits of the coordinates are interleaved, those of the last axis lowest; where the sizes are
    no powers of two the curve of the enclosing power of two skips what is outside, so that axes of
    unlike size interleave as long as both have bits left.

    Parameters
    ----------
    grid : int or ints
        Tokens along each axis, any number of axes.

    Returns
    -------
    numpy.ndarray, shape (prod(grid),), int64
        A permutation.

    Raises
    ------
    ParamError
        If a size is negative or no integer.

    Notes
    -----
    Morton, "A computer oriented geodetic data base", 1966. On a grid of powers of two every
    aligned block of 2^k tokens a side is a run of the order.

    Examples
    --------
    >>> import swath
    >>> swath.order.morton((2, 4))
    array([0, 1, 4, 5, 2, 3, 6, 7])
    """
    extents = read_ints(grid, None, "order.morton", "grid")
    key = np.zeros(extents, np.int64)
    coordinates = np.ix_(*(np.arange(n) for n in extents))
    place = 0
    for bit in range(_bits(extents)):
        for c, n in zip(reversed(coordinates), reversed(extents), strict=True):
            if n - 1 >> bit:
                key |= (c >> bit & 1) << place
                place += 1
    return _sorted_by(key)


def window(grid: Ints, size: Ints) -> Indices:
    """Order window by window.

    Parameters
    ----------
    grid : int or ints
        Tokens along each axis, any number of axes.
    size : int or ints
        Tokens of a window along each axis; the last window of an axis may be smaller.

    Returns
    -------
    numpy.ndarray, shape (prod(grid),), int64
        A permutation: windows in row-major order, the tokens of each in row-major order.

    Raises
    ------
    ParamError
        If a size is negative, zero or no integer, or the two differ in length.

    Examples
    --------
    >>> import swath
    >>> swath.order.window((2, 4), 2)
    array([0, 1, 4, 5, 2, 3, 6, 7])
    """
    extents = read_ints(grid, None, "order.window", "grid")
    sizes = read_ints(size, len(extents), "order.window", "size")
    key = np.zeros(extents, np.int64)
    coordinates = np.ix_(*(np.arange(n) for n in extents))
    for c, n, s in zip(coordinates, extents, sizes, strict=True):
        key = key * max(-(-n // s), 1) + c // s
    return _sorted_by(key)


def hilbert(grid: Ints) -> Indices:
    """Order along a Hilbert curve: neighbours in the order are neighbours on the grid.

    Parameters
    ----------
    grid : int or ints
        Tokens along one, two or more axes.

    Returns
    -------
    numpy.ndarray, shape (prod(grid),), int64
        A permutation.

    Raises
    ------
    ParamError
        If a size is negative or no integer.

    Notes
    -----
    Two axes of any size: the generalised curve that cuts a rectangle into halves and thirds, which
    is Hilbert's for squares of powers of two; it starts in the first corner and runs along the
    longer axis. Every step goes to a neighbour, but for one diagonal step where the longer axis is
    odd and the shorter is even. More axes: the Hilbert curve of the enclosing cube of powers of
    two, without what is outside, so that steps are unit steps on such cubes only.

    Hilbert, "Ueber die stetige Abbildung einer Linie auf ein Flaechenstueck", 1891; Skilling,
    "Programming the Hilbert curve", 2004.

    Examples
    --------
    >>> import swath
    >>> swath.order.hilbert((2, 2))
    array([0, 2, 3, 1])
    """
    extents = read_ints(grid, None, "order.hilbert", "grid")
    if math.prod(extents) == 0 or sum(n > 1 for n in extents) < 2:
        return np.arange(math.prod(extents))
    kept = [n for n in extents if n > 1]
    if len(kept) == 2:
        return _rectangle(*kept)
    return _sorted_by(_cube_keys(kept))


def _bits(extents: tuple[int, ...]) -> int:
    return max((n - 1).bit_length() if n > 0 else 0 for n in extents)


def _sorted_by(key: Any) -> Indices:
    order: Indices = np.argsort(key.ravel(), kind="stable").astype(np.int64)
    return order


def _rectangle(rows: int, columns: int) -> Indices:
    """The curve of a rectangle as a list of boxes still to walk, the next one last.

    A box starts at (y, x), runs along the vector a and is as wide as the vector b. It becomes two
    boxes along a if it is long, else a turn: up a half of b, along a, and back down.
    """
    path: list[int] = []
    along, across = ((0, columns), (rows, 0)) if columns >= rows else ((rows, 0), (0, columns))
    todo = [((0, 0), along, across)]
    while todo:
        (y, x), a, b = todo.pop()
        n_a, n_b = abs(a[0] + a[1]), abs(b[0] + b[1])
        step_a = (int(np.sign(a[0])), int(np.sign(a[1])))
        step_b = (int(np.sign(b[0])), int(np.sign(b[1])))
        if n_b == 1:
            path += [(y + i * step_a[0]) * columns + x + i * step_a[1] for i in range(n_a)]
            continue
        if n_a == 1:
            path += [(y + i * step_b[0]) * columns + x + i * step_b[1] for i in range(n_b)]
            continue
        half_a, half_b = n_a // 2, n_b // 2
        if 2 * n_a > 3 * n_b:
            half_a += half_a % 2 if n_a > 2 else 0  # even halves keep the curve connected
            first, rest = _scaled(step_a, half_a), _scaled(step_a, n_a - half_a)
            todo.append(((y + first[0], x + first[1]), rest, b))
            todo.append(((y, x), first, b))
            continue
        half_b += half_b % 2 if n_b > 2 else 0
        up, rest_b = _scaled(step_b, half_b), _scaled(step_b, n_b - half_b)
        half, rest_a = _scaled(step_a, half_a), _scaled(step_a, n_a - half_a)
        last = (y + a[0] - step_a[0] + up[0] - step_b[0], x + a[1] - step_a[1] + up[1] - step_b[1])
        todo.append((last, _scaled(up, -1), _scaled(rest_a, -1)))
        todo.append(((y + up[0], x + up[1]), a, rest_b))
        todo.append(((y, x), up, half))
    return np.array(path, np.int64)


def _scaled(v: tuple[int, int], n: int) -> tuple[int, int]:
    return (v[0] * n, v[1] * n)


def _cube_keys(extents: list[int]) -> Any:
    """Places along the Hilbert curve of the enclosing cube, by exchanging and inverting bits."""
    n_bits = max((n - 1).bit_length() for n in extents)
    x = [np.broadcast_to(c, extents).astype(np.int64) for c in np.ix_(*map(np.arange, extents))]
    for bit in reversed(range(1, n_bits)):
        low = (1 << bit) - 1
        for i in range(len(x)):
            is_set = (x[i] >> bit & 1).astype(bool)
            swapped = (x[0] ^ x[i]) & low
            first = np.where(is_set, x[0] ^ low, x[0] ^ swapped)
            x[i] = np.where(is_set, x[i], x[i] ^ swapped) if i else first
            x[0] = first
    for i in range(1, len(x)):
        x[i] = x[i] ^ x[i - 1]
    flip = np.zeros_like(x[0])
    for bit in reversed(range(1, n_bits)):
        flip = np.where(x[-1] >> bit & 1, flip ^ ((1 << bit) - 1), flip)
    key = np.zeros_like(x[0])
    for bit in reversed(range(n_bits)):
        for c in x:
            key = key << 1 | ((c ^ flip) >> bit & 1)
    return key
