"""Kernels composed of parts: bands of a spectrum, tiles of a strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath._types import Array
from swath.kernels._arrays import Given, Wide


def _spectrum_values(given: Given, spectrum: Array, bins: tuple[int, int]) -> NDArray[Any]:
    """Complex bins, from a complex array or from pairs of real numbers."""
    array = spectrum
    if not isinstance(array, np.ndarray) and hasattr(type(array), "__dlpack__"):
        array = np.from_dlpack(array)
    array = np.asarray(array)
    if not np.iscomplexobj(array):
        pairs = given.read(spectrum, "spectrum")
        if pairs.shape != (*bins, 2):
            given.bad_shape("spectrum", pairs, f"complex {bins}, or {(*bins, 2)}")
        return pairs[..., 0] + 1j * pairs[..., 1]
    if array.shape != bins:
        given.bad_shape("spectrum", array, f"{bins}: bins of rfft2 of (O kh, C kw)")
    return array


def _bin_groups(given: Given, groups: Any, bins: tuple[int, int], rows: int, cols: int) -> Any:
    """The group of each bin; a number of groups cuts them by radius."""
    if np.ndim(groups) > 0:
        index = np.asarray(groups)
        if index.dtype.kind not in "iu" or index.size != bins[0] * bins[1]:
            given.bad_value("groups", groups, f"a number or integers for {bins} bins")
        return index.reshape(bins)
    (n,) = given.ints(groups, 1, "groups")
    if bins[0] * bins[1] % n:
        given.bad_value("groups", groups, f"a divisor of the {bins[0] * bins[1]} bins")
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols))
    order = np.argsort(radius, axis=None, kind="stable")
    index = np.empty(radius.size, np.int64)
    index[order] = np.arange(radius.size) // (radius.size // n)
    return index.reshape(bins)


def spectral_mix(spectrum: Array, groups: Any, coeff: Array, shape: Sequence[int]) -> Any:
    """Make kernels of a spectrum whose groups of frequencies are weighted for each sample.

    ::

        matrix[n] = irfft2(sum over g of coeff[n, g] * (spectrum in group g)), of (O*kh, C*kw)
        weights[n, o, c, i, j] = matrix[n, o*kh + i, c*kw + j]

    Parameters
    ----------
    spectrum : array, shape (O*kh, C*kw//2 + 1), complex64 | complex128, or (..., 2) real
        rfft2 of the weight as a matrix.
    groups : int, or integer array of the spectrum's shape
        The group of each bin, or their number: bins sorted by radius, in groups of equal size.
    coeff : array, shape (N, groups), float32 | float64 | float16 | bfloat16
        Used as they are; the published factor (alpha) belongs into them.
    shape : (O, C, kh, kw)

    Returns
    -------
    array, shape (N, O, C, kh, kw), library and dtype of coeff
        For `swath.sample_conv2d`.

    Notes
    -----
    Chen et al., "Frequency dynamic convolution for dense image prediction", 2025.

    Examples
    --------
    >>> import numpy as np, swath
    >>> weight = np.arange(16.0).reshape(2, 2, 2, 2)
    >>> spectrum = np.fft.rfft2(weight.transpose(0, 2, 1, 3).reshape(4, 4))
    >>> mixed = swath.kernels.spectral_mix(spectrum, 4, np.ones((1, 4)), weight.shape)
    >>> bool(np.allclose(mixed[0], weight))
    True
    """
    given = Given("kernels.spectral_mix")
    o, c, kh, kw = given.ints(shape, 4, "shape")
    rows, cols = o * kh, c * kw
    bins = (rows, cols // 2 + 1)
    values = _spectrum_values(given, spectrum, bins)
    is_real = given.like is not None
    index = _bin_groups(given, groups, bins, rows, cols)
    own = given if is_real else Given(given.op)
    a = own.read(coeff, "coeff", 2)
    if index.min() < 0 or index.max() >= a.shape[1]:
        given.bad_shape("coeff", a, f"(N, {int(index.max()) + 1}) by groups")
    mixed = np.fft.irfft2(a[:, index] * values, s=(rows, cols))
    kernel = mixed.reshape(-1, o, kh, c, kw).transpose(0, 1, 3, 2, 4)
    return own.result(kernel)


def _permutations(given: Given, perms: Any, channels: int, n_tiles: int) -> list[NDArray[Any]]:
    """(repetitions, channels, tiles) for each direction."""
    is_pair = isinstance(perms, tuple) and len(perms) == 2 and np.ndim(perms[0]) >= 2
    array = perms if is_pair else np.asarray(perms)
    both = list(array) if is_pair or np.ndim(array) == 4 else [array, array]
    found = []
    for one in both:
        index = np.asarray(one)
        index = index[:, None] if index.ndim == 2 else index
        if index.ndim != 3 or index.dtype.kind not in "iu" or index.shape[2] != n_tiles:
            given.bad_value("perms", perms, f"permutations (R, {n_tiles}) or (R, C, {n_tiles})")
        if index.shape[1] not in (1, channels):
            given.bad_value("perms", perms, f"one permutation, or one for each of {channels}")
        if (np.sort(index, -1) != np.arange(n_tiles)).any():
            given.bad_value("perms", perms, f"permutations of 0 to {n_tiles - 1}")
        found.append(np.broadcast_to(index, (len(index), channels, n_tiles)))
    return found


def shiftwise(w: Array, size: int, perms: Any) -> tuple[Any, Any]:
    """Make the two strip kernels that shifted and added small tiles stand for.

    Parameters
    ----------
    w : array, shape (C, tiles, s, s) or (C*tiles, 1, s, s), any of the four dtypes
        The small depthwise kernels; tiles = ceil(size / s).
    size : int
        M, the large kernel's nominal size.
    perms : integer array, shape (R, tiles) or (R, C, tiles), or a pair of them
        R permutations, for all channels or for each; ``perms[r, c, j]`` is the tile at shift j. A
        pair has one array for each direction.

    Returns
    -------
    (k_h, k_v) : shapes (C, 1, s, s*tiles) and (C, 1, s*tiles, s)
        The tile at shift j is centred at s*j - M//2 + s//2. As depthwise convolutions with padding
        ((s//2, s//2), (M//2, s*tiles - 1 - M//2)), and with the axes swapped for k_v, they give
        what the shifted sums give, borders included.

    Notes
    -----
    Li et al., "ShiftwiseConv: small convolutional kernel with large kernel effect", 2025.

    Examples
    --------
    >>> import numpy as np, swath
    >>> tiles = np.arange(2.0).reshape(1, 2, 1, 1)
    >>> swath.kernels.shiftwise(tiles, 2, [[0, 1], [1, 0], [0, 1]])[0]
    array([[[[1., 2.]]]])
    """
    given = Given("kernels.shiftwise")
    tiles = given.read(w, "w", 4)
    s = tiles.shape[2]
    if s < 1 or tiles.shape[3] != s:
        given.bad_shape("w", tiles, "square tiles (C, tiles, s, s)")
    (m,) = given.ints(size, 1, "size")
    n_tiles = -(-m // s)
    if tiles.shape[1] == 1 and n_tiles > 1 and tiles.shape[0] % n_tiles == 0:
        tiles = tiles.reshape(-1, n_tiles, s, s)
    if tiles.shape[1] != n_tiles:
        given.bad_shape("w", tiles, f"(C, {n_tiles}, {s}, {s}) for size={m}")
    channels = np.arange(tiles.shape[0])[:, None]
    strips: list[Wide] = [
        np.asarray(sum(tiles[channels, index] for index in perm))
        for perm in _permutations(given, perms, tiles.shape[0], n_tiles)
    ]
    horizontal = strips[0].transpose(0, 2, 1, 3).reshape(-1, 1, s, s * n_tiles)
    vertical = strips[1].reshape(-1, 1, s * n_tiles, s)
    return given.result(horizontal), given.result(vertical)
