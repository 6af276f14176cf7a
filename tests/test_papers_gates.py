"""Checks that published gates and kernel generators name for themselves."""

from __future__ import annotations

import numpy as np
import pytest

import swath
from papers import close, normal, sigmoid, softmax


def _gelu(x):  # type: ignore[no-untyped-def]
    return swath.gate_mul(x, np.ones_like(x), activation="gelu", gate=None)


def test_s5_gates_without_activation() -> None:
    """The mixer's output multiplies a linear map as it is; tokens are mixed by a 1x1 on columns."""
    x, w, b, w1, w2 = normal(2, 9, 6), normal(6, 6), normal(6), normal(20, 9), normal(9, 20)
    linear = swath.conv1d(x, w1[..., None], activation="gelu")  # the tokens are its channels
    mixed = swath.conv1d(linear, w2[..., None]) + x
    close(mixed, x + w2 @ _gelu(w1 @ x))
    gated = swath.gate_mul(x @ w + b, mixed, gate=None, add=x)
    close(gated, x + (x @ w + b) * mixed)


def test_s13_asymmetric_gaussian() -> None:
    a, mu, s1, s2 = 1.1, 2.0, 1.0, 0.5
    m = np.array([-1e3, mu - 1e-13, mu, mu + 1e-13, 3.0, 1e3])
    found = swath.gate_mul(np.ones((1, 6)), m[None], gate=("asym_gauss", (a, mu, s1, s2)))[0]
    close(found, [0, a, a, a, 1 + 0.1 * np.exp(-0.5), 1], 1e-12)


def test_s16_compact_channel_attention_and_zero_gates() -> None:
    x, w, b = normal(2, 6, 5, 5), normal(6, 6), normal(6)
    g = sigmoid(x.mean((2, 3)) @ w.T + b)
    y = swath.channel_gate(x, kind="cca", weights=(w, b))
    close(y, x * g[:, :, None, None])
    close(swath.gate_mul(y, np.zeros((2, 6, 5, 5)), gate=None, add=x), x)


def test_s18_inject() -> None:
    local, s, t = normal(2, 6, 4, 4), normal(2, 6, 4, 4, seed=1), normal(2, 6, 4, 4, seed=2)
    found = swath.gate_mul(local, s, gate="hardsigmoid", add=t)
    close(found, local * np.clip(s + 3, 0, 6) / 6 + t)


def test_s22_s34_s62_selected_branches() -> None:
    u, logits = normal(3, 2, 4, 5, 5), normal(2, 3, 4)
    a = softmax(logits, 1)
    close(swath.branch_select(u, logits), np.einsum("nmc,mnchw->nchw", a, u))
    close(swath.branch_select(list(u), 0 * logits), u.mean(0))
    close(swath.branch_select(u[:1], logits[:, :1]), u[0])
    chosen = np.zeros((2, 3, 4))
    chosen[:, 1] = 1e4
    assert (swath.branch_select(u, chosen) == u[1]).all()


def test_s23_normalisation_folds_into_the_convolution() -> None:
    x, w, b = normal(2, 4, 6, 6), normal(8, 2, 3, 3), normal(8)
    mean, var, gamma, beta = normal(8), normal(8) ** 2, normal(8, seed=1), normal(8, seed=2)
    folded = swath.kernels.fold_batch_norm(w, b, mean, var, gamma, beta)
    y = swath.conv2d(x, w, b, groups=2)
    y = (y - mean[:, None, None]) * (gamma / np.sqrt(var + 1e-5))[:, None, None]
    close(swath.conv2d(x, *folded, groups=2), y + beta[:, None, None])


@pytest.mark.parametrize("tile", [1, 6])
def test_s27_the_context_is_tiled_and_not_repeated(tile: int) -> None:
    a, ctx = normal(2, 4 * tile, 5, 5), normal(2, 4, 5, 5)
    found = swath.gate_mul(a, ctx, activation="gelu", gate=None, tile=tile)
    close(found, _gelu(a) * np.concatenate([ctx] * tile, 1))
    assert tile == 1 or not np.allclose(found, _gelu(a) * np.repeat(ctx, tile, 1))


def test_s28_s76_value_first_gates() -> None:
    a, b = normal(2, 8, 7), normal(2, 8, 7, seed=1)
    close(swath.gate_mul(a, b, gate="gelu"), a * _gelu(b))


