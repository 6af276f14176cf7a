"""Gradients of the gates against differences and against the published layers in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import swath
from cases.gates import GAUSS
from support import Array, require

RNG = np.random.default_rng(4)

# Finite differences: the arrays of a call, and what it does with them.

_S = (2, 6, 3, 4)
_W = {
    "eca": ((3,),),
    "se": ((2, 6), (2,), (6, 2), (6,)),
    "cca": ((6, 6), (6,)),
    "mean_std": ((6, 6, 2), (6,), (6,)),
}


def _differences(function: Callable[..., Any], arrays: list[Array], dy: Array) -> Iterator[Array]:
    """The gradient of sum(dy y) by each array, by central differences."""
    for array in arrays:
        gradient = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            value, step = array[at], 1e-6
            array[at] = value + step
            above = (dy * function(*arrays)).sum()
            array[at] = value - step
            gradient[at] = (above - (dy * function(*arrays)).sum()) / (2 * step)
            array[at] = value
        yield gradient


def _agree(
    function: Callable[..., Any], gradient: Callable[..., Any], shapes: list[tuple[int, ...]]
) -> None:
    arrays = [RNG.normal(size=s) for s in shapes]
    dy = RNG.normal(size=function(*arrays).shape)
    found = gradient(dy, *arrays)
    for mine, theirs in zip(found, _differences(function, arrays, dy), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("tile", [1, 3])
@pytest.mark.parametrize("gate", ["sigmoid", None, "gelu", GAUSS], ids=str)
@pytest.mark.parametrize("activation", [None, "elu", "gelu_tanh", "softplus"])
def test_gate_mul_gradients_are_differences(activation: Any, gate: Any, tile: int) -> None:
    options = {"activation": activation, "gate": gate, "tile": tile}
    _agree(
        lambda a, b, add: swath.gate_mul(a, b, add=add, **options),
        lambda dy, a, b, add: swath.grad.gate_mul(dy, a, b, add=add, **options)[:3],
        [_S, (2, 6 // tile, 3, 4), _S],
    )


def test_gauss_parameter_gradients_are_differences() -> None:
    a, b, dy = RNG.normal(size=(3, *_S))
    _agree_on = lambda p: swath.gate_mul(a, b, gate=("asym_gauss", p))  # noqa: E731
    parameters = np.array(GAUSS[1])
    found = swath.grad.gate_mul(dy, a, b, gate=GAUSS, needs=("dgate",)).dgate
    (expected,) = _differences(_agree_on, [parameters], dy)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("residual", [True, False])
def test_map_gradients_are_differences(residual: bool) -> None:
    _agree(swath.spatial_gate, swath.grad.spatial_gate, [_S, (2, 1, 3, 4)])
    options = {"residual": residual}
    _agree(
        lambda x, logits: swath.spatial_softmax_gate(x, logits, **options),
        lambda dy, x, logits: swath.grad.spatial_softmax_gate(dy, x, logits, **options),
        [_S, (2, 3, 3, 4)],
    )


def test_branch_gradients_are_differences() -> None:
    _agree(swath.branch_select, swath.grad.branch_select, [(3, *_S), (2, 3, 6)])


@pytest.mark.parametrize("kind", _W)
def test_channel_gradients_are_differences(kind: Any) -> None:
    def gradient(dy: Array, x: Array, *weights: Array) -> list[Any]:
        dx, dweights = swath.grad.channel_gate(dy, x, kind=kind, weights=weights)
        return [dx, *dweights]

    _agree(
        lambda x, *weights: swath.channel_gate(x, kind=kind, weights=weights),
        gradient,
        [_S, *_W[kind]],
    )


def _published(torch: Any, kind: str, x: Any, w: list[Any]) -> Any:
    """The layers of the published code, in its operations."""
    f = torch.nn.functional
    mean = x.mean((2, 3))
    if kind == "eca":
        gate = torch.sigmoid(
            f.conv1d(mean[:, None], w[0][None, None], padding=len(w[0]) // 2)[:, 0]
        )
    elif kind == "se":
        gate = torch.sigmoid(f.linear(f.relu(f.linear(mean, w[0], w[1])), w[2], w[3]))
    elif kind == "cca":
        gate = torch.sigmoid(f.conv2d(mean[..., None, None], w[0][..., None, None], w[1]))[
            ..., 0, 0
        ]
    else:
        both = torch.stack([mean, x.flatten(2).std(2)], -1)
        z = f.conv2d(both[:, :, None], w[0][:, :, None])[..., 0, 0]
        gate = f.relu6(z * w[1] + w[2] + 3) / 6
    return x * gate[..., None, None]


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("kind", _W)
def test_channel_gates_and_gradients_are_those_of_the_published_layers(
    kind: Any, layout: Any
) -> None:
    torch = require("torch")
    make = np.random.default_rng(5)
    x, dy = (torch.tensor(make.normal(size=(3, 6, 9, 7))) for _ in range(2))
    w = [torch.tensor(make.normal(size=s)) for s in _W[kind]]
    leaves = [t.clone().requires_grad_() for t in (x, *w)]
    y = _published(torch, kind, leaves[0], leaves[1:])
    y.backward(dy)

    def placed(t: Any) -> Any:
        return t.movedim(1, -1) if layout == "channels_last" else t

    options: dict[str, Any] = {"kind": kind, "weights": tuple(w), "layout": layout}
    mine = swath.channel_gate(placed(x), **options)
    assert isinstance(mine, torch.Tensor)
    torch.testing.assert_close(mine, placed(y.detach()))
    dx, dweights = swath.grad.channel_gate(placed(dy), placed(x), **options)
    torch.testing.assert_close(dx, placed(leaves[0].grad), rtol=1e-10, atol=1e-12)
    for found, leaf in zip(dweights, leaves[1:], strict=True):
        torch.testing.assert_close(found, leaf.grad, rtol=1e-10, atol=1e-12)
