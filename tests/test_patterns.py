"""Patterns: masks against the rules pair by pair, and the compiled engine against the masks."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

import swath
from bad_call import BadCall
from bad_calls_attention import PATTERNS
from oracle_attention import with_grid
from support import Array
from swath import patterns as P

BORDERS = ("shift", "clip", "wrap")


def seen_by_engine(pattern: Any, n: int, dtype: Any = np.float32, **kwargs: Any) -> Array:
    """The mask that attention uses: equal logits, and values that name their key."""
    q = np.zeros((1, 1, n, 1), dtype)
    v = np.eye(n, dtype=dtype)[None, None]
    return np.asarray(swath.attention(q, q, v, pattern=pattern, **kwargs)[0, 0] > 0)


def window_of(i: int, n: int, k: int, d: int, s: int, causal: bool, border: str) -> set[int]:
    """The keys of one query on one axis, by the text of the specification."""
    phase, p = i % d, i // d
    places = list(range(phase, n, d))
    if causal:
        leader = min(p // s * s + s - 1, len(places) - 1)
        return {places[u] for u in range(max(leader - k + 1, 0), p + 1)}
    leader = min(p // s * s + s // 2, len(places) - 1)
    start = leader - k // 2
    if border == "shift":
        start = min(max(start, 0), len(places) - k)
    units = range(start, start + k)
    if border == "wrap":
        return {places[u % len(places)] for u in units}
    return {places[u] for u in units if 0 <= u < len(places)}


def all_neighborhoods(n: int) -> Any:
    for d in range(1, n + 1):
        for k in range(1, n // d + 1):
            for s, causal, border in itertools.product(range(1, k + 1), (False, True), BORDERS):
                if border == "wrap" and n % d and not causal:
                    continue
                yield k, d, s, causal, border


@pytest.mark.parametrize("n", range(1, 20))
def test_every_short_neighborhood(n: int) -> None:
    for k, d, s, causal, border in all_neighborhoods(n):
        pattern = P.Neighborhood(k, d, s, causal, border, grid=n)
        expected = np.zeros((n, n), bool)
        for i in range(n):
            expected[i, list(window_of(i, n, k, d, s, causal, border))] = True
        mask = pattern.to_mask()
        assert (mask == expected).all(), pattern
        if border == "shift" and not causal:
            assert (mask.sum(1) == k).all()
        if (k + d + s) % 3 == n % 3 or n < 9:
            assert (seen_by_engine(pattern, n) == expected).all(), pattern


@pytest.mark.parametrize("border", BORDERS)
def test_neighborhoods_of_two_axes_are_products(border: str) -> None:
    pattern = P.Neighborhood((3, 2), (1, 2), (2, 1), (False, False), border, grid=(5, 6))
    rows = [window_of(i, 5, 3, 1, 2, False, border) for i in range(5)]
    columns = [window_of(i, 6, 2, 2, 1, False, border) for i in range(6)]
    for (y, x), (ky, kx) in itertools.product(np.ndindex(5, 6), np.ndindex(5, 6)):
        expected = ky in rows[y] and kx in columns[x]
        assert pattern.to_mask()[y * 6 + x, ky * 6 + kx] == expected
    assert (seen_by_engine(pattern, 30) == pattern.to_mask()).all()


@pytest.mark.parametrize("radius", [0.5, 1, 1.5, 2, 2.9, 7, 100])
def test_disks_are_strict(radius: float) -> None:
    grid = (4, 7)
    pattern = P.Disk(radius, grid=grid)
    for (i, a), (j, b) in itertools.product(enumerate(np.ndindex(grid)), repeat=2):
        expected = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) < radius**2
        assert pattern.to_mask()[i, j] == expected
    assert (seen_by_engine(pattern, 28) == pattern.to_mask()).all()


def swin_mask(n: int, size: int, shift: int) -> Array:
    """As published: roll by -shift, number the regions, compare, roll back."""
    region = np.zeros(n, int)
    for i, cut in enumerate((slice(0, -size), slice(-size, -shift), slice(-shift, None))):
        region[cut] = i
    window = np.arange(n) // size
    same = (window[:, None] == window) & (region[:, None] == region)
    return np.roll(same, (shift, shift), (0, 1))


@pytest.mark.parametrize(("n", "size", "shift"), [(12, 4, 2), (14, 7, 3), (6, 3, 1), (8, 8, 4)])
def test_windows_are_those_of_swin(n: int, size: int, shift: int) -> None:
    pattern = P.Window(size, shift, grid=n)
    assert (pattern.to_mask() == swin_mask(n, size, shift)).all()
    assert (seen_by_engine(pattern, n) == pattern.to_mask()).all()
    finite = P.Window(size, shift, -100.0, grid=n)
    across = (finite.to_bias() == -100) & finite.to_mask()
    assert (finite.to_mask() & ~across == pattern.to_mask()).all()


def test_a_halo_of_zero_is_a_window() -> None:
    assert (P.Halo(4, 0, grid=(9, 6)).to_mask() == P.Window(4, grid=(9, 6)).to_mask()).all()


OTHERS: list[tuple[Any, int]] = [
    (P.Dense(), 9),
    (P.Causal(), 33),
    (P.Window1D(3, None), 40),
    (P.Window1D(0, 0, n_prefix=3), 20),
    (P.Halo((3, 2), (1, 2), grid=(7, 5)), 35),
    (P.Window((3, 4), (1, 2), grid=(7, 9)), 63),
    (P.Window((3, 4), (1, 2), grid=(7, 9), n_prefix=6), 69),
    (P.Neighborhood((3, 3), 2, grid=(6, 7), n_prefix=17), 59),
    (P.Neighborhood((2, 3, 3), border="wrap", grid=(3, 4, 5)), 60),
    (P.Segments((0, 7, 9), np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1]]) > 0), 16),
    (P.Grouped(3, 4, -7), 43),
    (P.VarLen((0, 5, 5, 30), (0, 2, 9, 30)), 30),
    (P.from_mask(np.random.default_rng(1).random((50, 50)) < 0.1), 50),
    (P.from_mask(np.random.default_rng(1).random((41, 41)) < 0.1, n_prefix=9), 50),
    (P.Neighborhood(3, grid=(5, 6)) | P.Window1D(0, 4) | P.Disk(2.5, grid=(5, 6)), 30),
    (P.Dense(n_prefix=2) | P.Causal(), 30),
]


@pytest.mark.parametrize(("pattern", "n"), OTHERS, ids=[repr(p)[:60] for p, _ in OTHERS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_engine_sees_what_the_mask_says(pattern: Any, n: int, dtype: Any) -> None:
    assert (seen_by_engine(pattern, n, dtype) == pattern.to_mask(n, n)).all()
    assert pattern.density(n, n) == pytest.approx(pattern.to_mask(n, n).mean())


def test_a_union_is_wider_than_its_map_of_keys() -> None:
    n = 9000
    pattern = P.Window1D(3, 0) | P.Segments((8, n - 8), np.array([[1, 1], [1, 0]]) > 0)
    q = np.zeros((1, 1, n, 1), np.float32)
    v = np.arange(n, dtype=np.float32).reshape(q.shape)
    y = swath.attention(q, q, v, pattern=pattern)[0, 0, :, 0]
    assert y[:8] == pytest.approx((n - 1) / 2, rel=1e-5)
    assert y[-1] == pytest.approx((28 + 4 * n - 10) / 12, rel=1e-5)


def test_causal_calls_exempt_the_prefix() -> None:
    pattern = P.Window1D(None, None, n_prefix=3)
    mask = seen_by_engine(pattern, 9, causal=True)
    expected = np.tril(np.ones((9, 9), bool))
    expected[:3] = expected[:, :3] = True
    assert (mask == expected).all()


def test_patterns_are_values() -> None:
    for pattern, n in OTHERS:
        twin = pickle.loads(pickle.dumps(pattern))
        assert (twin.to_mask(n, n) == pattern.to_mask(n, n)).all()
        assert repr(copy.copy(pattern)) == repr(pattern)
        with pytest.raises(AttributeError):
            pattern.grid = (3,)


def test_the_grid_is_that_of_q_unless_given() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 6, 7, 4)).astype(np.float32)
    flat = x.reshape(1, 2, 42, 4)
    pattern = P.Neighborhood(3)
    on_grid = swath.attention(x, x, x, pattern=pattern)
    given = swath.attention(flat, flat, flat, pattern=with_grid(pattern, (6, 7)))
    assert (on_grid.reshape(given.shape) == given).all()
    assert math.prod(on_grid.shape) == given.size


@pytest.mark.parametrize("bad", PATTERNS, ids=str)
def test_bad_patterns_raise_their_class(bad: BadCall) -> None:
    args, kwargs = bad.call()
    with pytest.raises(getattr(swath, bad.error)) as caught:
        attrgetter(bad.function)(swath)(*args, **kwargs)
    assert str(caught.value).startswith(f"{bad.function}: ")
    assert caught.value.op == bad.function
    assert caught.value.arg == bad.arg
