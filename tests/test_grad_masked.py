"""Gradients of gated and masked convolutions against finite differences and torch autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import swath
from cases import CASES
from cases.case import Case
from support import Array, assert_same_bits, clusters, require

RNG = np.random.default_rng(3)
SMALL = 2500  # elements of x and weight that finite differences are tried on
GATED = [c for c in CASES["gated_conv"] if 0 not in c.x and c.weight and 0 not in c.weight]
MASKED = [c for c in CASES["partial_conv"] if 0 not in c.x and c.weight and 0 not in c.weight]
NAMES = ("x", "weight", "bias", "scale", "shift", "residual")


def _call(case: Case, arrays: Mapping[str, Array], dy: Array, **more: Any) -> Any:
    named = {k: v for k, v in arrays.items() if k not in ("x", "weight", "bias")}
    function = getattr(swath.grad, case.function)
    first = (dy, arrays["x"], arrays["weight"], arrays.get("bias"))
    return function(*first, **named, **case.kwargs, **more)


def _difference(f: Callable[[], float], a: Array, index: tuple[int, ...], step: float) -> float:
    kept = a[index]
    a[index] = kept + step
    above = f()
    a[index] = kept - step
    below = f()
    a[index] = kept
    return (above - below) / (2 * step)


@pytest.mark.parametrize("case", GATED + MASKED, ids=str)
def test_finite_differences(case: Case) -> None:
    arrays = case.inputs("f64")
    y = case.run(swath, arrays)
    dy = RNG.normal(size=y.shape)
    grads = _call(case, arrays, dy)._asdict()
    mask = arrays.get("mask")

    def loss() -> float:
        return float((case.run(swath, arrays) * dy).sum())

    for name in NAMES:
        if name not in arrays:
            continue
        a, g = arrays[name], grads[f"d{name}"]
        assert g.shape == a.shape
        assert g.dtype == a.dtype
        for flat in RNG.choice(a.size, min(a.size, 6), replace=False):
            index = tuple(int(i) for i in np.unravel_index(flat, a.shape))
            if name == "x" and mask is not None and np.broadcast_to(mask, a.shape)[index] == 0:
                assert g[index] == 0
                continue
            # Near a kink (relu, hardsigmoid) the two differences disagree: those are left out.
            wide = _difference(loss, a, index, 2e-5)
            narrow = _difference(loss, a, index, 1e-5)
            scale = 1 + abs(narrow)
            if abs(wide - narrow) > 1e-5 * scale:
                continue
            assert abs(g[index] - narrow) < 2e-5 * scale, (name, index)


@pytest.mark.parametrize("case", GATED + MASKED, ids=str)
def test_every_dtype_agrees_with_float64(case: Case) -> None:
    for dtype in ("f32", "f16", "bf16"):
        arrays = case.inputs(dtype)
        dy = RNG.normal(size=case.run(swath, arrays).shape).astype(arrays["x"].dtype)
        wide = {k: v.astype(np.float64) if v.dtype.kind != "b" else v for k, v in arrays.items()}
        expected = _call(case, wide, dy.astype(np.float64))
        actual = _call(case, arrays, dy)
        assert case.weight is not None
        terms = int(np.prod(case.weight[1:]) + dy.size // max(case.weight[0], 1))
        # du itself is kept in 16 bits.
        rounding = {"f32": 0.0, "f16": 2.0**-10, "bf16": 2.0**-7}[dtype]
        allowed = 8 * swath.testing.tolerance(np.dtype(np.float32), terms) + 60 * rounding
        for want, got in zip(expected, actual, strict=True):
            assert (want is None) == (got is None)
            if want is None or want.size == 0:
                continue
            assert got.dtype == arrays["x"].dtype
            apart = float(np.abs(got.astype(np.float64) - want).max())
            assert apart <= allowed * float(np.abs(want).max() + 1)


@pytest.mark.parametrize("cluster", clusters())
@pytest.mark.parametrize("case", [GATED[0], GATED[8], MASKED[1], MASKED[12], MASKED[52]], ids=str)
def test_every_cluster(case: Case, cluster: str) -> None:
    arrays = case.inputs("f32")
    dy = RNG.normal(size=case.run(swath, arrays).shape).astype(np.float32)
    expected = _call(case, arrays, dy)
    with swath.testing.force_kernel(cluster):
        actual = _call(case, arrays, dy)
    for want, got in zip(expected, actual, strict=True):
        if want is not None:
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * (1 + np.abs(want).max()))


@pytest.mark.parametrize("case", [GATED[0], GATED[9], MASKED[2], MASKED[5], MASKED[13]], ids=str)
def test_threads_and_needs_change_no_bit(case: Case) -> None:
    arrays = case.inputs("f32")
    dy = RNG.normal(size=case.run(swath, arrays).shape).astype(np.float32)
    one = _call(case, arrays, dy, threads=1)
    for threads in (2, 3, 7):
        for a, b in zip(one, _call(case, arrays, dy, threads=threads), strict=True):
            if a is not None:
                assert_same_bits(a, b)
    for name in ("x", "weight", "bias"):
        alone = _call(case, arrays, dy, needs=(name,))._asdict()
        assert_same_bits(alone.pop(f"d{name}"), one._asdict()[f"d{name}"])
        assert all(g is None for g in alone.values())


def test_nothing_under_a_hole_reaches_a_gradient() -> None:
    mask = RNG.random((2, 1, 14, 40)) < 0.4
    x, weight = (
        RNG.normal(size=(2, 6, 14, 40)).astype("f"),
        RNG.normal(size=(5, 6, 3, 3)).astype("f"),
    )
    dy = RNG.normal(size=(2, 5, 14, 40)).astype("f")
    spoiled = np.where(mask, x, np.float32(np.nan))
    for update in ("any", "same"):
        kwargs: dict[str, Any] = {"mask": mask, "padding": 1, "mask_update": update}
        kwargs["activation"] = "silu"
        clean = swath.grad.partial_conv2d(dy, x, weight, **kwargs)
        dirty = swath.grad.partial_conv2d(dy, spoiled, weight, **kwargs)
        for a, b in zip(clean, dirty, strict=True):
            assert_same_bits(a, b)
        assert (dirty.dx[np.broadcast_to(~mask, x.shape)] == 0).all()


@pytest.mark.parametrize("groups", [1, 3])
def test_gated_against_autograd(groups: int) -> None:
    torch = require("torch")
    F = torch.nn.functional
    x = torch.randn(2, 6, 11, 14, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(12, 6 // groups, 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(12, dtype=torch.float64, requires_grad=True)
    a = F.conv2d(x, weight[:6], bias[:6], padding=1, stride=2, groups=groups)
    g = F.conv2d(x, weight[6:], bias[6:], padding=1, stride=2, groups=groups)
    y = F.elu(a) * torch.sigmoid(g)
    dy = torch.randn_like(y)
    y.backward(dy)
    grads = swath.grad.gated_conv2d(
        dy, x.detach(), weight.detach(), bias.detach(), padding=1, stride=2, groups=groups
    )
    for got, leaf in zip(grads[:3], (x, weight, bias), strict=True):
        np.testing.assert_allclose(got.numpy(), leaf.grad.numpy(), rtol=1e-10, atol=1e-10)


def test_mask_gradient_of_the_published_layer() -> None:
    torch = require("torch")
    F = torch.nn.functional
    x = torch.randn(2, 4, 11, 14, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, dtype=torch.float64, requires_grad=True)
    mask = (torch.rand(2, 1, 11, 14) < 0.5).double()
    s = F.conv2d(mask, torch.ones(1, 1, 3, 3, dtype=torch.float64), padding=1)
    new = s.clamp(0, 1)
    ratio = 9 / s.clamp(min=1e-8) * new
    raw = F.conv2d(x * mask, weight, padding=1)
    y = (raw * ratio + bias[:, None, None]) * new
    dy = torch.randn_like(y)
    y.backward(dy)
    grads = swath.grad.partial_conv2d(
        dy, x.detach(), weight.detach(), bias.detach(), mask, padding=1
    )
    for got, leaf in zip(grads, (x, weight, bias), strict=True):
        np.testing.assert_allclose(got.numpy(), leaf.grad.numpy(), rtol=1e-10, atol=1e-10)
