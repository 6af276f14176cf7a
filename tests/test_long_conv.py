"""What long convolutions promise beyond the oracle's cases: bounds, bits, plans, gradients."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_long
import swath
from cases import CASES
from cases.case import numpy_dtype
from cases.long_conv import ALL, LongCase, fft_terms, gradients, long_case
from support import (
    VIEWS,
    Array,
    assert_same_bits,
    between_forbidden_pages,
    check,
    clusters,
    guarded,
    outside_untouched,
    require,
)

THREADS = (1, 2, 3, 7)
RNG = np.random.default_rng(5)
SIMD = [c for c in clusters() if c != "reference"]


@pytest.fixture(autouse=True)
def _many_threads() -> Iterator[None]:
    """`threads=` only lowers the number of the process, which a small machine may have at 2."""
    swath.set_num_threads(max(THREADS))
    yield
    swath.set_num_threads(os.cpu_count() or 1)


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


# Bits

_LARGE = [
    long_case("rows", (3, 20, 3000), (20, 3000), *ALL),
    long_case("few_rows", (1, 2, 70_001), (2, 70_001), "skip"),
    long_case("segments", (1, 3, 40_000), (3, 700), *ALL, method="overlap_save"),
    long_case("direct", (3, 20, 3000), (20, 11), *ALL),
    long_case("one_head", (6, 8, 2000), (1, 1500), *ALL),
    long_case("masked", (2, 6, 900), (3, 700), n_fft=2000, freq_mask=np.arange(1001) < 200),
    long_case("last", (3, 20, 3000), (20, 3000), *ALL, layout="channels_last"),
]
_LARGE = [replace(c, x=c.x) for c in _LARGE]


def _inputs(case: LongCase, dtype: str) -> dict[str, Array]:
    return case.inputs(dtype)


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("case", _LARGE, ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: LongCase, dtype: str) -> None:
    arrays = _inputs(case, dtype)
    dy = np.ascontiguousarray(case.run(swath, arrays))
    first = case.run(swath, arrays, threads=1)
    grads = swath.grad.long_conv(dy, **arrays, **case.kwargs, threads=1)
    for n in THREADS[1:]:
        assert_same_bits(case.run(swath, arrays, threads=n), first)
        for a, b in zip(
            swath.grad.long_conv(dy, **arrays, **case.kwargs, threads=n), grads, strict=True
        ):
            assert (a is None) == (b is None)
            if a is not None:
                assert_same_bits(a, b)


@pytest.mark.parametrize("case", _LARGE, ids=str)
def test_a_sample_does_not_depend_on_its_batch(case: LongCase) -> None:
    arrays = _inputs(case, "f32")
    together = case.run(swath, arrays)
    dy = np.ascontiguousarray(together)
    du = swath.grad.long_conv(dy, **arrays, **case.kwargs, needs=("u",)).du
    for i in range(case.x[0]):
        one = {k: a[i : i + 1] if a.ndim == 3 else a for k, a in arrays.items()}
        assert_same_bits(case.run(swath, one), together[i : i + 1])
        alone = swath.grad.long_conv(dy[i : i + 1], **one, **case.kwargs, needs=("u",)).du
        assert_same_bits(alone, du[i : i + 1])


_VIEWED = [c for c in CASES["long_conv"] if c.id in (
    "few_taps", "prime", "full", "correlate", "circular_prime", "masked", "by_segments",
    "prime_channels_last",
)]  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", _VIEWED, ids=str)
def test_views_of_any_stride(case: LongCase, view: str) -> None:
    for dtype in ("f32", "bf16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        seen = {k: VIEWS[view](a) for k, a in arrays.items()}
        assert_same_bits(case.run(swath, seen), expected)
        dy = np.ascontiguousarray(expected)
        grads = swath.grad.long_conv(dy, **arrays, **case.kwargs)
        for a, b in zip(
            swath.grad.long_conv(VIEWS[view](dy), **seen, **case.kwargs), grads, strict=True
        ):
            if a is not None:
                assert_same_bits(a, b)


def test_broadcast_inputs_of_stride_zero() -> None:
    k, row = _normal(4, 60), _normal(60)
    u = np.broadcast_to(row, (3, 4, 60))
    assert_same_bits(swath.long_conv(u, k), swath.long_conv(u.copy(), k))
    same = np.broadcast_to(k[:1], (4, 60))
    assert_same_bits(swath.long_conv(u, same), swath.long_conv(u, same.copy()))


@pytest.mark.parametrize("flush", ["start", "end"])
@pytest.mark.parametrize("case", _VIEWED, ids=str)
def test_no_read_outside(case: LongCase, flush: str) -> None:
    for dtype in ("f32", "f16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        dy = np.ascontiguousarray(expected)
        with between_forbidden_pages({**arrays, "dy": dy}, flush=flush) as seen:
            gradient = seen.pop("dy")
            assert_same_bits(case.run(swath, seen), expected)
            swath.grad.long_conv(gradient, **seen, **case.kwargs)


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("case", _VIEWED, ids=str)
def test_writes_only_into_out(case: LongCase, gap: int) -> None:
    for dtype in ("f32", "f16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        out, whole = guarded(expected.shape, dtype, gap=gap)
        assert case.run(swath, arrays, out=out) is out
        assert_same_bits(out, expected)
        assert outside_untouched(out, whole)


# Gradients

_DIFFERENCES = [
    long_case("causal", (2, 4, 9), (2, 12), *ALL),
    long_case("interleaved", (2, 4, 9), (2, 4), *ALL, head_map="interleaved"),
    long_case("full", (2, 2, 7), (2, 4), "bias", "pre_gate", "post_gate", mode="full"),
    long_case("valid", (2, 2, 9), (2, 4), "bias", "pre_gate", "post_gate", mode="valid"),
    long_case("same", (2, 2, 8), (2, 5), *ALL, mode="same", correlate=True),
    long_case("two_sided", (2, 2, 8), (2, 5), *ALL, mode="two_sided", offset=6),
    long_case("circular", (2, 2, 8), (2, 5), *ALL, mode="circular"),
    long_case("masked", (2, 2, 8), (2, 5), *ALL, n_fft=11, freq_mask=np.arange(6) / 5),
]


@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("case", _DIFFERENCES, ids=str)
def test_gradients_are_differences(case: LongCase, method: Any) -> None:
    arrays = case.inputs("f64")
    options = {**case.kwargs, "method": method}
    dy = RNG.normal(size=case.run(swath, arrays).shape)
    found = swath.grad.long_conv(dy, **arrays, **options)._asdict()
    for name, array in arrays.items():
        gradient = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            value = array[at]
            array[at] = value + 1e-5
            above = (dy * swath.long_conv(**arrays, **options)).sum()
            array[at] = value - 1e-5
            gradient[at] = (above - (dy * swath.long_conv(**arrays, **options)).sum()) / 2e-5
            array[at] = value
        np.testing.assert_allclose(found[f"d{name}"], gradient, rtol=1e-6, atol=1e-8)


def test_gradients_are_those_of_autograd() -> None:
    torch = require("torch")
    arrays = {
        "u": _normal(2, 6, 90), "k": _normal(3, 70), "skip": _normal(6), "bias": _normal(6),
        "pre_gate": _normal(2, 6, 90), "post_gate": _normal(2, 6, 90),
    }  # fmt: skip
    t = {k: torch.tensor(a, dtype=torch.float64, requires_grad=True) for k, a in arrays.items()}
    v = t["u"] * t["pre_gate"]
    spectrum = torch.fft.rfft(t["k"].repeat_interleave(2, 0), n=200)
    c = torch.fft.irfft(torch.fft.rfft(v, n=200) * spectrum, n=200)[..., :90]
    y = t["post_gate"] * (c + t["skip"][:, None] * v + t["bias"][:, None])
    dy = torch.tensor(_normal(2, 6, 90), dtype=torch.float64)
    y.backward(dy)
    given = {k: x.detach() for k, x in t.items()}
    mine = swath.long_conv(**given)
    assert isinstance(mine, torch.Tensor)
    torch.testing.assert_close(mine, y.detach(), rtol=1e-11, atol=1e-11)
    found = swath.grad.long_conv(dy, **given)
    for name, gradient in found._asdict().items():
        torch.testing.assert_close(gradient, t[name[1:]].grad, rtol=1e-10, atol=1e-10)


def test_taps_beyond_the_row_have_no_gradient() -> None:
    u, k = _normal(2, 3, 20), _normal(3, 50)
    dk = swath.grad.long_conv(_normal(2, 3, 20), u, k).dk
    assert (dk[:, 20:] == 0).all()
    assert (dk[:, :20] != 0).all()


def test_needs_skips_the_rest() -> None:
    u, k = _normal(2, 3, 20), _normal(3, 50)
    grads = swath.grad.long_conv(u, u, k, needs=("k",))
    assert [name for name, g in grads._asdict().items() if g is not None] == ["dk"]
    assert swath.grad.long_conv(u, u, k, skip=_normal(3)).dbias is None


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


# Plans

_PLANNED = [
    c
    for c in CASES["long_conv"]
    if isinstance(c, LongCase) and not c.result and c.fill == "normal" and 0 not in c.x
][::3]


def _plan(case: LongCase, arrays: dict[str, Array], **more: Any) -> tuple[Any, dict[str, Array]]:
    given = dict(arrays)
    constant = {n: given.pop(n) for n in ("skip", "bias") if n in given}
    options = dict(case.kwargs)
    if options.get("mode") == "circular" and "freq_mask" in options:
        more["length"] = case.x[-1]
    return swath.LongConv(given.pop("k"), **constant, **options, **more), given


@pytest.mark.parametrize("case", _PLANNED, ids=str)
def test_plan_equals_function(case: LongCase) -> None:
    for dtype in ("f32", "bf16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        plan, given = _plan(case, arrays)
        assert_same_bits(plan(**given), expected)
        assert_same_bits(plan(**given), expected)
        twins = (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan)))
        for twin in twins:
            assert_same_bits(twin(**given), expected)
            assert repr(twin) == repr(plan)


@pytest.mark.parametrize("cluster", SIMD)
def test_a_plan_follows_a_forced_kernel(cluster: str) -> None:
    u, k = _normal(1, 2, 600), _normal(2, 600)
    plan = swath.LongConv(k, length=600)
    with swath.testing.force_kernel(cluster):
        assert_same_bits(plan(u), swath.long_conv(u, k))
    assert_same_bits(plan(u), swath.long_conv(u, k))


def test_a_plan_serves_many_threads_and_lengths() -> None:
    k = _normal(3, 500)
    plan = swath.LongConv(k)
    inputs = [_normal(2, 3, n) for n in (10, 300, 500, 777, 1200, 2000)] * 4
    expected = [swath.long_conv(u, k) for u in inputs]
    with ThreadPoolExecutor(4) as pool:
        for mine, theirs in zip(pool.map(plan, inputs), expected, strict=True):
            assert_same_bits(mine, theirs)


def test_a_plan_keeps_its_taps_and_counts() -> None:
    u, k = _normal(1, 2, 1024), _normal(2, 1024)
    plan = swath.LongConv(k, length=1024)
    expected = plan(u)
    k[...] = np.nan
    assert_same_bits(plan(u), expected)
    # Two transforms of 1024 elements a row, 5 n log2 n each, and the product.
    assert plan.flops(u.shape) == 2 * (2 * 5 * 1024 * 10 + 6 * 1024)
    assert plan.bytes(u.shape) == 4 * (2 * u.size + k.size)
    assert plan.workspace_bytes(u.shape) > 2 * 1024 * 4
    assert "_fft" in plan.explain(u).kernel
    with pytest.raises(AttributeError):
        plan.mode = "full"
    with pytest.raises(TypeError):
        swath.LongConv.__new__(swath.LongConv)(u)


def test_the_spectrum_is_that_of_rfft() -> None:
    k = _normal(3, 100)
    plan = swath.LongConv(k)
    assert plan.n_fft == 200
    assert plan.spectrum.dtype == np.complex64
    np.testing.assert_allclose(plan.spectrum, np.fft.rfft(k, 200), atol=1e-4)
    assert swath.LongConv(k, length=301).n_fft == 400
    assert swath.LongConv(k.astype(np.float64)).spectrum.dtype == np.complex128
    masked = swath.LongConv(k, n_fft=256, freq_mask=np.arange(129) < 40)
    np.testing.assert_allclose(
        masked.spectrum, np.fft.rfft(k, 256) * (np.arange(129) < 40), atol=1e-4
    )
    again = swath.LongConv.from_spectrum(plan.spectrum, taps=100)
    u = _normal(2, 3, 150)
    np.testing.assert_allclose(again(u), plan(u), atol=1e-4)


def test_explain_names_the_method() -> None:
    u = _normal(1, 2, 4096)
    few = swath.info.explain(swath.long_conv, u, _normal(2, 8))
    many = swath.info.explain(swath.long_conv, u, _normal(2, 4096))
    assert few.kernel.endswith("_direct")
    assert many.kernel.endswith("_fft")
    assert many.op == "long_conv"


def test_overlap_save_takes_memory_of_the_taps_alone() -> None:
    plan = swath.LongConv(_normal(1, 1000))
    assert plan.workspace_bytes((1, 1, 1 << 20)) == plan.workspace_bytes((1, 1, 1 << 22))
    assert plan.workspace_bytes((1, 1, 1 << 20)) < 1 << 20


# Random calls


@st.composite
def _calls(draw: st.DrawFn) -> tuple[LongCase, str]:
    integers = lambda a, b: draw(st.integers(a, b))  # noqa: E731
    h, per = integers(1, 3), integers(1, 3)
    length, n_taps = integers(0, 400), integers(1, 450)
    mode = draw(st.sampled_from(["causal", "same", "full", "valid", "circular", "two_sided"]))
    options: dict[str, Any] = {"mode": mode}
    if mode == "circular":
        length = max(length, 1)
        n_taps = min(n_taps, length)
    if mode == "two_sided":
        options["offset"] = integers(-500, 500)
    if mode in ("same", "two_sided"):
        options["correlate"] = draw(st.booleans())
    if mode == "causal" and length and integers(0, 3) == 0:
        options["n_fft"] = max(length, n_taps) + integers(0, 30)
        options["freq_mask"] = np.arange(options["n_fft"] // 2 + 1) % 3 > 0
    options["method"] = draw(st.sampled_from(["auto", "fft", "direct", "overlap_save"]))
    options["head_map"] = draw(st.sampled_from(["blocked", "interleaved"]))
    options["layout"] = draw(st.sampled_from(["channels_first", "channels_last"]))
    extras = draw(st.sets(st.sampled_from(["bias", "pre_gate", "post_gate"])))
    name = f"random_{integers(0, 99)}"
    case = long_case(
        name, (integers(0, 3), h * per, length), (h, n_taps), *sorted(extras), **options
    )
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
