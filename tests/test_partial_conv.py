"""What the published layers promise of masked convolutions, beyond single values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oracle_masked
import swath
from cases import CASES
from cases.case import Case, numpy_dtype
from support import Array, assert_same_bits, bits, require

RNG = np.random.default_rng(7)
LAYOUTS = ("channels_first", "channels_last")
DTYPES = ("f32", "f64", "f16", "bf16")


def _normal(*shape: int, dtype: str = "f32") -> Array:
    return RNG.normal(size=shape).astype(numpy_dtype(dtype))


def _blocks(share: float, side: int, block: int) -> Array:
    coarse = RNG.random((side // block, side // block)) < share
    return np.kron(coarse, np.ones((block, block), bool))[None, None]


@pytest.mark.parametrize("case", [c for c in CASES["partial_conv"] if c.mask], ids=str)
def test_the_new_mask(case: Case) -> None:
    arrays = case.inputs("f32")
    function = getattr(swath, case.function)
    _, new = function(**arrays, **case.kwargs)
    window = {k: case.kwargs[k] for k in ("stride", "padding", "dilation") if k in case.kwargs}
    layout, ndim = case.kwargs.get("layout", "channels_first"), case.ndim
    given = arrays["mask"]
    wide = given.astype(np.float64)
    wide = wide if wide.ndim == ndim + 2 else wide[None]
    wide = np.moveaxis(wide, -1, 1) if layout == "channels_last" else wide
    update = case.kwargs.get("mask_update", "any")
    _, expected = oracle_masked.mask_out(wide, arrays["weight"], mask_update=update, **window)
    if wide.shape[1] > 1:
        expected = np.repeat(expected, arrays["weight"].shape[0], axis=1)
    expected = np.moveaxis(expected, 1, -1) if layout == "channels_last" else expected
    expected = expected if given.ndim == ndim + 2 else expected[0]
    assert new.dtype == given.dtype
    assert new.shape == expected.shape
    step = np.finfo(given.dtype).eps if given.dtype.kind == "f" else 0
    np.testing.assert_allclose(new.astype(np.float64), expected, rtol=8 * step, atol=step)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("channels", "groups", "outputs"), [(16, 1, 24), (32, 32, 32), (3, 1, 2), (8, 2, 4)]
)
def test_all_ones_without_padding_is_the_plain_convolution(
    dtype: str, layout: str, channels: int, groups: int, outputs: int
) -> None:
    shape = (2, channels, 11, 37) if layout == "channels_first" else (2, 11, 37, channels)
    x = _normal(*shape, dtype=dtype)
    weight, bias = (
        _normal(outputs, channels // groups, 3, 3, dtype=dtype),
        _normal(outputs, dtype=dtype),
    )
    plain = swath.conv2d(x, weight, bias, groups=groups, layout=layout)
    ones = np.ones((2, 1, 11, 37) if layout == "channels_first" else (2, 11, 37, 1), bool)
    for mask in (None, ones, np.ones_like(x)):
        y, new = swath.partial_conv2d(x, weight, bias, mask, groups=groups, layout=layout)
        assert_same_bits(y, plain)
        assert (new == 1).all()


def test_padding_alone_is_partial_convolution_based_padding() -> None:
    x, weight, bias = _normal(2, 5, 9, 12), _normal(7, 5, 3, 3), _normal(7)
    y, _ = swath.partial_conv2d(x, weight, bias, padding=1)
    expected = swath.conv2d(x, weight, bias, padding=1, padding_mode="partial")
    np.testing.assert_allclose(y, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layers_grow_the_mask_by_their_reach(layout: str) -> None:
    mask = np.zeros((1, 1, 21, 21), bool)
    mask[..., 10, 10] = True
    weight = _normal(3, 3, 3, 3)
    x = _normal(1, 3, 21, 21)
    if layout == "channels_last":
        mask, x = np.moveaxis(mask, 1, -1), np.moveaxis(x, 1, -1)
    for k in range(1, 6):
        x, mask = swath.partial_conv2d(x, weight, mask=mask, padding=1, layout=layout)
        seen = mask[0, 0] if layout == "channels_first" else mask[0, ..., 0]
        expected = np.zeros((21, 21), bool)
        expected[10 - k : 11 + k, 10 - k : 11 + k] = True
        assert (seen == expected).all()


def test_sparse_is_partial_scaled_by_the_valid_share_on_active_sites() -> None:
    x, weight = _normal(1, 4, 16, 33), _normal(6, 4, 3, 3)
    mask = RNG.random((1, 1, 16, 33)) < 0.5
    y, _ = swath.partial_conv2d(x, weight, mask=mask, padding=1)
    sparse, kept = swath.partial_conv2d(
        x, weight, mask=mask, padding=1, renormalize=False, mask_update="same"
    )
    share = swath.conv2d(mask.astype(np.float32), np.ones((1, 1, 3, 3), np.float32), padding=1) / 9
    assert (kept == mask).all()
    np.testing.assert_allclose(sparse, np.where(mask, y * share, 0), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("update", ["any", "same"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_holes_never_influence_the_output(layout: str, update: str, poison: float) -> None:
    mask = RNG.random((2, 1, 14, 40)) < 0.4
    x, weight, bias = _normal(2, 6, 14, 40), _normal(5, 6, 3, 3), _normal(5)
    spoiled = np.where(mask, x, np.float32(poison))
    kwargs: dict[str, Any] = {"padding": 1, "mask_update": update, "layout": layout}
    if layout == "channels_last":
        mask, x, spoiled = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (mask, x, spoiled))
    clean, _ = swath.partial_conv2d(x, weight, bias, mask, **kwargs)
    dirty, _ = swath.partial_conv2d(spoiled, weight, bias, mask, **kwargs)
    assert_same_bits(clean, dirty)
    assert np.isfinite(dirty).all()


def test_a_dropped_output_is_zero_whatever_its_window_holds() -> None:
    x, weight = np.full((1, 1, 3, 40), np.nan, np.float32), np.ones((1, 1, 3, 3), np.float32)
    mask = np.ones((1, 1, 3, 40), bool)
    mask[..., 1, :] = False
    y, _ = swath.partial_conv2d(x, weight, mask=mask, padding=1, mask_update="same")
    assert (y[0, 0, 1] == 0).all()
    assert np.isnan(y[0, 0, 0]).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_of_holes_are_skipped_without_a_trace(layout: str, dtype: str) -> None:
    side = 96
    mask = _blocks(0.4, side, 16)
    x, weight = _normal(1, 4, side, side, dtype=dtype), _normal(9, 4, 3, 3, dtype=dtype)
    if layout == "channels_last":
        mask, x = np.moveaxis(mask, 1, -1), np.ascontiguousarray(np.moveaxis(x, 1, -1))
    kwargs: dict[str, Any] = {"padding": 1, "layout": layout, "activation": "softplus"}
    kwargs |= {"renormalize": False, "mask_update": "same"}
    out = np.full_like(swath.conv2d(x, weight, padding=1, layout=layout), np.nan)
    y, _ = swath.partial_conv2d(x, weight, mask=mask, out=out, **kwargs)
    assert y is out
    dense = swath.conv2d(np.where(mask, x, 0).astype(x.dtype), weight, padding=1, layout=layout)
    chosen = np.broadcast_to(mask, y.shape)
    softplus = np.logaddexp(0, dense.astype(np.float64))
    step = 4 * float(np.finfo(np.float32 if dtype == "bf16" else x.dtype).eps)
    step = 2.0**-7 if dtype == "bf16" else max(step, 1e-6)
    np.testing.assert_allclose(
        y.astype(np.float64)[chosen], softplus[chosen], rtol=8 * step, atol=8 * step
    )
    assert len({bits(v) for v in np.unique(y[~chosen])}) == 1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("multi", [False, True])
def test_the_published_layer(layout: str, multi: bool) -> None:
    torch = require("torch")
    F = torch.nn.functional
    x, weight, bias = _normal(2, 6, 15, 22), _normal(8, 6, 3, 3), _normal(8)
    mask = (RNG.random((2, 6 if multi else 1, 15, 22)) < 0.5).astype(np.float32)
    m = torch.from_numpy(mask)
    updater = torch.ones(8, 6, 3, 3) if multi else torch.ones(1, 1, 3, 3)
    window = float(updater[0].numel())
    for stride, padding, dilation in ((1, 1, 1), (2, 1, 1), (1, 2, 2)):
        s = F.conv2d(m, updater, stride=stride, padding=padding, dilation=dilation)
        new = s.clamp(0, 1)
        ratio = window / (s + 1e-8) * new
        raw = F.conv2d(
            torch.from_numpy(x) * m, torch.from_numpy(weight), None, stride, padding, dilation
        )
        expected = (raw * ratio + torch.from_numpy(bias)[:, None, None]) * new
        given = (
            (x, mask) if layout == "channels_first" else (np.moveaxis(a, 1, -1) for a in (x, mask))
        )
        x_in, mask_in = given
        y, out = swath.partial_conv2d(
            x_in,
            weight,
            bias,
            mask_in,
            stride=stride,
            padding=padding,
            dilation=dilation,
            layout=layout,
        )
        if layout == "channels_last":
            y, out = np.moveaxis(y, -1, 1), np.moveaxis(out, -1, 1)
        np.testing.assert_allclose(y, expected.numpy(), rtol=3e-5, atol=3e-5)
        assert (out == new.numpy()).all()


def test_torch_tensors_and_their_masks_come_back_as_torch() -> None:
    torch = require("torch")
    x, weight = torch.randn(1, 3, 9, 9), torch.randn(4, 3, 3, 3)
    for mask in (torch.rand(1, 1, 9, 9) < 0.5, (torch.rand(1, 1, 9, 9) < 0.5).to(torch.uint8)):
        y, new = swath.partial_conv2d(x, weight, mask=mask)
        assert isinstance(y, torch.Tensor)
        assert isinstance(new, torch.Tensor)
        assert new.dtype == mask.dtype


def test_plan_equals_function_and_pickles() -> None:
    import pickle

    x, weight, bias = _normal(2, 6, 15, 22), _normal(8, 6, 3, 3), _normal(8)
    mask = RNG.random((2, 1, 15, 22)) < 0.5
    plan = swath.PartialConv2d(weight, bias, padding=1, mask_update="same")
    expected = swath.partial_conv2d(x, weight, bias, mask, padding=1, mask_update="same")
    for one in (plan, pickle.loads(pickle.dumps(plan))):
        for _ in range(2):
            for got, want in zip(one(x, mask), expected, strict=True):
                assert_same_bits(got, want)
    assert "mask_update='same'" in repr(plan)
    with pytest.raises(swath.ParamError, match="mask holds"):
        plan(x, np.full((2, 1, 15, 22), 2, np.uint8))
    assert plan.flops((1, 6, 15, 22)) > 2 * 8 * 6 * 9 * 15 * 22


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_number_of_threads_gives_the_same_bits(threads: int, layout: str) -> None:
    shape = (3, 24, 60, 70) if layout == "channels_first" else (3, 60, 70, 24)
    mask_shape = (3, 1, 60, 70) if layout == "channels_first" else (3, 60, 70, 1)
    x, weight, bias = _normal(*shape), _normal(32, 24, 3, 3), _normal(32)
    mask = RNG.random(mask_shape) < 0.5
    one = swath.partial_conv2d(x, weight, bias, mask, padding=1, layout=layout, threads=1)
    many = swath.partial_conv2d(x, weight, bias, mask, padding=1, layout=layout, threads=threads)
    for a, b in zip(one, many, strict=True):
        assert_same_bits(a, b)
