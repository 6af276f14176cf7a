"""What gated convolutions promise beyond single values."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import swath
from cases.case import numpy_dtype
from support import Array, assert_same_bits, require

RNG = np.random.default_rng(11)
LAYOUTS = ("channels_first", "channels_last")


def _normal(*shape: int, dtype: str = "f32") -> Array:
    return RNG.normal(size=shape).astype(numpy_dtype(dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("channels", "groups", "outputs"), [(6, 1, 10), (18, 18, 18), (3, 1, 2)])
def test_halves_are_convolutions_of_their_own(
    layout: str, channels: int, groups: int, outputs: int
) -> None:
    shape = (2, channels, 11, 37) if layout == "channels_first" else (2, 11, 37, channels)
    x, weight = _normal(*shape), _normal(2 * outputs, channels // groups, 3, 3)
    bias = _normal(2 * outputs)
    kwargs = {"groups": groups, "layout": layout, "padding": 1}
    a = swath.conv2d(x, weight[:outputs], bias[:outputs], activation="elu", **kwargs)
    g = swath.conv2d(x, weight[outputs:], bias[outputs:], activation="sigmoid", **kwargs)
    assert_same_bits(swath.gated_conv2d(x, weight, bias, **kwargs), a * g)
    swapped = np.concatenate([weight[outputs:], weight[:outputs]])
    swapped_bias = np.concatenate([bias[outputs:], bias[:outputs]])
    assert_same_bits(
        swath.gated_conv2d(x, swapped, swapped_bias, order="gate_first", **kwargs), a * g
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "bf16"])
def test_gates_at_infinity_close_and_open(layout: str, dtype: str) -> None:
    x = _normal(1, 5, 5, 4, dtype=dtype)
    x = np.moveaxis(x, 1, -1) if layout == "channels_first" else x
    channels = x.shape[1] if layout == "channels_first" else x.shape[-1]
    weight = np.zeros((4, channels, 1, 1), x.dtype)
    weight[:2, 0] = 1
    for infinity, closed in ((-np.inf, True), (np.inf, False)):
        bias = np.array([0, 0, infinity, infinity]).astype(x.dtype)
        for gate in ("sigmoid", "hardsigmoid"):
            y = swath.gated_conv2d(x, weight, bias, activation=None, gate=gate, layout=layout)
            plain = swath.conv2d(x, weight[:2], layout=layout)
            expected = np.zeros_like(plain) if closed else plain
            assert (y == expected).all()


def test_the_published_layer() -> None:
    torch = require("torch")
    F = torch.nn.functional
    x, weight, bias = _normal(2, 6, 15, 22), _normal(16, 6, 3, 3), _normal(16)
    for stride, padding, dilation in ((1, 1, 1), (2, 1, 1), (1, 2, 2)):
        z = F.conv2d(*(torch.from_numpy(a) for a in (x, weight, bias)), stride, padding, dilation)
        expected = F.elu(z[:, :8]) * torch.sigmoid(z[:, 8:])
        y = swath.gated_conv2d(x, weight, bias, stride=stride, padding=padding, dilation=dilation)
        np.testing.assert_allclose(y, expected.numpy(), rtol=2e-5, atol=2e-5)


def test_plan_equals_function_and_pickles() -> None:
    x, weight, bias = _normal(2, 6, 15, 22), _normal(16, 6, 3, 3), _normal(16)
    scale, shift, residual = _normal(16), _normal(16), _normal(2, 8, 15, 22)
    plan = swath.GatedConv2d(weight, bias, padding=1, gate="tanh", scale=scale, shift=shift)
    expected = swath.gated_conv2d(
        x, weight, bias, padding=1, gate="tanh", scale=scale, shift=shift, residual=residual
    )
    assert_same_bits(plan(x, residual=residual), expected)
    assert_same_bits(pickle.loads(pickle.dumps(plan))(x, residual=residual), expected)
    assert plan.flops((2, 6, 15, 22)) == 2 * 2 * 16 * 6 * 9 * 15 * 22


def test_in_place_range_leaves_the_other_channels_alone() -> None:
    x, weight = _normal(2, 9, 12, 30), _normal(8, 4, 3, 3)
    expected = swath.gated_conv2d(x, weight, padding=1, channels=(2, 6))
    before = x.copy()
    y = swath.gated_conv2d(x, weight, padding=1, channels=(2, 6), out=x)
    assert y is x
    assert_same_bits(x, expected)
    assert (x[:, :2] == before[:, :2]).all()
    assert (x[:, 6:] == before[:, 6:]).all()


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_number_of_threads_gives_the_same_bits(threads: int, layout: str) -> None:
    shape = (3, 24, 60, 70) if layout == "channels_first" else (3, 60, 70, 24)
    x, weight, bias = _normal(*shape), _normal(64, 24, 3, 3), _normal(64)
    one = swath.gated_conv2d(x, weight, bias, padding=1, layout=layout, threads=1)
    many = swath.gated_conv2d(x, weight, bias, padding=1, layout=layout, threads=threads)
    assert_same_bits(one, many)