def test_s50_efficient_channel_attention() -> None:
    x, w = normal(2, 9, 4, 5), normal(5)
    mean = np.pad(x.mean((2, 3)), ((0, 0), (2, 2)))
    z = sum(w[i] * mean[:, i : i + 9] for i in range(5))
    close(swath.channel_gate(x, weights=(w,)), x * sigmoid(z)[:, :, None, None])
    delta = np.array([0.0, 1, 0])
    own = sigmoid(x.mean((2, 3)))[:, :, None, None]
    close(swath.channel_gate(x, weights=(delta,)), x * own)


def test_s104_everything_but_the_background() -> None:
    x, logits = normal(2, 5, 6, 6), normal(2, 4, 6, 6)
    p = softmax(logits, 1)
    close(p[:, 1:].sum(1), 1 - p[:, 0], 1e-15)
    close(swath.gate_mul(x, p[:, 1:].sum(1, keepdims=True), gate=None, tile=5),
          x * (1 - p[:, :1]))  # fmt: skip


def test_s107_spatial_gate() -> None:
    x, logits = normal(2, 5, 6, 6), normal(2, 1, 6, 6)
    close(swath.spatial_gate(x, logits), x * sigmoid(logits))
    close(swath.gate_mul(x, logits, tile=5), x * sigmoid(logits))


def test_s41_self_moving_points() -> None:
    """Diamonds, not discs; a vanishing radius leaves the weights on the grid."""
    size, w = 9, normal(3, 1, 4)
    rng = np.random.default_rng(0)
    p, r = rng.uniform(-1, 1, (1, 4, 2)), rng.uniform(0.3, 0.9, (1, 4))
    grid = np.linspace(-1, 1, size)
    expected = np.zeros((3, 1, size, size))
    for m in range(4):
        distance = np.abs(grid[:, None] - p[0, m, 0]) + np.abs(grid - p[0, m, 1])
        expected += w[:, :, m, None, None] * np.maximum(1 - distance / r[0, m], 0)
    close(swath.kernels.from_points(w, p, size, basis="l1", radius=r), expected)
    flipped = swath.kernels.from_points(w, p, size, basis="l1", radius=r, axis_order="ji")
    close(flipped[..., ::-1, :], expected.swapaxes(2, 3)[..., ::-1, :])
    on_grid = grid[[[1, 2], [4, 4], [8, 0], [3, 7]]][None]
    points = swath.kernels.from_points(w, on_grid, size, basis="l1", radius=1e-3)
    dense = np.zeros((3, 1, size, size))
    dense[:, :, [1, 4, 8, 3], [2, 4, 0, 7]] = w
    close(points, dense)
    # Its sequences are causal correlations: tap K - 1 is the current sample.
    w, p, r = normal(2, 1, 3), rng.uniform(-1, 1, (2, 3, 1)), rng.uniform(0.3, 2, (2, 3))
    k = swath.kernels.from_points(w, p, 7, basis="l1", radius=r, average=True)[:, 0]
    u = normal(1, 2, 50)
    direct = swath.conv1d(u, k[:, None], groups=2, padding="causal")
    for method in ("fft", "direct"):
        found = swath.long_conv(u, k, mode="two_sided", correlate=True, offset=6, method=method)
        close(found, direct)


def test_s52_learnable_spacings() -> None:
    size, w = 7, normal(3, 2, 4)
    p = np.random.default_rng(0).integers(-3, 4, (2, 3, 2, 4)).astype(float)
    dense = np.zeros((3, 2, size, size))
    for o, c, m in np.ndindex(3, 2, 4):
        dense[o, c, int(p[0, o, c, m]) + 3, int(p[1, o, c, m]) + 3] += w[o, c, m]
    assert (swath.kernels.from_points(w, p, size) == dense).all()
    turned = swath.kernels.from_points(w, p, size, axis_order="ji")
    assert (turned == dense.swapaxes(2, 3)).all()
    nine = np.stack(np.meshgrid([-2, 0, 2], [-2, 0, 2], indexing="ij")).reshape(2, 1, 1, 9)
    x, taps = normal(1, 2, 12, 12), normal(3, 2, 3, 3)
    spread = swath.kernels.from_points(taps.reshape(3, 2, 9), np.tile(nine, (1, 3, 2, 1)) * 1.0, 5)
    assert (spread == swath.kernels.dilate(taps, 2)).all()
    close(swath.conv2d(x, spread, padding=2), swath.conv2d(x, taps, padding=2, dilation=2))
    for sigma, basis in ((1.7, "triangle"), (0.5, "gauss")):
        total = swath.kernels.from_points(np.ones((1, 1, 1)), np.full((2, 1, 1, 1), 0.3), size,
                                          basis=basis, sigma=sigma).sum()  # fmt: skip
        assert abs(total - 1) < 1e-6


