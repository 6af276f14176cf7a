"""Gradients of the convolutions: finite differences, autograd, needs, determinism, layouts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import oracle
import swath
from cases.case import Case, numpy_dtype
from cases.grad import GradCase, grad_case
from cases.sliding_conv import ACTIVATIONS, EPILOGUE
from support import Array, assert_same_bits, clusters, require

THREADS = (1, 2, 3, 7)
FORWARD_ORDER = ("x", "weight", "bias", "scale", "shift", "residual")


def _forward(name: str, x: Any, weight: Any, *extras: str, **kwargs: Any) -> Case:
    return Case(name, f"conv{len(weight) - 2}d", x, weight, kwargs, extras)


SMALL = [
    _forward("plain", (2, 3, 6, 7), (4, 3, 3, 2), "bias", padding=1),
    _forward("strided", (1, 4, 7, 9), (4, 2, 3, 3), "bias", stride=(2, 3), groups=2, padding=2),
    _forward("dilated_rest", (1, 2, 11, 9), (3, 2, 2, 3), stride=3, dilation=(3, 2)),
    *(
        _forward(f"mode_{mode}", (2, 3, 5, 6), (2, 3, 3, 3), "bias", padding=((1, 2), (2, 0)),
                 padding_mode=mode)
        for mode in ("reflect", "replicate", "circular", "partial")
    ),
    _forward("epilogue", (2, 3, 5, 6), (4, 3, 3, 3), *EPILOGUE, padding=1, activation="silu"),
    _forward("before", (2, 3, 5, 6), (4, 3, 3, 3), *EPILOGUE, padding=1, activation="gelu",
             residual_order="before"),
    _forward("partial_curved", (1, 3, 5, 6), (4, 3, 3, 3), *EPILOGUE, padding=4,
             padding_mode="partial", activation="tanh"),
    _forward("range", (2, 6, 5, 6), (3, 3, 3, 3), *EPILOGUE, padding=1, channels=(2, 5),
             activation="softplus"),
    _forward("range_alone", (2, 6, 5, 6), (4, 3, 3, 3), "bias", channels=(2, 5),
             passthrough="none"),
    _forward("own_dilation", (1, 4, 7, 8), (4, 2, 3, 3), *EPILOGUE, padding="same", groups=2,
             activation="sigmoid", dilation=np.array([[1, 1], [2, 1], [1, 3], [1, 3]])),
    _forward("row", (2, 3, 15), (6, 1, 4), "bias", groups=3, padding="causal"),
    _forward("volume", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), "bias", padding=1, stride=2),
    Case("up", "conv_transpose2d", (2, 4, 4, 5), (4, 3, 3, 2), {"stride": 2, "padding": 1},
         ("bias",)),
    Case("up_extra", "conv_transpose2d", (1, 4, 4, 5), (4, 3, 3, 2),
         {"stride": 2, "dilation": 4, "output_padding": 3, "groups": 2}, ("bias",)),
]  # fmt: skip


def _gradients(case: Case, arrays: Mapping[str, Array], dy: Array, **more: Any) -> dict[str, Array]:
    first = [dy, *(arrays[k] for k in ("x", "weight", "bias") if k in arrays)]
    named = {k: v for k, v in arrays.items() if k in ("scale", "shift", "residual")}
    grads = getattr(swath.grad, case.function)(*first, **named, **{**case.kwargs, **more})
    return {k[1:]: v for k, v in grads._asdict().items() if v is not None}


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_gradients_are_central_differences_of_the_forward(case: Case) -> None:
    """In float64 along random directions, of every input at once and of each alone."""
    arrays = case.inputs("f64")
    rng = np.random.default_rng(5)
    dy = rng.normal(size=case.run(swath, arrays).shape)
    grads = _gradients(case, arrays, dy)
    h = 1e-5
    for name in arrays:
        for _ in range(3):
            direction = rng.normal(size=arrays[name].shape)

            def value(step: float, name: str = name, direction: Array = direction) -> float:
                moved = {**arrays, name: arrays[name] + step * direction}
                return float((case.run(swath, moved) * dy).sum())

            difference = (value(h) - value(-h)) / (2 * h)
            exact = float((grads[name] * direction).sum())
            size = float(np.abs(grads[name] * direction).sum()) + np.abs(dy).sum()
            assert abs(difference - exact) <= 1e-8 * size, name


def _torch_padded(torch: Any, x: Any, pads: Any, mode: str) -> Any:
    numpy_mode = {"zeros": "constant", "reflect": "reflect", "replicate": "edge",
                  "circular": "wrap"}[mode]  # fmt: skip
    if mode == "zeros":
        return torch.nn.functional.pad(x, [p for pair in reversed(pads) for p in pair])
    for i, pair in enumerate(pads):
        index = np.pad(np.arange(x.shape[2 + i]), pair, mode=numpy_mode)
        x = x.index_select(2 + i, torch.from_numpy(index))
    return x


def _torch_activation(torch: Any, activation: Any) -> Callable[[Any], Any]:
    f = torch.nn.functional
    name, value = activation if isinstance(activation, tuple) else (activation, None)
    if name == "gelu_tanh":
        return lambda z: f.gelu(z, approximate="tanh")
    if name == "softplus":  # torch's own gives up above 20
        return lambda z: torch.logaddexp(z, torch.zeros_like(z))
    if name == "hardsigmoid":  # torch's own has 1 / 6 in float32
        return lambda z: f.relu6(z + 3) / 6
    if value is not None:
        return lambda z: getattr(f, name)(z, value)
    return getattr(f, name) if name else lambda z: z


def _draw(rng: Any) -> Case | None:
    """A random convolution that torch can do; None if its window does not fit."""
    ndim = int(rng.integers(1, 4))
    groups, per_in, per_out = (int(v) for v in rng.integers(1, 5, 3))
    kind = rng.random()
    if kind < 0.3:
        groups, per_in, per_out = int(rng.integers(1, 40)), 1, 1
    elif kind < 0.5:
        groups, per_in, per_out = 1, int(rng.integers(5, 20)), int(rng.integers(10, 40))
    top = {1: 60, 2: 22, 3: 9}[ndim]
    sizes = [int(v) for v in rng.integers(1, top, ndim)]
    kernel, stride, dilation = ([int(v) for v in rng.integers(1, m, ndim)] for m in (5, 4, 4))
    mode = str(rng.choice(["zeros", "reflect", "replicate", "circular"]))
    limit = {"reflect": -1, "circular": 0}.get(mode, 9)
    pads = [tuple(min(int(v), max(n + limit, 0)) for v in rng.integers(0, 4, 2)) for n in sizes]
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if any(n + a + b < s for n, (a, b), s in zip(sizes, pads, spans, strict=True)):
        return None
    extras = [name for name in EPILOGUE if rng.random() < 0.5]
    kwargs = {
        "stride": stride, "dilation": dilation, "padding": pads, "padding_mode": mode,
        "groups": groups,
        "activation": [None, *ACTIVATIONS][int(rng.integers(len(ACTIVATIONS) + 1))],
        "residual_order": str(rng.choice(["after", "before"])),
    }  # fmt: skip
    shape = (int(rng.integers(1, 4)), groups * per_in, *sizes)
    weight = (groups * per_out, per_in, *kernel)
    return Case("drawn", f"conv{ndim}d", shape, weight, kwargs, tuple(extras))


def _torch_gradients(torch: Any, case: Case, arrays: Mapping[str, Array], dy: Array) -> Any:
    leaves = {k: torch.tensor(a, requires_grad=True) for k, a in arrays.items()}
    leaves.setdefault("bias", torch.zeros(dy.shape[1], dtype=torch.float64, requires_grad=True))
    k = case.kwargs
    x = _torch_padded(torch, leaves["x"], k["padding"], k["padding_mode"])
    convolve = getattr(torch.nn.functional, case.function)
    z = convolve(x, leaves["weight"], leaves["bias"], k["stride"], 0, k["dilation"], k["groups"])
    column = (-1,) + (1,) * case.ndim
    if "scale" in leaves:
        z = z * leaves["scale"].reshape(column)
    if "shift" in leaves:
        z = z + leaves["shift"].reshape(column)
    if "residual" in leaves and k["residual_order"] == "before":
        z = z + leaves["residual"]
    y = _torch_activation(torch, k["activation"])(z)
    if "residual" in leaves and k["residual_order"] == "after":
        y = y + leaves["residual"]
    y.backward(torch.tensor(dy))
    return {name: leaf.grad.numpy() for name, leaf in leaves.items()}


@pytest.mark.parametrize("seed", range(40))
def test_gradients_agree_with_torch_autograd(seed: int) -> None:
    torch = require("torch")
    rng = np.random.default_rng(seed)
    for _ in range(4):
        case = _draw(rng)
        if case is None:
            continue
        arrays = case.inputs("f64")
        dy = rng.normal(size=case.run(swath, arrays).shape)
        expected = _torch_gradients(torch, case, arrays, dy)
        last = {k: np.moveaxis(arrays[k], 1, -1) for k in ("x", "residual") if k in arrays}
        for layout in ("channels_first", "channels_last"):
            is_last = layout == "channels_last"
            mine = {**arrays, **last} if is_last else arrays
            g = np.moveaxis(dy, 1, -1) if is_last else dy
            for name, grad in _gradients(case, mine, g, layout=layout).items():
                if is_last and name in last:
                    grad = np.moveaxis(grad, -1, 1)
                size = np.abs(expected[name]).max(initial=1e-3)
                assert np.abs(grad - expected[name]).max(initial=0) <= 1e-12 * size, (case, name)


LARGE = [
    GradCase(c.id, c.function, c.x, c.weight, c.kwargs, c.extras)
    for c in (
        _forward("dense", (3, 40, 30, 31), (50, 40, 3, 3), "bias", padding=1, activation="silu"),
        _forward("depthwise", (3, 40, 40, 45), (40, 1, 7, 7), *EPILOGUE, groups=40, padding=3),
        _forward("dense_last", (2, 30, 31, 40), (50, 40, 3, 3), "scale", padding=1,
                 layout="channels_last"),
        _forward("depthwise_last", (2, 40, 45, 70), (70, 1, 3, 3), "bias", groups=70, padding=1,
                 layout="channels_last", activation="relu"),
        _forward("few_channels", (5, 3, 96, 130), (5, 3, 5, 5), "bias", padding=2),
        _forward("one_channel", (4, 1, 200, 301), (1, 1, 9, 9), padding=4, padding_mode="reflect"),
        _forward("own_dilation", (2, 12, 40, 41), (6, 12, 3, 3), "bias", padding="same",
                 dilation=np.array([[d, 1] for d in (1, 2, 3, 3, 2, 1)])),
        Case("up", "conv_transpose2d", (2, 20, 20, 31), (20, 24, 4, 4), {"stride": 2}, ("bias",)),
    )
]  # fmt: skip


@pytest.fixture
def _many_threads() -> Iterator[None]:
    swath.set_num_threads(max(THREADS))
    yield
    swath.set_num_threads(os.cpu_count() or 1)


@pytest.mark.usefixtures("_many_threads")
@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: GradCase, dtype: str) -> None:
    arrays = case.inputs(dtype)
    for cluster in [c for c in clusters() if c != "reference"]:
        with swath.testing.force_kernel(cluster):
            first = case.run(swath, arrays, threads=1)
            for n in THREADS:
                assert_same_bits(case.run(swath, arrays, threads=n), first)


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_dx_of_a_sample_does_not_depend_on_its_batch(case: GradCase) -> None:
    arrays = case.inputs("f32")
    alone = GradCase(case.id, case.function, case.x, case.weight, case.kwargs, case.extras,
                     needs=("x",))  # fmt: skip
    together = alone.run(swath, arrays)
    for i in range(case.x[0]):
        one = {k: a[i : i + 1] if k in ("dy", "x", "residual") else a for k, a in arrays.items()}
        assert_same_bits(alone.run(swath, one), together[i : i + 1])


def test_unbatched_gradients_equal_those_of_a_batch_of_one() -> None:
    for case in (c for c in SMALL if c.x[0] == 1):
        arrays = case.inputs("f32")
        dy = case.run(swath, arrays)
        one = {k: a[0] if k in ("x", "residual") else a for k, a in arrays.items()}
        batched, plain = _gradients(case, arrays, dy), _gradients(case, one, dy[0])
        for name, grad in plain.items():
            expected = batched[name][0] if name in ("x", "residual") else batched[name]
            assert_same_bits(grad, expected)


@pytest.mark.parametrize("case", [SMALL[7], SMALL[8], SMALL[10], SMALL[-1]], ids=str)
def test_each_need_alone_gives_the_same_bits(case: Case) -> None:
    arrays = case.inputs("f32")
    dy = case.run(swath, arrays)
    everything = _gradients(case, arrays, dy)
    names = FORWARD_ORDER[:3] if case.op == "conv_transpose" else FORWARD_ORDER
    assert _gradients(case, arrays, dy, needs=()) == {}
    for name in names:
        found = _gradients(case, arrays, dy, needs=(name,))
        assert set(found) == {name} & set(everything)
        for key, grad in found.items():
            assert_same_bits(grad, everything[key])


def test_absent_inputs_have_no_gradient_but_the_bias() -> None:
    x, w = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
    grads = swath.grad.conv2d(np.ones((1, 3, 3, 3), np.float32), x, w)
    assert (grads.dscale, grads.dshift, grads.dresidual) == (None, None, None)
    np.testing.assert_array_equal(grads.dbias, [9, 9, 9])
    assert isinstance(grads, tuple)


def test_rows_that_no_window_reaches_get_zero() -> None:
    x, w = np.ones((1, 1, 10), np.float32), np.ones((1, 1, 2), np.float32)
    dx = swath.grad.conv1d(np.ones((1, 1, 3), np.float32), x, w, stride=4).dx
    np.testing.assert_array_equal(dx[0, 0], [1, 1, 0, 0, 1, 1, 0, 0, 1, 1])
    dx = swath.grad.conv1d(np.ones((1, 1, 2), np.float32), x, w, stride=5).dx
    np.testing.assert_array_equal(dx[0, 0], [1, 1, 0, 0, 0, 1, 1, 0, 0, 0])


def test_channels_that_pass_through_take_dy_or_nothing() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 5, 6, 6)), rng.normal(size=(2, 2, 3, 3))
    dy = rng.normal(size=x.shape)
    dx = swath.grad.conv2d(dy, x, w, padding=1, channels=(1, 3)).dx
    assert_same_bits(dx[:, [0, 3, 4]], dy[:, [0, 3, 4]])
    dx = swath.grad.conv2d(dy[:, :2], x, w, padding=1, channels=(1, 3), passthrough="none").dx
    assert not dx[:, [0, 3, 4]].any()
    assert dx[:, 1:3].all()


@pytest.mark.parametrize("activation", ["relu", "relu6", "hardsigmoid", "hardswish"])
def test_nothing_passes_where_an_activation_is_flat(activation: str) -> None:
    """Not even an infinite dy; and a NaN reaches only what depends on it."""
    x = np.full((1, 1, 40), -5, np.float32)
    dy = np.full((1, 1, 40), np.inf, np.float32)
    grads = swath.grad.conv1d(dy, x, np.ones((1, 1, 1), np.float32), activation=activation)
    assert not grads.dx.any()
    assert not grads.dbias.any()
    x[0, 0, 7] = np.nan
    dx = swath.grad.conv1d(dy, x, np.ones((1, 1, 1), np.float32), activation=activation).dx
    assert np.isnan(dx[0, 0, 7])
    assert np.count_nonzero(dx) == 1


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_a_nan_in_x_reaches_only_the_taps_that_see_it(layout: str) -> None:
    x = np.ones((1, 3, 9, 37), np.float32)
    x[0, 1, 4, 0] = np.nan  # the first column: seen by the first tap alone
    w, dy = np.ones((20, 3, 3, 3), np.float32), np.ones((1, 20, 7, 35), np.float32)
    if layout == "channels_last":
        x, dy = np.moveaxis(x, 1, -1), np.moveaxis(dy, 1, -1)
    for kernel in swath.info.kernels("conv_weight_grad"):
        with swath.testing.force_kernel(kernel):
            try:
                grad = swath.grad.conv2d(dy, x, w, layout=layout, needs=("weight",)).dweight
            except swath.UnsupportedError:
                continue
        assert np.isnan(grad[:, 1, :, 0]).all()
        assert np.isfinite(grad[:, [0, 2]]).all()
        assert np.isfinite(grad[:, 1, :, 1:]).all()


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "bf16"])
def test_results_are_of_the_inputs_dtype_and_library(dtype: str) -> None:
    case = grad_case(SMALL[7])
    arrays = case.inputs(dtype)
    assert case.run(swath, arrays).dtype == numpy_dtype(dtype)
    if dtype == "f32":
        torch = require("torch")
        tensors = {k: torch.from_numpy(a) for k, a in arrays.items()}
        grads = swath.grad.conv2d(tensors["dy"], tensors["x"], tensors["weight"], padding=1)
        assert all(isinstance(g, torch.Tensor) for g in grads[:3])


def test_the_transposed_gradient_is_that_of_the_adjoint() -> None:
    """<conv_transpose(x, w), dy> differentiated by x is conv(dy, w)."""
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(4, 3, 3, 2))
    y = swath.conv_transpose2d(x, w, stride=2)
    dx = swath.grad.conv_transpose2d(y, x, w, stride=2).dx
    assert_same_bits(dx, swath.conv2d(y, w, stride=2))


def test_explain_tells_about_gradients() -> None:
    case = SMALL[0]
    arrays = case.inputs("f32")
    dy = case.run(swath, arrays)
    told = swath.info.explain(swath.grad.conv2d, dy, arrays["x"], arrays["weight"], padding=1)
    assert told.op == "grad.conv2d"
    work = 2 * dy.size * arrays["weight"][0].size
    # Phases of the transposed convolution count the border as well.
    assert told.flops >= 2 * work - work // 2
    forward = oracle.conv(arrays["x"], arrays["weight"], padding=1)
    assert forward.value.shape == dy.shape
