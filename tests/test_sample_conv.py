"""Convolution with weights for each sample, and mixtures of kernels."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import swath
from cases.case import DTYPES, numpy_dtype
from support import Array, assert_same_bits, require

RNG = np.random.default_rng(12)
LAST = {"layout": "channels_last"}


def _draw(*shape: int, dtype: Any = np.float32) -> Array:
    return RNG.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [3, 9])  # samples of many tasks, samples as tasks
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_every_sample_has_the_bits_of_its_own_call(groups: int, n: int, dtype: str) -> None:
    kind = numpy_dtype(dtype)
    x, w = _draw(n, 6, 7, 9, dtype=kind), _draw(n, 6, 6 // groups, 3, 3, dtype=kind)
    bias, residual = _draw(n, 6, dtype=kind), _draw(n, 6, 7, 9, dtype=kind)
    options: dict[str, Any] = {"padding": 1, "groups": groups, "activation": "silu"}
    y = swath.sample_conv2d(x, w, bias, residual=residual, **options)
    for i in range(n):
        one = swath.conv2d(x[i], w[i], bias[i], residual=residual[i], **options)
        assert_same_bits(y[i], one)
    dy = _draw(*y.shape, dtype=kind)
    found = swath.grad.sample_conv2d(dy, x, w, bias, residual=residual, **options)
    for i in range(n):
        own = slice(i, i + 1)
        one = swath.grad.conv2d(dy[own], x[own], w[i], bias[i], residual=residual[own], **options)
        assert_same_bits(found.dx[own], one.dx)
        assert_same_bits(found.dweight[i], one.dweight)
        assert_same_bits(found.dbias[i], one.dbias)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular", "partial"])
@pytest.mark.parametrize("last", [False, True])
def test_every_padding_in_both_layouts(mode: Any, last: bool) -> None:
    x, w = _draw(2, 4, 8, 7), _draw(2, 5, 4, 3, 3)
    options: dict[str, Any] = {"padding": ((1, 2), (0, 1)), "padding_mode": mode}
    plain = swath.sample_conv2d(x, w, **options)
    for i in (0, 1):
        assert_same_bits(plain[i], swath.conv2d(x[i], w[i], **options))
    if last:
        moved = swath.sample_conv2d(
            np.ascontiguousarray(np.moveaxis(x, 1, -1)), w, **options, **LAST
        )
        np.testing.assert_allclose(np.moveaxis(moved, -1, 1), plain, rtol=1e-4, atol=1e-5)


def test_equal_weights_fold_to_one_convolution() -> None:
    x, w = _draw(9, 4, 8, 8), _draw(6, 4, 3, 3)
    shared = np.broadcast_to(w, (9, *w.shape))
    told = swath.info.explain(swath.sample_conv2d, x, shared)
    assert told.workspace_bytes == swath.info.explain(swath.conv2d, x, w).workspace_bytes
    assert_same_bits(swath.sample_conv2d(x, shared), swath.conv2d(x, w))
    copied = np.ascontiguousarray(shared)
    assert_same_bits(swath.sample_conv2d(x, copied), swath.conv2d(x, w))


def test_mixing_kernels_is_mixing_results() -> None:
    x, experts, coeff = _draw(3, 4, 9, 9), _draw(5, 6, 4, 3, 3), _draw(3, 5)
    y = swath.sample_conv2d(x, swath.mix_kernels(coeff, experts), padding="same_tf", stride=2)
    each = np.stack([swath.conv2d(x, e, padding="same_tf", stride=2) for e in experts])
    np.testing.assert_allclose(y, np.einsum("ne,en...->n...", coeff, each), rtol=1e-3, atol=1e-4)
    one_hot = np.eye(5, dtype=np.float32)[[1, 4, 0]]
    assert_same_bits(swath.mix_kernels(one_hot, experts), experts[[1, 4, 0]])


def test_one_tap_is_a_product_of_matrices() -> None:
    x, tokens = _draw(2, 30, 5, 6, dtype=np.float64), _draw(2, 8, 30, 1, 1, dtype=np.float64)
    y = swath.sample_conv2d(x, tokens)
    np.testing.assert_allclose(
        y, np.einsum("nmc,nchw->nmhw", tokens[..., 0, 0], x), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6, 5, 3, 3), (7,), (3, 2, 5, 2, 3, 1, 2)], ids=str)
def test_a_mixture_does_not_depend_on_the_others(shape: tuple[int, ...], dtype: str) -> None:
    kind = numpy_dtype(dtype)
    coeff, experts = _draw(9, 5, dtype=kind), _draw(5, *shape, dtype=kind)
    for view in (experts, np.ascontiguousarray(experts.T).T, experts[..., ::-1]):
        all_at_once = swath.mix_kernels(coeff, view)
        dw = _draw(*all_at_once.shape, dtype=kind)
        dcoeff = swath.grad.mix_kernels(dw, coeff, view, needs=("coeff",)).dcoeff
        for i in (0, 4, 8):
            own = slice(i, i + 1)
            assert_same_bits(swath.mix_kernels(coeff[own], view), all_at_once[own])
            assert_same_bits(swath.mix_kernels(coeff[i], view), all_at_once[i])
            one = swath.grad.mix_kernels(dw[own], coeff[own], view, needs=("coeff",))
            assert_same_bits(one.dcoeff, dcoeff[own])


def test_threads_do_not_change_bits() -> None:
    x, w, bias = _draw(9, 20, 30, 31), _draw(9, 24, 20, 3, 3), _draw(24)
    dy = _draw(9, 24, 28, 29)
    swath.set_num_threads(7)
    try:
        for n_samples in (3, 9):
            args = x[:n_samples], w[:n_samples], bias
            first = swath.sample_conv2d(*args, threads=1)
            grads = swath.grad.sample_conv2d(dy[:n_samples], *args, threads=1)
            for n in (2, 3, 7):
                assert_same_bits(swath.sample_conv2d(*args, threads=n), first)
                again = swath.grad.sample_conv2d(dy[:n_samples], *args, threads=n)
                for one, other in zip(grads[:3], again[:3], strict=True):
                    assert_same_bits(one, other)
    finally:
        swath.set_num_threads(os.cpu_count() or 1)


def test_shared_gradients_are_sums_over_samples() -> None:
    x, w, dy = _draw(4, 3, 8, 8), _draw(4, 5, 3, 3, 3), _draw(4, 5, 6, 6)
    shared = {"scale": _draw(5), "shift": _draw(5)}
    options: dict[str, Any] = {"activation": "gelu", **shared}
    found = swath.grad.sample_conv2d(dy, x, w, _draw(5), **options)
    assert [r.shape for r in found[2:5]] == [(5,)] * 3
    own = {k: np.broadcast_to(v, (4, 5)) for k, v in shared.items()}
    each = swath.grad.sample_conv2d(dy, x, w, **{**options, **own})
    assert each.dscale.shape == (4, 5)
    assert swath.grad.sample_conv2d(dy, x, w, needs=("bias",)).dbias.shape == (5,)
    total = swath.grad.sample_conv2d(dy, x, w, **options).dscale
    np.testing.assert_allclose(each.dscale.sum(0), total, rtol=1e-4, atol=1e-4)


def test_no_samples_and_no_axis_of_samples() -> None:
    w = _draw(0, 5, 4, 3, 3)
    assert swath.sample_conv2d(_draw(0, 4, 7, 7), w).shape == (0, 5, 5, 5)
    found = swath.grad.sample_conv2d(_draw(0, 5, 5, 5), _draw(0, 4, 7, 7), w)
    assert found.dweight.shape == w.shape
    assert (found.dbias == 0).all()
    x, weight = _draw(4, 7, 7), _draw(5, 4, 3, 3)
    assert_same_bits(swath.sample_conv2d(x, weight), swath.conv2d(x, weight))


def test_in_place_channels() -> None:
    x, w = _draw(3, 8, 9, 9), _draw(3, 3, 3, 3, 3)
    expected = swath.sample_conv2d(x, w, padding=1, channels=(2, 5))
    y = x.copy()
    assert swath.sample_conv2d(y, w, padding=1, channels=(2, 5), out=y) is y
    assert_same_bits(y, expected)


def test_gradients_agree_with_torch() -> None:
    torch = require("torch")
    coeff, experts, x = (torch.randn(s, dtype=torch.float64, requires_grad=True)
                         for s in ((3, 4), (4, 5, 6, 3, 3), (3, 6, 8, 7)))  # fmt: skip
    w = torch.einsum("ne,eoikl->noikl", coeff, experts)
    w.retain_grad()
    y = torch.nn.functional.conv2d(
        x.reshape(1, 18, 8, 7), w.reshape(15, 6, 3, 3), padding=1, groups=3
    ).reshape(3, 5, 8, 7)
    dy = torch.randn_like(y)
    y.backward(dy)
    mine = swath.mix_kernels(coeff.detach(), experts.detach())
    torch.testing.assert_close(mine, w.detach())
    grads = swath.grad.sample_conv2d(dy, x.detach(), mine, padding=1)
    torch.testing.assert_close(grads.dx, x.grad)
    torch.testing.assert_close(grads.dweight, w.grad)
    mixed = swath.grad.mix_kernels(grads.dweight, coeff.detach(), experts.detach())
    torch.testing.assert_close(mixed.dcoeff, coeff.grad)
    torch.testing.assert_close(mixed.dexperts, experts.grad)
