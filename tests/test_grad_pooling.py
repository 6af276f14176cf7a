"""The backward of pooling: derivatives, rules for equals and NaN, strides, threads, memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import swath
from cases.case import Case
from cases.pooling_backward import BLOCKS, EXTREMES, SUMS
from support import (
    VIEWS,
    Array,
    assert_same_bits,
    between_forbidden_pages,
    check,
    clusters,
    require,
)

CASES = EXTREMES + SUMS + BLOCKS
SMALL = [c for c in CASES if c.fill != "peak" and np.prod(c.x, dtype=np.int64) < 5_000]
SIMD = [c for c in clusters() if c != "reference"]
NAN, INF = np.nan, np.inf


@pytest.fixture
def _many_threads() -> Iterator[None]:
    swath.set_num_threads(7)
    yield
    swath.set_num_threads(os.cpu_count() or 1)


DIFFERENTIABLE = [c for c in SMALL if c.fill == "normal" and 0 < np.prod(c.x) < 1_000]


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_gradient_is_the_derivative(case: Case) -> None:
    """Central differences in random directions; the values of x lie far apart for their step."""
    arrays = case.inputs("f64")
    rng = np.random.default_rng(1)
    x = rng.permutation(arrays["x"].size).reshape(case.x) / 8.0
    dx = case.run(swath, {**arrays, "x": x})
    forward = getattr(swath, case.forward.function)
    for _ in range(3):
        step = 0.02 * rng.uniform(-1, 1, x.shape)
        up, down = (forward(x + sign * step, **case.kwargs) for sign in (1, -1))
        change = float((arrays["dy"] * (up - down) / 2).sum())
        assert change == pytest.approx(float((dx * step).sum()), rel=1e-9, abs=1e-11)


def _torch_calls(rng: np.random.Generator, n: int) -> Iterator[tuple[str, dict[str, Any], Array]]:
    for _ in range(n):
        ndim = int(rng.integers(1, 4))
        window = rng.integers(1, 5, ndim)
        kwargs: dict[str, Any] = {
            "window": tuple(map(int, window)),
            "stride": tuple(map(int, rng.integers(1, 4, ndim))),
            "padding": tuple(int(rng.integers(0, k // 2 + 1)) for k in window),
        }
        kind = str(rng.choice(["max", "avg"]))
        if kind == "max":
            kwargs["dilation"] = tuple(map(int, rng.integers(1, 4, ndim)))
        elif ndim > 1 or rng.random() < 0.5:
            kwargs["count_include_pad"] = bool(rng.random() < 0.5)
        limits = {1: 50, 2: 24, 3: 14}
        shape = (int(rng.integers(1, 3)), int(rng.integers(1, 19)))
        shape += tuple(int(rng.integers(12, limits[ndim] + 1)) for _ in range(ndim))
        # Few values, so that maxima are equal; some are NaN or -inf.
        x = rng.integers(-3, 4, shape).astype(np.float64)
        if kind == "max":
            x[rng.random(shape) < 0.05] = rng.choice([NAN, -INF])
        yield f"{kind}_pool{ndim}d", kwargs, x


@pytest.mark.parametrize("cluster", SIMD)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_random_windows_agree_with_autograd(cluster: str, layout: str) -> None:
    torch = require("torch")
    rng = np.random.default_rng(3)
    for name, kwargs, x in _torch_calls(rng, 60):
        keywords = {"kernel_size" if k == "window" else k: v for k, v in kwargs.items()}
        t = torch.from_numpy(x).requires_grad_()
        y = getattr(torch.nn.functional, name)(t, **keywords)
        dy = rng.integers(-9, 10, tuple(y.shape)).astype(np.float64)
        (expected,) = torch.autograd.grad(y, t, torch.from_numpy(dy))
        mine = [dy, x]
        if layout == "channels_last":
            mine = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in mine]
        with swath.testing.force_kernel(cluster):
            dx = getattr(swath.grad, name)(*mine, **kwargs, layout=layout).dx
        dx = np.moveaxis(dx, -1, 1) if layout == "channels_last" else dx
        np.testing.assert_allclose(dx, expected.numpy(), rtol=1e-12, atol=1e-12, err_msg=name)


RULES = [
    ("first_of_equals", [[1, 3], [3, 3]], [[0, 1], [0, 0]]),
    ("first_row_before_first_column", [[1, 3], [3, 1]], [[0, 1], [0, 0]]),
    ("last_nan", [[NAN, 9], [NAN, 1]], [[0, 0], [1, 0]]),
    ("nan_before_infinity", [[INF, 1], [1, NAN]], [[0, 0], [0, 1]]),
    ("infinity", [[1, 2], [INF, INF]], [[0, 0], [1, 0]]),
    ("all_minus_infinity", [[-INF, -INF], [-INF, -INF]], [[1, 0], [0, 0]]),
    ("zeros_of_both_signs", [[-0.0, 0.0], [0.0, -0.0]], [[1, 0], [0, 0]]),
]


@pytest.mark.parametrize("force", clusters())
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("x", "dx"), [r[1:] for r in RULES], ids=[r[0] for r in RULES])
def test_one_element_of_a_window_has_the_gradient(x: Any, dx: Any, dtype: str, force: str) -> None:
    image, expected = np.array([x], dtype), np.array([dx], dtype)
    one = np.ones((1, 1, 1), dtype)
    with swath.testing.force_kernel(force):
        assert_same_bits(swath.grad.max_pool2d(one, image, 2).dx, expected)
        lowest = swath.grad.sliding_reduce(one[0, 0], -image.ravel(), 4, op="min").dx
    assert_same_bits(lowest, expected.ravel())


@pytest.mark.parametrize("force", clusters())
@pytest.mark.parametrize("window", [3, 5, 9])
def test_padding_never_has_the_gradient(window: int, force: str) -> None:
    """Where all elements are as low as the padding, the first one inside is the maximum."""
    pad = window // 2
    x = np.full((1, 2, 11, 37), -INF, np.float32)
    dy = np.ones((1, 2, 11, 37), np.float32)
    with swath.testing.force_kernel(force):
        dx = swath.grad.max_pool2d(dy, x, window, stride=1, padding=pad).dx
    first = [np.maximum(np.arange(n) - pad, 0) for n in (11, 37)]
    expected = np.zeros_like(x)
    np.add.at(expected, (slice(None), slice(None), first[0][:, None], first[1][None, :]), 1)
    assert_same_bits(dx, expected)


@pytest.mark.parametrize("force", clusters())
def test_values_of_other_windows_do_not_leak(force: str) -> None:
    """An infinite dy stays with its own element: nothing is made by multiplying with zero."""
    x = np.arange(2 * 8 * 40, dtype=np.float32).reshape(1, 2, 8, 40)
    for window, stride in ((2, 2), (3, 2), (9, 1)):
        y = swath.max_pool2d(x, window if window < 9 else (5, 15), stride=stride)
        dy = np.zeros_like(y)
        dy[0, 1, 1, 3] = INF
        dy[0, 0, 0, 1] = NAN
        with swath.testing.force_kernel(force):
            dx = swath.grad.max_pool2d(dy, x, window if window < 9 else (5, 15), stride=stride).dx
        assert np.isinf(dx).sum() == np.isnan(dx).sum() == 1


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", SMALL[::2], ids=str)
def test_strided_arrays(case: Case, view: str) -> None:
    arrays = case.inputs("f32")
    seen = {name: VIEWS[view](a) for name, a in arrays.items()}
    check(case, case.run(swath, seen), arrays)


@pytest.mark.parametrize("flush", ["start", "end"])
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_nothing_outside_the_arrays_is_read(case: Case, flush: str) -> None:
    for dtype, cluster in itertools.product(("f32", "bf16"), SIMD):
        arrays = case.inputs(dtype)
        with (
            swath.testing.force_kernel(cluster),
            between_forbidden_pages(arrays, flush=flush) as guarded,
        ):
            dx = case.run(swath, guarded)
        check(case, dx, arrays)


THREADED = [
    Case(f"{kind}_{name}", f"grad.{kind}_pool2d", x, None, kwargs)
    for kind in ("max", "avg")
    for name, x, kwargs in [
        ("tiles", (2, 20, 60, 61), {"window": 2}),
        ("overlap", (2, 20, 60, 61), {"window": 3, "stride": 2, "padding": 1}),
        ("wide", (2, 3, 90, 101), {"window": (9, 14), "stride": 1, "padding": (4, 0)}),
        ("one_plane", (1, 1, 300, 301), {"window": 3, "stride": 1}),
        ("last", (2, 60, 61, 20), {"window": 3, "stride": 2, "layout": "channels_last"}),
        ("inner", (2, 20, 60, 61), {"window": 3, "padding": 1}
         | ({"count_include_pad": False} if kind == "avg" else {})),
    ]
]  # fmt: skip


@pytest.mark.usefixtures("_many_threads")
@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("case", THREADED, ids=str)
def test_threads_runs_and_batch_mates_give_the_same_bits(case: Case, dtype: str) -> None:
    arrays = case.inputs(dtype)
    for cluster in SIMD:
        with swath.testing.force_kernel(cluster):
            first = case.run(swath, arrays, threads=1)
            for n in (1, 2, 3, 7):
                assert_same_bits(case.run(swath, arrays, threads=n), first)
            alone = case.run(swath, {name: a[:1] for name, a in arrays.items()})
            assert_same_bits(alone, first[:1])


@pytest.mark.parametrize("force", clusters())
@pytest.mark.parametrize(
    "shape", [(0, 3, 8, 8), (2, 0, 8, 8), (1, 3, 0, 8), (1, 3, 8, 0), (0, 8, 8)]
)
def test_empty_arrays_have_empty_gradients(shape: tuple[int, ...], force: str) -> None:
    x = np.zeros(shape, np.float32)
    with swath.testing.force_kernel(force):
        for kind in ("max", "avg"):
            y = getattr(swath, f"{kind}_pool2d")(x, 2)
            assert getattr(swath.grad, f"{kind}_pool2d")(y, x, 2).dx.shape == shape


@pytest.mark.parametrize("force", clusters())
def test_elements_of_no_window_get_zeros(force: str) -> None:
    x = np.ones((1, 2, 10, 11), np.float32)
    with swath.testing.force_kernel(force):
        for name in ("max_pool2d", "avg_pool2d"):
            y = getattr(swath, name)(x, 2, stride=(3, 5))
            dx = getattr(swath.grad, name)(np.ones_like(y), x, 2, stride=(3, 5)).dx
            covered = np.zeros((10, 11), bool)
            for i, j in itertools.product((0, 3, 6), (0, 5)):
                covered[i : i + 2, j : j + 2] = True
            assert (dx[..., ~covered] == 0).all()
            assert dx.sum() == y.size


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32"])
def test_long_sums_do_not_drift(dtype: str) -> None:
    """One element is the maximum of 99 x 99 windows."""
    case = Case("peak", "grad.max_pool2d", (1, 1, 150, 150), None,
                {"window": (100, 100), "stride": 1}, (), "normal")  # fmt: skip
    arrays = case.inputs(dtype)
    arrays["x"][...] = 0
    arrays["x"][0, 0, 75, 75] = 1
    arrays["dy"][...] = 0.1
    check(case, case.run(swath, arrays), arrays)


def test_a_large_stride_or_window_takes_no_memory_of_its_size() -> None:
    x = np.ones((1, 1, 3, 3), np.float32)
    one = np.ones((1, 1, 1, 1), np.float32)
    big = 2**31 - 1
    for name in ("max_pool2d", "avg_pool2d"):
        dx = getattr(swath.grad, name)(one, x, 3, stride=big).dx
        assert dx.sum() == pytest.approx(1)
    dx = swath.grad.max_pool2d(one, x, 2, dilation=big, padding=((0, big - 2), (0, big - 2))).dx
    assert dx[0, 0, 0, 0] == dx.sum() == 1


def test_results_are_named_and_in_the_library_of_dy() -> None:
    torch = require("torch")
    dy, x = torch.ones(1, 2, 2), torch.zeros(1, 4, 4)
    for found in (
        swath.grad.max_pool2d(dy, x, 2),
        swath.grad.avg_pool2d(dy, x, 2),
        swath.grad.space_to_depth(torch.ones(4, 2, 2), x, 2),
    ):
        assert found._fields == ("dx",)
        assert isinstance(found.dx, torch.Tensor)
        assert found.dx.shape == x.shape


def test_explain_tells_the_kernel_and_the_work() -> None:
    dy, x = np.ones((1, 2, 4, 4), np.float32), np.ones((1, 2, 8, 8), np.float32)
    told = swath.info.explain(swath.grad.max_pool2d, dy, x, 2)
    assert told.op == "grad.max_pool2d"
    assert told.kernel.startswith("pooling_backward_f32")
    assert told.bytes == 4 * (dy.size + 2 * x.size)
    assert told.flops == dy.size * 4 + dy.size
    told = swath.info.explain(swath.grad.avg_pool2d, dy, x, 2)
    assert told.kernel.startswith("pooling_f32")
    assert told.bytes == 4 * (dy.size + x.size)
    assert told.flops == dy.size * 4


def test_poolings_share_one_signature() -> None:
    x, dy = np.ones((1, 2, 4, 4), np.float32), np.ones((1, 2, 2, 2), np.float32)
    for include in (True, False):
        options: Any = {"stride": 2, "padding": 0, "dilation": 1, "count_include_pad": include}
        assert_same_bits(swath.max_pool2d(x, 2, **options), dy)
        found = swath.grad.max_pool2d(dy, x, 2, **options).dx
        assert_same_bits(found, swath.grad.max_pool2d(dy, x, 2).dx)


def test_needs_skips_dx() -> None:
    """As every gradient: by the name of the input or of the gradient."""
    x, dy = np.ones((1, 2, 4, 4), np.float32), np.ones((1, 2, 2, 2), np.float32)
    for function in (swath.grad.avg_pool2d, swath.grad.max_pool2d):
        assert function(dy, x, 2, needs=()).dx is None
        assert function(dy, x, 2, needs=("x",)).dx is not None
        assert function(dy, x, 2, needs=("dx",)).dx is not None
        with pytest.raises(swath.ParamError, match="needs"):
            function(dy, x, 2, needs=("window",))
    folded = swath.grad.space_to_depth(swath.space_to_depth(x, 2), x, 2, needs=())
    assert folded.dx is None
