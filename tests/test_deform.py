"""Deformable convolution: identities, borders, gradients, bits."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_deform
import swath
from cases.case import DTYPES, numpy_dtype
from cases.deform import DEFORM_CASES, DEFORM_GRADS
from support import Array, assert_close_to, assert_same_bits, clusters, require

RNG = np.random.default_rng(11)


def _draw(*shape: int, dtype: Any = np.float64) -> Array:
    return RNG.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}, {"groups": 2}], ids=str)
def test_zero_offsets_are_the_plain_convolution(options: dict[str, Any], dtype: str) -> None:
    kind = numpy_dtype(dtype)
    x, w = _draw(2, 6, 9, 11, dtype=kind), _draw(4, 6 // options.get("groups", 1), 3, 3, dtype=kind)
    y = swath.conv2d(x, w, padding=1, **options)
    offset = np.zeros((2, 18, *y.shape[2:]), kind)
    mask = np.ones((2, 9, *y.shape[2:]), kind)
    moved = swath.deform_conv2d(x, w, offset, mask, padding=1, **options)
    swath.testing.assert_close(moved, y, terms=54, magnitude=np.full(y.shape, 100.0))


def test_integer_offsets_shift_the_image() -> None:
    x, w = _draw(1, 3, 9, 8), _draw(4, 3, 3, 3)
    offset = np.zeros((1, 18, 9, 8))
    offset[:, 0::2], offset[:, 1::2] = 1, -2
    shifted = np.zeros_like(x)
    shifted[..., :-1, 2:] = x[..., 1:, :-2]
    inside = (slice(None), slice(None), slice(1, 7), slice(3, 7))
    y = swath.deform_conv2d(x, w, offset, padding=1)
    np.testing.assert_allclose(y[inside], swath.conv2d(shifted, w, padding=1)[inside], rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cluster", clusters())
def test_nothing_outside_is_read_and_nan_offsets_are_nan(dtype: str, cluster: str) -> None:
    kind = numpy_dtype(dtype)
    x, w = _draw(1, 5, 4, 6, dtype=kind), _draw(3, 5, 1, 1, dtype=kind)
    far = [np.inf, -np.inf, 6e4, -6e4, -1, 4, 0, -0.5, np.nan]
    if dtype in ("f32", "f64"):
        far += [1e30, -1e30, 2.0**31, -(2.0**63), 1e18]
    offset = np.zeros((1, 2, 4, 6), kind)
    for value in far:
        for axis in (0, 1):
            offset[...] = 0
            offset[0, axis, 0, 0] = value
            for grad in (False, True):
                with swath.testing.force_kernel(cluster):
                    if grad:
                        dy = np.ones((1, 3, 4, 6), kind)
                        found = swath.grad.deform_conv2d(dy, x, w, offset)
                        assert np.isfinite(found.dx.astype(float)).all()
                        at = found.doffset[0, :, 0, 0].astype(float)
                    else:
                        y = swath.deform_conv2d(x, w, offset)
                        at = y[0, :, 0, 0].astype(float)
                        plain = swath.conv2d(x, w).astype(float)
                        np.testing.assert_allclose(
                            y.astype(float).ravel()[1:4], plain.ravel()[1:4], rtol=1e-1, atol=0.1
                        )
                if np.isnan(value):
                    assert np.isnan(at).all()
                elif not -1 < value < (4, 6)[axis]:
                    assert (at == 0).all(), (value, axis, at)
                else:
                    assert np.isfinite(at).all()


def test_a_pixel_reaches_only_the_samples_that_depend_on_it() -> None:
    x, w = np.ones((1, 2, 6, 7), np.float32), np.ones((2, 2, 3, 3), np.float32)
    offset = np.round(_draw(1, 18, 6, 7)).astype(np.float32)
    clean = swath.deform_conv2d(x, w, offset, padding=1)
    impulse = np.zeros_like(x)
    impulse[0, 1, 3, 2] = 1
    depends = swath.deform_conv2d(impulse, w, offset, padding=1) != 0
    x[0, 1, 3, 2] = np.nan
    dirty = swath.deform_conv2d(x, w, offset, padding=1)
    assert np.isnan(dirty[depends]).all()
    assert_same_bits(dirty[~depends], clean[~depends])


def _differences(function: Any, arrays: list[Array], dy: Array, i: int) -> Array:
    array, gradient = arrays[i], np.zeros_like(arrays[i])
    for at in np.ndindex(array.shape):
        value = array[at]
        array[at] = value + 1e-6
        above = (dy * function(*arrays)).sum()
        array[at] = value - 1e-6
        gradient[at] = (above - (dy * function(*arrays)).sum()) / 2e-6
        array[at] = value
    return gradient


@pytest.mark.parametrize(("groups", "deform_groups"), [(1, 1), (2, 2), (4, 2)])
def test_gradients_are_differences(groups: int, deform_groups: int) -> None:
    x, w = _draw(1, 4, 5, 4), _draw(4, 4 // groups, 2, 3)
    taps = deform_groups * 6
    options = {"padding": 1, "groups": groups, "deform_groups": deform_groups}
    arrays = [x, w, _draw(1, 2 * taps, 6, 4), _draw(1, taps, 6, 4), _draw(4)]
    dy = _draw(1, 4, 6, 4)
    found = swath.grad.deform_conv2d(dy, *arrays, **options)
    for i, gradient in enumerate(found):
        expected = _differences(lambda *a: swath.deform_conv2d(*a, **options), arrays, dy, i)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)


def test_needs_skips_the_rest() -> None:
    x, w, offset = _draw(1, 2, 4, 4), _draw(3, 2, 1, 1), _draw(1, 2, 4, 4)
    found = swath.grad.deform_conv2d(_draw(1, 3, 4, 4), x, w, offset, needs=("weight", "dbias"))
    assert [r is None for r in found] == [True, False, True, True, False]


def test_gradients_agree_with_torch() -> None:
    torch = require("torch")
    x, w, offset, mask = _draw(2, 3, 6, 7), _draw(4, 3, 3, 3), _draw(2, 18, 6, 7), _draw(2, 9, 6, 7)
    dy = _draw(2, 4, 6, 7)
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, w, offset, mask)]
    tx, tw, to, tm = tensors
    rows, cols = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    t = torch.arange(9)
    moved = to.view(2, 9, 2, 6, 7)
    h = rows - 1 + (t // 3).view(9, 1, 1) + moved[:, :, 0]
    v = cols - 1 + (t % 3).view(9, 1, 1) + moved[:, :, 1]
    grid = torch.stack([(2 * v + 1) / 7 - 1, (2 * h + 1) / 6 - 1], -1).view(2, 54, 7, 2)
    samples = torch.nn.functional.grid_sample(tx, grid.double(), align_corners=False)
    samples = samples.view(2, 3, 9, 6, 7) * tm[:, None]
    y = torch.einsum("nckhw,ock->nohw", samples, tw.view(4, 3, 9))
    y.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(
        swath.deform_conv2d(x, w, offset, mask, padding=1), y.detach().numpy(), rtol=1e-9, atol=1e-9
    )
    found = swath.grad.deform_conv2d(dy, x, w, offset, mask, padding=1)
    for mine, tensor in zip(found, tensors, strict=False):
        np.testing.assert_allclose(mine, tensor.grad.numpy(), rtol=1e-8, atol=1e-9)


THREADED = [c for c in (*DEFORM_CASES, *DEFORM_GRADS) if c.id.startswith("deform_large")]


@pytest.mark.parametrize("case", THREADED, ids=str)
def test_threads_and_batch_mates_do_not_change_bits(case: Any) -> None:
    swath.set_num_threads(7)
    try:
        arrays = case.inputs("f32")
        first = case.run(swath, arrays, threads=1)
        for n in (2, 3, 7):
            assert_same_bits(case.run(swath, arrays, threads=n), first)
    finally:
        swath.set_num_threads(os.cpu_count() or 1)
    images = ("x", "offset", "mask", "dy")
    twice = {k: np.concatenate([a, 2 * a]) if k in images else a for k, a in arrays.items()}
    if case.result != "dweight":
        assert_same_bits(case.run(swath, twice)[:1], first)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_views_give_the_same_bits(dtype: str) -> None:
    kind = numpy_dtype(dtype)
    arrays = [_draw(*s, dtype=kind) for s in ((2, 5, 6, 7), (4, 5, 3, 3), (2, 18, 6, 7))]
    arrays += [_draw(2, 9, 6, 7, dtype=kind), _draw(4, dtype=kind)]
    plain = swath.deform_conv2d(*arrays, padding=1)
    dy = _draw(*plain.shape, dtype=kind)
    needs = ("x", "weight", "offset", "mask")  # dbias takes the kernel that fits dy's strides
    grads = swath.grad.deform_conv2d(dy, *arrays, padding=1, needs=needs)[:4]

    def views(a: Array) -> list[Array]:
        flip = (slice(None, None, -1),) * a.ndim
        return [np.ascontiguousarray(a.T).T, np.ascontiguousarray(a[flip])[flip]]

    for i in (0, 1):
        seen = [views(a)[i] for a in arrays]
        assert_same_bits(swath.deform_conv2d(*seen, padding=1), plain)
        for mine, theirs in zip(
            swath.grad.deform_conv2d(views(dy)[i], *seen, padding=1, needs=needs)[:4],
            grads,
            strict=True,
        ):
            assert_same_bits(mine, theirs)
    wide = np.zeros((2, 4, 12, 7), kind)
    out = wide[:, :, ::-2]
    assert swath.deform_conv2d(*arrays, padding=1, out=out) is out
    assert_same_bits(np.ascontiguousarray(out), plain)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random_calls_match_the_oracle(data: Any) -> None:
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    groups, deform_groups, per = draw(1, 3), draw(1, 3), draw(1, 4)
    c = groups * per * deform_groups
    o, k = groups * draw(1, 5), (draw(1, 3), draw(1, 4))
    options = {
        "stride": draw(1, 3), "padding": draw(0, 3), "dilation": draw(1, 2), "groups": groups,
        "deform_groups": deform_groups,
    }  # fmt: skip
    size = draw(1, 9) + 6, draw(1, 9) + 6
    out = [
        (n + 2 * options["padding"] - options["dilation"] * (m - 1) - 1) // options["stride"] + 1
        for n, m in zip(size, k, strict=True)
    ]
    rng = np.random.default_rng(draw(0, 10**6))
    taps = deform_groups * k[0] * k[1]
    x, w = rng.normal(size=(2, c, *size)), rng.normal(size=(o, c // groups, *k))
    offset = rng.normal(size=(2, 2 * taps, *out)) * data.draw(st.sampled_from([0.3, 3, 40]))
    mask = rng.random((2, taps, *out)) if data.draw(st.booleans()) else None
    arrays = [a if a is None else a.astype(np.float32) for a in (x, w, offset, mask)]
    exact = [a if a is None else a.astype(np.float64) for a in arrays]
    expected = oracle_deform.deform(*exact, **options)
    assert_close_to(expected, swath.deform_conv2d(*arrays, **options), np.dtype(np.float32))
