"""The oracles against torch and SciPy, so that an error in both sides is unlikely."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oracle
import oracle_windows
from cases import CASES
from cases.case import Case
from support import require


def _agree(actual: Any, expected: oracle.Result) -> None:
    assert tuple(actual.shape) == expected.value.shape
    # The other side sums one after the other, whose error may grow with the terms.
    unit = max(64, expected.terms) * np.finfo(np.float64).eps
    error = np.abs(np.asarray(actual) - expected.value)
    assert (error <= unit * (expected.magnitude + np.abs(expected.value))).all()


def _plain(case: Case) -> bool:
    """What torch can do: a bias at most, channels first, something in every axis."""
    known = {"stride", "padding", "dilation", "groups", "output_padding"}
    dilation = np.ndim(case.kwargs.get("dilation", 1))
    assert case.weight is not None
    return (
        set(case.kwargs) <= known
        and set(case.extras) <= {"bias"}
        and dilation < 2
        and 0 not in case.x
        and 0 not in case.weight
    )


def _pads(case: Case) -> oracle.Pads:
    assert case.weight is not None
    kernel = case.weight[2:]
    axes = {n: oracle.per_axis(case.kwargs.get(n, 1), case.ndim) for n in ("stride", "dilation")}
    lengths = case.x[-case.ndim :]
    if case.op == "conv_transpose":  # whose image is the result
        lengths = tuple(n * s for n, s in zip(lengths, axes["stride"], strict=True))
    return oracle.resolve_pads(
        case.kwargs.get("padding", 0),
        lengths,
        kernel,
        axes["stride"],
        axes["dilation"],
    )


@pytest.mark.parametrize("case", [c for c in CASES["sliding_conv"] if _plain(c)], ids=str)
def test_convolution_oracle_agrees_with_torch(case: Case) -> None:
    torch = require("torch")
    arrays = case.inputs("f64")
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items()}
    flat = [p for pair in reversed(_pads(case)) for p in pair]
    x = torch.nn.functional.pad(tensors.pop("x"), flat)
    keywords = {k: v for k, v in case.kwargs.items() if k != "padding"}
    _agree(getattr(torch, case.function)(x, **tensors, **keywords), case.oracle(arrays))


@pytest.mark.parametrize("case", [c for c in CASES["conv_transpose"] if _plain(c)], ids=str)
def test_transposed_oracle_agrees_with_torch(case: Case) -> None:
    torch = require("torch")
    arrays = case.inputs("f64")
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items()}
    keywords = {k: v for k, v in case.kwargs.items() if k != "padding"}
    full = getattr(torch, case.function)(**{"input": tensors.pop("x")}, **tensors, **keywords)
    lengths = full.shape[-case.ndim :]
    crop = [slice(b, n - a) for (b, a), n in zip(_pads(case), lengths, strict=True)]
    _agree(full[(..., *crop)], case.oracle(arrays))


@pytest.mark.parametrize(
    ("mode", "torch_mode"),
    [("reflect", "reflect"), ("replicate", "replicate"), ("circular", "circular")],
)
def test_padding_modes_agree_with_torch(mode: str, torch_mode: str) -> None:
    torch = require("torch")
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 3, 7, 9)), rng.normal(size=(4, 3, 3, 5))
    padded = torch.nn.functional.pad(torch.from_numpy(x), (2, 4, 1, 3), mode=torch_mode)
    result = oracle.conv(x, w, padding=((1, 3), (2, 4)), padding_mode=mode)
    _agree(torch.conv2d(padded, torch.from_numpy(w)), result)


def test_partial_padding_keeps_a_constant() -> None:
    x = np.full((1, 1, 6, 7), 3.0)
    y = oracle.conv(x, np.full((1, 1, 3, 3), 1 / 9), padding=1, padding_mode="partial")
    np.testing.assert_allclose(y.value, x, rtol=1e-14)


@pytest.mark.parametrize(("length", "stride", "expected"), [(16, 2, (0, 1)), (17, 2, (1, 1))])
def test_same_tf_follows_the_stride(length: int, stride: int, expected: tuple[int, int]) -> None:
    assert oracle.resolve_pads("same_tf", [length], [3], [stride], [1]) == [expected]


def test_circular_filter_agrees_with_scipy() -> None:
    ndimage = require("scipy.ndimage")
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(12, 15)), rng.normal(size=(5, 3))
    expected = ndimage.correlate(x, w, mode="wrap")
    actual = oracle.conv(x[None], w[None, None], padding="same", padding_mode="circular")
    np.testing.assert_allclose(actual.value[0], expected, rtol=1e-12)


def test_own_dilation_is_the_concatenation_of_the_branches() -> None:
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(1, 4, 9, 11)), rng.normal(size=(3, 4, 3, 3))
    rows = [(1, 1), (2, 1), (1, 3)]
    together = oracle.conv(x, w, padding="same", dilation=np.array(rows)).value
    branches = [
        oracle.conv(x, w[i : i + 1], padding="same", dilation=row).value
        for i, row in enumerate(rows)
    ]
    np.testing.assert_allclose(together, np.concatenate(branches, axis=1), rtol=1e-11)


def test_transposed_is_the_adjoint() -> None:
    rng = np.random.default_rng(4)
    geometry: dict[str, Any] = {"stride": 2, "padding": ((1, 0), (2, 1)), "dilation": (2, 1)}
    x, w = rng.normal(size=(1, 6, 12, 9)), rng.normal(size=(4, 3, 3, 4))
    y = oracle.conv(x, w, groups=2, **geometry).value
    dy = rng.normal(size=y.shape)
    covered = oracle.conv_transpose(dy, w, groups=2, **geometry).value
    extra = tuple(n - m for n, m in zip(x.shape[2:], covered.shape[2:], strict=True))
    dx = oracle.conv_transpose(dy, w, groups=2, output_padding=extra, **geometry).value
    assert np.vdot(dy, y) == pytest.approx(np.vdot(dx, x), rel=1e-12)


_TORCH_POOL = {"stride", "padding", "dilation", "count_include_pad", "window"}


def _torch_pools(case: Case) -> bool:
    keys = _TORCH_POOL - ({"dilation"} if "avg" in case.function else {"count_include_pad"})
    padding = np.asarray(case.kwargs.get("padding", 0))
    return (
        "pool" in case.function
        and set(case.kwargs) <= keys
        and 0 not in case.x
        and padding.dtype.kind == "i"
        and padding.ndim < 2
        and bool((2 * padding <= case.kwargs["window"]).all())
    )


TORCH_POOLS = [c for op in ("pooling", "pooling_backward") for c in CASES[op] if _torch_pools(c)]


def _torch_pool(case: Case, x: Any) -> Any:
    torch = require("torch")
    keywords = {"kernel_size" if k == "window" else k: v for k, v in case.kwargs.items()}
    return getattr(torch.nn.functional, case.forward.function)(x, **keywords)


@pytest.mark.parametrize("case", [c for c in TORCH_POOLS if not c.is_gradient], ids=str)
def test_pooling_oracle_agrees_with_torch(case: Case) -> None:
    torch = require("torch")
    arrays = case.inputs("f64")
    _agree(_torch_pool(case, torch.from_numpy(arrays["x"])), case.oracle(arrays))


@pytest.mark.parametrize("case", [c for c in TORCH_POOLS if c.is_gradient], ids=str)
def test_pooling_gradient_oracle_agrees_with_autograd(case: Case) -> None:
    torch = require("torch")
    arrays = case.inputs("f64")
    x = torch.from_numpy(arrays["x"]).requires_grad_()
    (dx,) = torch.autograd.grad(_torch_pool(case, x), x, torch.from_numpy(arrays["dy"]))
    _agree(dx, case.oracle(arrays))


@pytest.mark.parametrize(
    ("op", "name"),
    [("mean", "uniform_filter1d"), ("max", "maximum_filter1d"), ("min", "minimum_filter1d")],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_sliding_reduce_oracle_agrees_with_scipy(op: str, name: str, axis: int) -> None:
    ndimage = require("scipy.ndimage")
    x = np.random.default_rng(5).normal(size=(30, 40))
    whole = getattr(ndimage, name)(x, 5, axis=axis)
    inner = whole[2:-2] if axis == 0 else whole[:, 2:-2]
    actual = oracle_windows.sliding_reduce(x, 5, axis=axis, op=op).value
    np.testing.assert_allclose(actual, inner, rtol=1e-11)


def test_torch_order_agrees_with_pixel_unshuffle() -> None:
    torch = require("torch")
    x = np.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    y = torch.nn.functional.pixel_unshuffle(torch.from_numpy(x), 2).numpy()
    np.testing.assert_array_equal(oracle_windows.space_to_depth(x, 2), y)


def test_spd_order_is_the_published_concatenation() -> None:
    x = np.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
    y = oracle_windows.space_to_depth(x, 2, order="spd")
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=1))


def test_tf_order_is_row_then_column_then_channel() -> None:
    x = np.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    parts = [x[..., i::2, j::2] for i in range(2) for j in range(2)]
    y = oracle_windows.space_to_depth(x, 2, order="tf")
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("order", ["torch", "tf", "spd"])
def test_depth_to_space_is_the_inverse(order: str) -> None:
    x = np.arange(2 * 3 * 9 * 6.0).reshape(2, 3, 9, 6)
    y = oracle_windows.space_to_depth(x, 3, order=order)
    np.testing.assert_array_equal(oracle_windows.depth_to_space(y, 3, order=order), x)


@pytest.mark.parametrize(
    ("name", "torch_name"),
    [
        ("relu", "relu"),
        ("relu6", "relu6"),
        (("leaky_relu", 0.3), "leaky_relu"),
        ("elu", "elu"),
        ("gelu", "gelu"),
        ("gelu_tanh", "gelu"),
        ("silu", "silu"),
        ("sigmoid", "sigmoid"),
        ("hardsigmoid", "hardsigmoid"),
        ("hardswish", "hardswish"),
        ("tanh", "tanh"),
        ("softplus", "softplus"),
    ],
)
def test_activations_agree_with_torch(name: Any, torch_name: str) -> None:
    torch = require("torch")
    v = np.linspace(-12, 12, 1001)
    keywords: dict[str, Any] = {"approximate": "tanh"} if name == "gelu_tanh" else {}
    if isinstance(name, tuple):
        keywords = {"negative_slope": name[1]}
    expected = getattr(torch.nn.functional, torch_name)(torch.from_numpy(v), **keywords).numpy()
    np.testing.assert_allclose(oracle.activate(v, name)[0], expected, rtol=1e-9, atol=1e-12)
