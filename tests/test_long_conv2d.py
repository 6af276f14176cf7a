"""Properties of long_conv2d and band_split, their gradients and their independence of the batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_long2d
import swath
from cases.case import numpy_dtype
from cases.long_conv2d import BandCase, LongCase
from support import VIEWS, Array, assert_close_to, assert_same_bits, check, clusters, require

RNG = np.random.default_rng(85)
MODES = ("same", "circular", "full")


@pytest.fixture(autouse=True)
def _many_threads() -> Iterator[None]:
    swath.set_num_threads(7)
    yield
    swath.set_num_threads(os.cpu_count() or 1)


def _normal(*shape: int, dtype: Any = np.float64) -> Array:
    return RNG.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("n", [*range(1, 33), 49, 61, 64, 67, 77, 81, 97, 121, 125, 127, 210, 243])
def test_transforms_of_every_length_agree_with_numpy(n: int) -> None:
    """A circular convolution with a kernel of full size is the plain product of spectra."""
    u, k = _normal(1, n, 5), _normal(1, n, 5)
    expected = np.fft.irfft2(np.fft.rfft2(u) * np.fft.rfft2(k), s=(n, 5))
    y = swath.long_conv2d(u, k, mode="circular", method="fft")
    scale = np.linalg.norm(u) * np.linalg.norm(k)
    assert abs(y - expected).max() < 1e-15 * scale
    turned = swath.long_conv2d(
        u.transpose(0, 2, 1), k.transpose(0, 2, 1), mode="circular", method="fft"
    )
    assert abs(turned.transpose(0, 2, 1) - expected).max() < 1e-15 * scale


@pytest.mark.parametrize("n", [256, 1000, 1021, 4096])
def test_the_error_of_a_long_transform_is_a_few_ulp(n: int) -> None:
    u, k = _normal(1, 2, n, dtype=np.float32), _normal(1, 2, n, dtype=np.float32)
    wide = [a.astype(np.float64) for a in (u, k)]
    expected = np.fft.irfft2(np.fft.rfft2(wide[0]) * np.fft.rfft2(wide[1]), s=(2, n))
    for cluster in [c for c in clusters() if c != "reference"]:
        with swath.testing.force_kernel(cluster):
            y = swath.long_conv2d(u, k, mode="circular", method="fft")
        assert np.linalg.norm(y - expected) < 5e-7 * np.linalg.norm(expected)


@pytest.mark.parametrize("mode", ["same", "full"])
def test_same_as_scipy(mode: str) -> None:
    signal = require("scipy.signal")
    for size in ((9, 12), (8, 5)):
        for taps in ((3, 4), (7, 7), (8, 5)):
            u, k = _normal(2, 3, *size), _normal(3, *taps)
            expected = signal.fftconvolve(u, k[None], mode=mode, axes=(2, 3))
            for method in ("fft", "direct", "auto"):
                y = swath.long_conv2d(u, k, mode=mode, method=method)
                np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["fft", "direct"])
@pytest.mark.parametrize("mode", MODES)
def test_gradients_match_finite_differences(mode: str, method: str) -> None:
    u, k = _normal(3, 2, 7, 6), _normal(2, 4, 5)
    options = {"mode": mode, "method": method}
    y = swath.long_conv2d(u, k, **options)
    dy = _normal(*y.shape)
    du, dk = swath.grad.long_conv2d(dy, u, k, **options)
    for of, gradient in (("u", du), ("k", dk)):
        arrays = {"u": u, "k": k}
        step = _normal(*arrays[of].shape)
        ahead = swath.long_conv2d(**{**arrays, of: arrays[of] + 0.5 * step}, **options)
        behind = swath.long_conv2d(**{**arrays, of: arrays[of] - 0.5 * step}, **options)
        expected = ((ahead - behind) * dy).sum()  # linear: no step is too large
        np.testing.assert_allclose((gradient * step).sum(), expected, rtol=1e-11)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_match_torch(mode: str) -> None:
    torch = require("torch")
    u = torch.from_numpy(_normal(2, 3, 9, 8)).requires_grad_()
    k = torch.from_numpy(_normal(3, 5, 6)).requires_grad_()
    n = (9, 8) if mode == "circular" else (14, 14)
    full = torch.fft.irfft2(torch.fft.rfft2(u, s=n) * torch.fft.rfft2(k, s=n), s=n)
    y = {"same": full[..., 2:11, 2:10], "circular": full, "full": full[..., :13, :13]}[mode]
    dy = torch.from_numpy(_normal(*y.shape))
    y.backward(dy)
    plain = u.detach(), k.detach()
    for method in ("fft", "direct"):
        options = {"mode": mode, "method": method}
        found = swath.long_conv2d(*plain, **options)
        torch.testing.assert_close(found, y.detach(), rtol=0, atol=1e-12)
        du, dk = swath.grad.long_conv2d(dy, *plain, **options)
        torch.testing.assert_close(du, u.grad, rtol=0, atol=1e-12)
        torch.testing.assert_close(dk, k.grad, rtol=0, atol=1e-11)


def test_bands_gradient_matches_torch() -> None:
    torch = require("torch")
    x = torch.from_numpy(_normal(2, 10, 9)).requires_grad_()
    cutoffs = (0.3, 0.12)
    spectrum = torch.fft.rfft2(x)
    masks = [
        torch.from_numpy(oracle_long2d.frequencies(10, 9, "radius") <= c).to(torch.float64)
        for c in cutoffs
    ]
    lows = [torch.fft.irfft2(spectrum * m, s=(10, 9)) for m in masks]
    bands = [x - lows[0], lows[0] - lows[1], lows[1]]
    dys = [torch.from_numpy(_normal(2, 10, 9)) for _ in bands]
    sum((b * d).sum() for b, d in zip(bands, dys, strict=True)).backward()
    for found, expected in zip(
        swath.band_split(x.detach(), cutoffs, metric="radius"), bands, strict=True
    ):
        torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-13)
    (dx,) = swath.grad.band_split(dys, x.detach(), cutoffs, metric="radius")
    torch.testing.assert_close(dx, x.grad, rtol=0, atol=1e-13)
    (dx,) = swath.grad.band_split(torch.stack(dys), x.detach(), cutoffs, metric="radius")
    torch.testing.assert_close(dx, x.grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "bf16"])
@pytest.mark.parametrize("metric", ["max", "radius"])
def test_bands_sum_to_x_and_are_projections(dtype: str, metric: str) -> None:
    x = _normal(2, 3, 30, 22).astype(numpy_dtype(dtype))
    eps = {"f32": 2.0**-23, "f64": 2.0**-52, "f16": 2.0**-10, "bf16": 2.0**-7}[dtype]
    cutoffs = (0.35, 0.2, 0.05)
    bands = swath.band_split(x, cutoffs, metric=metric)
    assert [b.dtype for b in bands] == [x.dtype] * 4
    wide = [b.astype(np.float64) for b in bands]
    # half an ulp of each band, and of each of the sums with as many terms
    accumulator_eps = 2.0**-52 if dtype == "f64" else 2.0**-23
    bound = eps / 2 * sum(abs(b) for b in wide) + 4 * accumulator_eps * abs(wide[-1] + 4).max()
    assert (abs(sum(wide) - x.astype(np.float64)) <= bound).all()
    for i, band in enumerate(bands):
        again = swath.band_split(band, cutoffs, metric=metric)
        for j, part in enumerate(again):
            expected = wide[i] if i == j else 0 * wide[i]
            assert abs(part.astype(np.float64) - expected).max() < 6 * eps


def test_a_cutoff_that_hits_a_bin_keeps_it() -> None:
    for n in (49, 98, 103):  # k * (1 / n) is not k / n here
        for cutoff in np.fft.rfftfreq(n)[1 :: n // 10]:
            x = _normal(1, n)
            low = swath.band_split(x, [float(cutoff)])[1]
            np.testing.assert_allclose(
                low, oracle_long2d.low_pass(x, float(cutoff), "max"), rtol=0, atol=1e-14
            )


LONG_CALLS = [
    LongCase("same", "long_conv2d", (5, 9, 20, 31), None, {"method": "fft"}, u=(5, 9, 20, 31),
             k=(9, 11, 20)),
    LongCase("circular", "long_conv2d", (3, 20, 16, 12), None,
             {"method": "fft", "mode": "circular"}, u=(3, 20, 16, 12), k=(20, 16, 12)),
]  # fmt: skip
BAND_CALL = BandCase("bands", "band_split", (4, 25, 20, 31), None, {}, cutoffs=(0.3, 0.1))


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("case", [*LONG_CALLS, BAND_CALL], ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: Any, dtype: str) -> None:
    arrays = case.inputs(dtype)
    for cluster in [c for c in clusters() if c != "reference"]:
        with swath.testing.force_kernel(cluster):
            first = case.run(swath, arrays, threads=1)
            for n in (2, 3, 7):
                assert_same_bits(case.run(swath, arrays, threads=n), first)


@pytest.mark.parametrize("method", ["fft", "direct"])
def test_gradients_have_the_same_bits_for_any_number_of_threads(method: str) -> None:
    u, k = _normal(40, 6, 12, 9, dtype=np.float32), _normal(6, 5, 4, dtype=np.float32)
    first = swath.grad.long_conv2d(u, u, k, method=method, threads=1)
    for n in (2, 7):
        again = swath.grad.long_conv2d(u, u, k, method=method, threads=n)
        assert_same_bits(again.du, first.du)
        assert_same_bits(again.dk, first.dk)


@pytest.mark.parametrize("case", LONG_CALLS, ids=str)
def test_a_sample_does_not_depend_on_its_batch(case: LongCase) -> None:
    arrays = case.inputs("f32")
    together = case.run(swath, arrays)
    poisoned = {**arrays, "u": arrays["u"].copy()}
    poisoned["u"][1, 2, 3, 4] = np.nan
    dirty = case.run(swath, poisoned)
    assert np.isnan(dirty[1, 2]).all()
    dirty[1, 2] = together[1, 2]
    assert_same_bits(dirty, together)
    for i in range(case.u[0]):
        one = {**arrays, "u": arrays["u"][i : i + 1]}
        assert_same_bits(case.run(swath, one), together[i : i + 1])


def test_a_plane_of_bands_does_not_depend_on_the_others() -> None:
    x = BAND_CALL.inputs("f32")["x"]
    together = np.stack(swath.band_split(x, (0.3, 0.1)))
    assert_same_bits(np.stack(swath.band_split(x[2, 7], (0.3, 0.1))), together[:, 2, 7])
    x[1, 2, 3, 4] = np.inf
    dirty = np.stack(swath.band_split(x, (0.3, 0.1)))
    assert not np.isfinite(dirty[:, 1, 2]).any()
    dirty[:, 1, 2] = together[:, 1, 2]
    assert_same_bits(dirty, together)


@pytest.mark.parametrize("view", VIEWS)
def test_bands_of_views(view: str) -> None:
    case = BandCase("view", "band_split", (3, 13, 14), None, {}, cutoffs=(0.3, 0.1))
    for dtype in ("f32", "bf16"):
        arrays = {name: VIEWS[view](a) for name, a in case.inputs(dtype).items()}
        check(case, case.run(swath, arrays), arrays)


def test_broadcast_inputs_of_stride_zero() -> None:
    u = np.broadcast_to(_normal(1, 1, 6, 7), (3, 4, 6, 7))
    k = np.broadcast_to(_normal(1, 5, 1), (4, 5, 5))
    for method in ("fft", "direct"):
        y = swath.long_conv2d(u, k, method=method)
        np.testing.assert_allclose(y, oracle_long2d.long_conv2d(u, k), rtol=0, atol=1e-12)


def test_both_methods_agree_where_auto_changes_over() -> None:
    u = _normal(1, 2, 30, 30, dtype=np.float32)
    for taps in (11, 12, 13, 15, 31):
        k = _normal(2, taps, taps, dtype=np.float32)
        found = [swath.long_conv2d(u, k, method=m) for m in ("auto", "fft", "direct")]
        for y in found[1:]:
            assert abs(y - found[0]).max() < 2e-5 * np.linalg.norm(k)


def test_bands_are_more_than_a_plan_has_slots_for() -> None:
    x, cutoffs = _normal(12, 50), np.linspace(0.5, 0.01, 40)
    bands = swath.band_split(x, cutoffs)
    np.testing.assert_allclose(sum(bands), x, rtol=0, atol=1e-13)
    (dx,) = swath.grad.band_split(np.stack(bands), x, cutoffs)
    np.testing.assert_allclose(dx, x, rtol=0, atol=1e-13)
    with pytest.raises(swath.ParamError, match="at most 31"):
        swath.grad.band_split(bands, x, cutoffs)


def test_needs_skips_parts() -> None:
    u, k = _normal(1, 2, 5, 5), _normal(2, 3, 3)
    for method in ("fft", "direct"):
        both = swath.grad.long_conv2d(u, u, k, method=method)
        du, dk = swath.grad.long_conv2d(u, u, k, method=method, needs=("k",))
        assert du is None
        assert_same_bits(dk, both.dk)
        du, dk = swath.grad.long_conv2d(u, u, k, method=method, needs=("du",))
        assert dk is None
        assert_same_bits(du, both.du)


def test_explain_names_the_kernel() -> None:
    x, k = np.ones((1, 2, 8, 8), np.float32), np.ones((2, 40, 40), np.float32)
    assert "plane_fft" in str(swath.info.explain(swath.long_conv2d, x, k))
    assert "plane_fft" in str(swath.info.explain(swath.band_split, x, [0.2]))
    assert "plane_fft" not in str(swath.info.explain(swath.long_conv2d, x, k[:, :3, :3]))


SIZES = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(
    h=SIZES,
    w=SIZES,
    kh=SIZES,
    kw=SIZES,
    mode=st.sampled_from(MODES),
    dtype=st.sampled_from(["f32", "f64", "f16", "bf16"]),
    view=st.sampled_from(sorted(VIEWS)),
    is_last=st.booleans(),
    result=st.sampled_from(["", "du", "dk"]),
)
def test_any_long_conv2d_matches_the_oracle(
    h: int, w: int, kh: int, kw: int, mode: str, dtype: str, view: str, is_last: bool, result: str
) -> None:
    if mode == "circular":
        kh, kw = min(h, kh), min(w, kw)
    kwargs = {"mode": mode, "method": "fft"}
    u = (2, 3, h, w)
    if is_last:
        kwargs["layout"] = "channels_last"
    function = "grad.long_conv2d" if result else "long_conv2d"
    case = LongCase("drawn", function, u, None, kwargs, u=u, k=(3, kh, kw), result=result)
    arrays = {name: VIEWS[view](a) for name, a in case.inputs(dtype).items()}
    check(case, case.run(swath, arrays), arrays)


@settings(max_examples=60, deadline=None)
@given(
    lead=st.lists(st.integers(1, 3), max_size=3),
    h=st.integers(1, 70),
    w=st.integers(1, 70),
    cutoffs=st.lists(st.integers(0, 70), unique=True, max_size=4),
    metric=st.sampled_from(["max", "radius"]),
    dtype=st.sampled_from(["f32", "f64", "f16", "bf16"]),
    view=st.sampled_from(sorted(VIEWS)),
    is_gradient=st.booleans(),
)
def test_any_bands_match_the_oracle(
    lead: list[int],
    h: int,
    w: int,
    cutoffs: list[int],
    metric: str,
    dtype: str,
    view: str,
    is_gradient: bool,
) -> None:
    function = "grad.band_split" if is_gradient else "band_split"
    cuts = tuple(c / 100 for c in sorted(cutoffs, reverse=True))
    case = BandCase("drawn", function, (*lead, h, w), None, {"metric": metric}, cutoffs=cuts)
    arrays = {name: VIEWS[view](a) for name, a in case.inputs(dtype).items()}
    assert_close_to(case.oracle(arrays), case.run(swath, arrays), numpy_dtype(dtype))