@pytest.mark.parametrize("size", [9, 13, 51])
def test_s58_strips_of_tiles(size: int) -> None:
    """The kernel of one path as tiles, written where the published code shifts them to."""
    n = -(-size // 3)
    centres = [3 * j - (size // 2 - 1) for j in range(n)]
    assert {51: (-24, 24), 13: (-5, 7), 9: (-3, 3)}[size] == (centres[0], centres[-1])
    w, x = normal(2, n, 3, 3), normal(1, 2, 20, 23)
    rng = np.random.default_rng(0)
    perms = np.stack([[rng.permutation(n) for _ in range(2)] for _ in range(4)])
    horizontal, vertical = swath.kernels.shiftwise(w, size, perms)
    for channel in range(2):
        for axis, strip in ((3, horizontal), (2, vertical)):
            expected = np.zeros((20, 23))
            for j, centre in enumerate(centres):
                tile = sum(w[channel, perm[j]] for perm in perms[:, channel])
                y = swath.conv2d(x[:, [channel]], tile[None, None], padding=60)[0, 0]
                at = [59, 59]
                at[axis - 2] += centre
                expected += y[at[0] : at[0] + 20, at[1] : at[1] + 23]
            begin = -(centres[0] - 1)
            pads = [(1, 1), (1, 1)]
            pads[axis - 2] = (begin, centres[-1] + 1)
            found = swath.conv2d(x[:, [channel]], strip[[channel]], padding=pads)
            close(found[0, 0], expected)


def test_s85_spectral_kernels_and_bands() -> None:
    """With the initial coefficients of the published code the kernel is that of before."""
    o, c, k, groups = 4, 6, 3, 4
    w = normal(o, c, k, k)
    matrix = w.transpose(0, 2, 1, 3).reshape(o * k, c * k)
    spectrum = np.fft.rfft2(matrix)
    fy, fx = np.fft.fftfreq(o * k)[:, None], np.fft.rfftfreq(c * k)
    order = np.argsort(np.hypot(fy, fx).ravel(), kind="stable")
    numbers = np.empty(order.size, np.int64)
    numbers[order] = np.arange(order.size) * groups // order.size
    coeff = np.ones((2, groups))
    found = swath.kernels.spectral_mix(
        spectrum, numbers.reshape(spectrum.shape), coeff, (o, c, k, k)
    )
    close(found, np.broadcast_to(w, (2, *w.shape)))
    x = normal(2, 3, 16, 16)
    bands = swath.band_split(x, [0.25, 0.125, 0.0625])
    close(sum(bands), x)
    y = sum(swath.gate_mul(b, 0 * b, gate="sigmoid") * 2 for b in bands)
    close(y, x)


def test_s91_merged_perceptron() -> None:
    c, h, w_, groups, k = 4, 3, 5, 2, 3
    x, kernel, bias = normal(6, c, h, w_), normal(6, c // groups, k, k), normal(6)
    y = swath.conv2d(x, kernel, bias, padding=1, groups=groups)
    matrix, b = swath.kernels.conv_to_linear(kernel, bias, (h, w_), padding=1, groups=groups)
    flat = x.reshape(6, groups, -1)
    rows = matrix.reshape(groups, -1, matrix.shape[1])
    merged = np.einsum("ngi,goi->ngo", flat, rows).reshape(6, -1) + b
    close(merged.reshape(y.shape), y)


def test_s112_dilated_branches_are_one_kernel() -> None:
    x, sizes, rates = normal(1, 3, 20, 20), (13, 5, 7, 3, 3, 3), (1, 1, 2, 3, 4, 5)
    branches = [(normal(3, 1, k, k), normal(3, seed=k), r)
                for k, r in zip(sizes, rates, strict=True)]  # fmt: skip
    w, b = swath.kernels.merge_parallel(branches)
    parts = [
        swath.conv2d(x, wk, bk, padding=r * (wk.shape[-1] - 1) // 2, dilation=r, groups=3)
        for wk, bk, r in branches
    ]
    close(swath.conv2d(x, w, b, padding=6, groups=3), sum(parts))
    # The FFT path is a true convolution.
    close(swath.long_conv2d(x, w[:, 0, ::-1, ::-1]) + b[:, None, None], sum(parts))
