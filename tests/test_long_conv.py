"""What long convolutions promise beyond the oracle's cases: bounds, identities, random calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_long
import swath
from cases.case import numpy_dtype
from cases.long_conv import LongCase, fft_terms, gradients, long_case
from support import (
    Array,
    assert_same_bits,
    check,
    clusters,
)

RNG = np.random.default_rng(5)
SIMD = [c for c in clusters() if c != "reference"]


def _normal(*shape: int, dtype: Any = np.float32) -> Array:
    return RNG.normal(size=shape).astype(dtype)


def _relative(actual: Array, expected: Array) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


# Bounds


@pytest.mark.parametrize("cluster", SIMD)
@pytest.mark.parametrize("fill", ["normal", "constant", "impulse", "alternating"])
@pytest.mark.parametrize("n", [300, 1024, 3000, 8192])
def test_the_error_of_a_row_is_bounded_by_its_norms(n: int, fill: str, cluster: str) -> None:
    u, k = _normal(1, 2, n), _normal(2, n)
    if fill != "normal":
        u[...] = {"constant": 1, "impulse": 0, "alternating": 1}[fill]
        if fill == "impulse":
            u[..., n // 3] = 100
        if fill == "alternating":
            u[..., 1::2] = -1
    with swath.testing.force_kernel(cluster):
        y = swath.long_conv(u, k, method="fft")
    bound = swath.testing.tolerance(np.float32, fft_terms(n))
    for d in range(2):
        expected = np.convolve(u[0, d].astype(np.float64), k[d].astype(np.float64))[:n]
        error = np.linalg.norm(y[0, d] - expected)
        assert error <= bound * np.linalg.norm(u[0, d]) * np.linalg.norm(k[d]) * np.sqrt(n) / 4
        if fill == "normal":
            assert _relative(y[0, d], expected) <= 5e-7


def test_a_million_positions() -> None:
    n = 1 << 20
    u, k = _normal(1, 1, n), _normal(1, n)
    y = swath.long_conv(u, k)
    at = np.r_[0, 1, n - 1, n - 2, RNG.integers(0, n, 20)]
    wide_u, wide_k = u[0, 0].astype(np.float64), k[0].astype(np.float64)
    expected = np.array([wide_u[: t + 1] @ wide_k[t::-1] for t in at])
    assert np.linalg.norm(y[0, 0, at] - expected) <= 5e-7 * np.sqrt(n) * np.sqrt(len(at))
    partial = swath.long_conv(u, k[:, :1000])
    expected = np.array([np.dot(wide_u[t - 999 : t + 1], wide_k[999::-1]) for t in at if t > 998])
    np.testing.assert_allclose(partial[0, 0, at[at > 998]], expected, atol=1e-4)


@pytest.mark.parametrize("method", ["fft", "direct", "overlap_save"])
def test_methods_agree(method: Any) -> None:
    u, k = _normal(2, 3, 2000, dtype=np.float64), _normal(3, 300, dtype=np.float64)
    for options in ({}, {"mode": "full"}, {"mode": "same"}, {"mode": "circular"}):
        options = {**options}
        mine = swath.long_conv(u, k, method=method, **options)
        np.testing.assert_allclose(mine, swath.long_conv(u, k, **options), atol=1e-11)


def test_direct_sums_keep_the_past_and_nan_in_their_places() -> None:
    u, k = _normal(2, 3, 500), _normal(3, 9)
    clean = swath.long_conv(u, k)
    dirty = u.copy()
    dirty[1, 1, 200] = np.nan
    found = swath.long_conv(dirty, k)
    changed = np.isnan(found)
    assert changed[1, 1, 200:209].all()
    assert changed.sum() == 9
    assert_same_bits(found[~changed], clean[~changed])


def test_a_nan_spoils_its_row_only_in_fft_methods() -> None:
    u, k = _normal(2, 3, 500), _normal(3, 500)
    clean = swath.long_conv(u, k)
    u[1, 1, 200] = np.nan
    found = swath.long_conv(u, k)
    keep = np.ones((2, 3), bool)
    keep[1, 1] = False
    assert_same_bits(found[keep], clean[keep])
    assert np.isnan(found[1, 1, 200:]).all()


# Identities


def test_convolutions_commute_and_shift() -> None:
    a, b = _normal(1, 1, 400, dtype=np.float64), _normal(1, 400, dtype=np.float64)
    one = swath.long_conv(a, b)
    np.testing.assert_allclose(one, swath.long_conv(b[None], a[0]), atol=1e-12)
    moved = np.concatenate([np.zeros((1, 1, 5)), a[..., :-5]], -1)
    np.testing.assert_allclose(swath.long_conv(moved, b)[..., 5:], one[..., :-5], atol=1e-12)


def test_chunks_add_up() -> None:
    u, k = _normal(1, 2, 1000, dtype=np.float64), _normal(2, 300, dtype=np.float64)
    total = np.zeros((1, 2, 1299))
    for start in range(0, 1000, 250):
        part = swath.long_conv(u[..., start : start + 250], k, mode="full")
        total[..., start : start + part.shape[2]] += part
    np.testing.assert_allclose(swath.long_conv(u, k, mode="full"), total, atol=1e-12)


def test_masks_of_ones_and_full_masks() -> None:
    u, k = _normal(1, 2, 100), _normal(2, 60)
    plain = swath.long_conv(u, k)
    for mask in (None, np.ones(101, bool), np.ones(200)):
        np.testing.assert_allclose(
            swath.long_conv(u, k, freq_mask=mask, n_fft=200), plain, atol=2e-5
        )
    half = RNG.random(101)
    full = np.r_[half, half[-2:0:-1]]
    assert_same_bits(
        swath.long_conv(u, k, freq_mask=half, n_fft=200),
        swath.long_conv(u, k, freq_mask=full, n_fft=200),
    )
    low = np.arange(101) <= 0.1 * 200
    assert_same_bits(
        swath.long_conv(u, k, freq_mask=low, n_fft=200),
        swath.long_conv(u, k, freq_mask=("lowpass", 0.1), n_fft=200),
    )


# Random calls


@st.composite
def _calls(draw: st.DrawFn) -> tuple[LongCase, str]:
    h, per = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    length, n_taps = draw(st.integers(0, 400)), draw(st.integers(1, 450))
    mode = draw(st.sampled_from(["causal", "same", "full", "valid", "circular", "two_sided"]))
    options: dict[str, Any] = {"mode": mode}
    if mode == "circular":
        length = max(length, 1)
        n_taps = min(n_taps, length)
    if mode == "two_sided":
        options["offset"] = draw(st.integers(-500, 500))
    if mode in ("same", "two_sided"):
        options["correlate"] = draw(st.booleans())
    if mode == "causal" and length and draw(st.integers(0, 3)) == 0:
        options["n_fft"] = max(length, n_taps) + draw(st.integers(0, 30))
        options["freq_mask"] = np.arange(options["n_fft"] // 2 + 1) % 3 > 0
    options["method"] = draw(st.sampled_from(["auto", "fft", "direct", "overlap_save"]))
    options["head_map"] = draw(st.sampled_from(["blocked", "interleaved"]))
    options["layout"] = draw(st.sampled_from(["channels_first", "channels_last"]))
    extras = draw(st.sets(st.sampled_from(["bias", "pre_gate", "post_gate"])))
    name, batch = f"random_{draw(st.integers(0, 99))}", draw(st.integers(0, 3))
    case = long_case(name, (batch, h * per, length), (h, n_taps), *sorted(extras), **options)
    return case, draw(st.sampled_from(["f32", "f64", "f16", "bf16"]))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_calls())
def test_random_calls_match_the_oracle(drawn: tuple[LongCase, str]) -> None:
    case, dtype = drawn
    arrays = case.inputs(dtype)
    check(case, case.run(swath, arrays), arrays)
    if 0 in case.x or case.x[-1] * case.weight[1] > 40_000:  # type: ignore[index]
        return
    for gradient in gradients(case)[:2]:
        given_arrays = gradient.inputs(dtype)
        check(gradient, gradient.run(swath, given_arrays), given_arrays)


def test_the_oracle_agrees_with_numpy() -> None:
    u, k = RNG.normal(size=37), RNG.normal(size=12)
    full = np.convolve(u, k)
    for mode, expected in {"full": full, "same": full[5:42], "valid": full[11:37]}.items():
        np.testing.assert_allclose(oracle_long.matrix(37, k, mode=mode) @ u, expected, atol=1e-12)
    mask = RNG.random(26)
    wrapped = np.fft.irfft(mask * np.fft.rfft(k, 50) * np.fft.rfft(u, 50), 50)[:37]
    mine = oracle_long.matrix(37, k, freq_mask=mask, n_fft=50) @ u
    np.testing.assert_allclose(mine, wrapped, atol=1e-12)
    assert numpy_dtype("f32") == np.float32
