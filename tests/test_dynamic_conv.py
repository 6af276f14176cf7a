"""Properties of dynamic convolution that a single case cannot show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import swath
from cases.case import DTYPES, numpy_dtype
from support import Array, assert_same_bits, clusters, require

RNG = np.random.default_rng(11)


def normal(*shape: int, dtype: str = "f32") -> Array:
    return RNG.normal(size=shape).astype(numpy_dtype(dtype))


def test_constant_taps_are_a_depthwise_convolution() -> None:
    x, taps = normal(2, 6, 40, dtype="f64"), normal(3, 5, dtype="f64")
    everywhere = np.broadcast_to(taps[None, :, :, None], (2, 3, 5, 40))
    expected = swath.conv1d(x, taps.repeat(2, 0)[:, None], padding="causal", groups=6)
    np.testing.assert_allclose(swath.dynamic_conv1d(x, everywhere), expected, rtol=1e-12)
    np.testing.assert_allclose(swath.dynamic_conv1d(x, taps), expected, rtol=1e-12)


def test_interleaved_is_blocked_on_permuted_channels() -> None:
    x, w = normal(2, 12, 9, 10), normal(2, 4, 9, 9, 10)
    order = np.arange(12).reshape(3, 4).T.ravel()
    y = swath.small_kernel_aggregation2d(x, w)
    assert_same_bits(y[:, order], swath.dynamic_conv2d(x[:, order], w))


@pytest.mark.parametrize("head_map", ["blocked", "interleaved"])
def test_layouts_agree(head_map: Any) -> None:
    x, w = normal(2, 24, 33), normal(2, 3, 7, 33)
    options: dict[str, Any] = {"softmax": True, "head_map": head_map}
    last = swath.dynamic_conv1d(
        x.swapaxes(1, 2).copy(), np.moveaxis(w, 3, 1).copy(), layout="channels_last", **options
    )
    assert_same_bits(last.swapaxes(1, 2), swath.dynamic_conv1d(x, w, **options))


def test_renormalized_taps_sum_to_one() -> None:
    x, w = np.ones((1, 4, 9)), normal(1, 2, 5, 9, dtype="f64")
    y = swath.dynamic_conv1d(x, w, softmax=True, renormalize_padding=True)
    np.testing.assert_allclose(y, 1, rtol=1e-14)
    z = swath.dynamic_conv1d(x, w, softmax=True)
    assert (z[..., :4] < 0.999).all()
    np.testing.assert_allclose(z[..., 4:], 1, rtol=1e-14)


def test_far_below_the_maximum_in_range_taps_survive() -> None:
    """The maximum is that of the taps in range: no quotient of two underflowed sums."""
    w = np.array([[200.0, -200.0]], np.float32)
    y = swath.dynamic_conv1d(
        np.ones((1, 1, 3), np.float32), w, softmax=True, renormalize_padding=True
    )
    np.testing.assert_array_equal(y, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_samples_do_not_depend_on_each_other(dtype: str) -> None:
    x, w = normal(5, 16, 70, dtype=dtype), normal(5, 2, 7, 70, dtype=dtype)
    y = swath.dynamic_conv1d(x, w, softmax=True)
    g = swath.grad.dynamic_conv1d(x, x, w, softmax=True)
    for i in range(5):
        one = slice(i, i + 1)
        assert_same_bits(swath.dynamic_conv1d(x[one], w[one], softmax=True), y[one])
        alone = swath.grad.dynamic_conv1d(x[one], x[one], w[one], softmax=True)
        assert_same_bits(alone.dx, g.dx[one])
        assert_same_bits(alone.dweight, g.dweight[one])


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_give_the_same_bits(threads: int) -> None:
    """Large enough to be shared."""
    x, w, shared = normal(3, 64, 700), normal(3, 4, 9, 700), normal(4, 9)
    image, taps = normal(2, 32, 40, 50), normal(2, 4, 25, 40, 50)
    calls = [
        lambda n: swath.dynamic_conv1d(x, w, softmax=True, threads=n),
        lambda n: swath.grad.dynamic_conv1d(x, x, w, softmax=True, threads=n),
        lambda n: swath.grad.dynamic_conv1d(x, x, shared, softmax=True, threads=n),
        lambda n: swath.dynamic_conv2d(image, taps, threads=n),
        lambda n: swath.grad.dynamic_conv2d(image, image, taps, threads=n),
    ]
    for call in calls:
        one, many = call(1), call(threads)
        pairs = zip(one, many, strict=True) if isinstance(one, tuple) else [(one, many)]
        for a, b in pairs:
            assert_same_bits(a, b)


def test_nan_reaches_only_the_outputs_that_meet_it() -> None:
    x, w = normal(1, 4, 50), normal(1, 2, 5, 50)
    x[0, 1, 20] = np.nan
    w[0, 1, 2, 40] = np.nan
    for layout, axes in (("channels_first", (0, 1, 2)), ("channels_last", (0, 2, 1))):
        taps = w if layout == "channels_first" else np.moveaxis(w, 3, 1)
        y = swath.dynamic_conv1d(x.transpose(axes), taps, layout=layout).transpose(axes)
        expected = np.zeros((4, 50), bool)
        expected[1, 20:25] = True
        expected[2:, 40] = True
        np.testing.assert_array_equal(np.isnan(y[0]), expected)


def test_published_weights_of_six_axes() -> None:
    x, w = normal(2, 8, 9, 10), normal(2, 2, 3, 5, 9, 10)
    flat = w.reshape(2, 2, 15, 9, 10)
    expected = swath.dynamic_conv2d(x, flat, kernel=(3, 5))
    assert_same_bits(swath.involution2d(x, w), expected)
    assert_same_bits(swath.involution2d(x, flat, kernel=(3, 5)), expected)
    grads = swath.grad.involution2d(expected, x, w)
    assert grads.dweight.shape == w.shape
    light = normal(2, 1, 3)
    assert_same_bits(
        swath.lightweight_conv1d(x[:, :, 0], light),
        swath.dynamic_conv1d(x[:, :, 0], light[:, 0], softmax=True),
    )


@pytest.mark.parametrize("cluster", clusters())
@pytest.mark.parametrize("softmax", [False, True])
def test_torch_agrees(cluster: str, softmax: bool) -> None:
    """The published formula as torch operations, and its autograd."""
    torch = require("torch")
    x = torch.randn(2, 12, 9, 11, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, 3, 25, 5, 6, dtype=torch.float64, requires_grad=True)
    taps = w.softmax(2) if softmax else w
    pieces = torch.nn.functional.unfold(x, 5, padding=2, stride=2).view(2, 3, 4, 25, 5, 6)
    y = (taps[:, :, None] * pieces).sum(3).view(2, 12, 5, 6)
    dy = torch.randn_like(y)
    y.backward(dy)
    given = [v.detach().numpy() for v in (dy, x, w)]
    with swath.testing.force_kernel(cluster):
        found = swath.dynamic_conv2d(*given[1:], stride=2, softmax=softmax)
        grads = swath.grad.dynamic_conv2d(*given, stride=2, softmax=softmax)
    np.testing.assert_allclose(found, y.detach().numpy(), atol=1e-11)
    np.testing.assert_allclose(grads.dx, x.grad.numpy(), atol=1e-11)
    np.testing.assert_allclose(grads.dweight, w.grad.numpy(), atol=1e-11)


_DIFFERENCES: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ("dynamic_conv1d", (2, 4, 7), (2, 2, 3, 7), {"softmax": True}),
    ("dynamic_conv1d", (2, 4, 7), (2, 3), {"softmax": True, "renormalize_padding": True}),
    ("dynamic_conv1d", (1, 4, 5), (1, 2, 8, 5), {"softmax": True, "renormalize_padding": True}),
    ("lightweight_conv1d", (2, 4, 7), (2, 3), {"padding": "same"}),
    ("dynamic_conv2d", (1, 4, 5, 6), (1, 2, 9, 3, 3), {"softmax": True, "stride": 2}),
    ("involution2d", (1, 4, 5, 6), (1, 2, 3, 3, 5, 6), {}),
    ("small_kernel_aggregation2d", (1, 4, 4, 3), (1, 2, 9, 4, 3), {}),
]


@pytest.mark.parametrize(("function", "x_shape", "w_shape", "options"), _DIFFERENCES)
def test_gradients_are_finite_differences(
    function: str, x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    x, w = normal(*x_shape, dtype="f64"), normal(*w_shape, dtype="f64")
    call = getattr(swath, function)
    dy = normal(*call(x, w, **options).shape, dtype="f64")
    grads = getattr(swath.grad, function)(dy, x, w, **options)
    step = 1e-6
    for array, gradient in ((x, grads.dx), (w, grads.dweight)):
        assert gradient.shape == array.shape
        flat = array.reshape(-1)
        for i in range(flat.size):
            kept = flat[i]
            flat[i] = kept + step
            up = (call(x, w, **options) * dy).sum()
            flat[i] = kept - step
            down = (call(x, w, **options) * dy).sum()
            flat[i] = kept
            assert abs((up - down) / (2 * step) - gradient.reshape(-1)[i]) < 1e-7


def test_needs_leave_out_results() -> None:
    x, w = normal(1, 4, 9), normal(1, 2, 3, 9)
    both = swath.grad.dynamic_conv1d(x, x, w)
    only = swath.grad.dynamic_conv1d(x, x, w, needs=("dweight",))
    assert only.dx is None
    assert_same_bits(only.dweight, both.dweight)
    assert swath.grad.dynamic_conv1d(x, x, w, needs=()) == (None, None)


def test_empty_calls_give_neutral_gradients() -> None:
    dx, dweight = swath.grad.dynamic_conv1d(
        np.zeros((0, 4, 9), np.float32), np.zeros((0, 4, 9), np.float32), normal(2, 3)
    )
    assert dx.shape == (0, 4, 9)
    np.testing.assert_array_equal(dweight, np.zeros((2, 3)))


def test_counts_are_hand_counted() -> None:
    plan = swath.DynamicConv1d(normal(2, 5))
    assert plan.flops((3, 4, 7)) == 2 * 3 * 4 * 7 * 5
    assert plan.bytes((3, 4, 7)) == 4 * (2 * 3 * 4 * 7 + 2 * 5)
    assert plan.workspace_bytes((3, 4, 7)) > 0
    text = str(plan.explain(normal(3, 4, 7)))
    assert "dynamic_conv_f32" in text


def test_what_is_not_finite_stays_in_its_row() -> None:
    """Vectors that go on over the end of a row must not carry it into the next one."""
    x = normal(1, 8, 9, 7)
    w = normal(1, 2, 9, 9, 7)
    bad_x, bad_w = x.copy(), w.copy()
    bad_x[0, 0, 4, 6] = np.nan
    bad_w[0, 0, 8, 4, 0] = np.inf  # meets row 5, column 1 of x
    near = np.zeros((9, 7), bool)
    near[3:6, 5:] = True
    np.testing.assert_array_equal(np.isnan(swath.dynamic_conv2d(bad_x, w)[0, 0]), near)
    dx = swath.grad.dynamic_conv2d(x, x, bad_w).dx
    assert dx is not None
    assert np.argwhere(~np.isfinite(dx[0, 0])).tolist() == [[5, 1]]
    dweight = swath.grad.dynamic_conv2d(x, bad_x, w).dweight
    assert dweight is not None
    np.testing.assert_array_equal(np.isnan(dweight[0, 0]).any(0), near)
