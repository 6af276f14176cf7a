"""Kernel generators: loops of the published formulas, identities of the papers, gradients."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import swath
from cases.case import DTYPES, numpy_dtype
from support import Array, require

RNG = np.random.default_rng(13)
make = swath.kernels


def _draw(*shape: int) -> Array:
    return RNG.normal(size=shape)


def _loop(
    w: Array, p: Array, size: tuple[int, ...], basis: str, width: Any, normalize: bool
) -> Array:
    """The sum over points, one grid element after the other."""
    kernel = np.zeros((*w.shape[:-1], *size))
    for at in np.ndindex(w.shape):
        footprint = np.zeros(size)
        for i in np.ndindex(size):
            if basis == "l1":
                grid = [np.linspace(-1, 1, n)[k] for k, n in zip(i, size, strict=True)]
                distance = sum(abs(x - p[(d, *at)]) for d, x in enumerate(grid))
                footprint[i] = max(1 - distance / width, 0)
                continue
            t = [k - (n // 2 + p[(d, *at)]) for d, (k, n) in enumerate(zip(i, size, strict=True))]
            if basis == "gauss":
                footprint[i] = np.exp(-0.5 * sum((v / width) ** 2 for v in t))
            else:
                footprint[i] = np.prod([max(1 - abs(v) / width, 0) for v in t])
        if normalize:
            footprint = footprint / (footprint.sum() + 1e-7)
        kernel[at[:-1]] += w[at] * footprint
    return kernel


WIDTHS = {"bilinear": (None, 1.0), "triangle": (1.4, 1.4), "gauss": (0.6, 0.6), "l1": (0.8, 0.8)}


@pytest.mark.parametrize("normalize", [None, False, True])
@pytest.mark.parametrize("basis", WIDTHS)
@pytest.mark.parametrize("size", [(5,), (4, 5), (3, 2, 4)], ids=str)
def test_from_points_is_the_loop(basis: Any, size: tuple[int, ...], normalize: Any) -> None:
    w = _draw(2, 3, 4)
    p = _draw(len(size), 2, 3, 4) * (0.5 if basis == "l1" else 1.3)
    given, width = WIDTHS[basis]
    name = "radius" if basis == "l1" else "sigma"
    k = make.from_points(w, p, size, basis=basis, normalize=normalize, **{name: given})
    divides = basis in ("triangle", "gauss") if normalize is None else normalize
    np.testing.assert_allclose(k, _loop(w, p, size, basis, width, divides), rtol=1e-9, atol=1e-12)
    swapped = make.from_points(
        w, p[::-1], size, basis=basis, normalize=normalize, axis_order="ji", **{name: given}
    )
    np.testing.assert_array_equal(swapped, k)


def test_published_widths_are_the_defaults() -> None:
    w, p = _draw(2, 1, 3), _draw(2, 2, 1, 3)
    for basis, name, value in (
        ("triangle", "sigma", 1.0),
        ("gauss", "sigma", 0.5),
        ("l1", "radius", 0.8),
    ):
        k = make.from_points(w, p, 5, basis=basis, **{name: value})
        np.testing.assert_array_equal(make.from_points(w, p, 5, basis=basis), k)


@pytest.mark.parametrize("groups", [1, 2])
def test_points_of_a_group_are_those_of_its_channels(groups: int) -> None:
    w, p, r = _draw(2, 3, 4), _draw(groups, 4, 2) * 0.5, RNG.random((groups, 4)) + 0.5
    k = make.from_points(w, p, 6, basis="l1", radius=r, average=True)
    wide = np.broadcast_to(np.moveaxis(p, -1, 0)[:, :, None], (2, 2, 3, 4))
    radius = np.broadcast_to(r[:, None], w.shape)
    np.testing.assert_allclose(
        make.from_points(w, wide, 6, basis="l1", radius=radius, average=True), k, rtol=1e-12
    )
    reached = np.zeros((2, 1, 6, 6))
    x = np.linspace(-1, 1, 6)
    for o, m in itertools.product(range(2), range(4)):
        g = o % groups
        distance = abs(x[:, None] - p[g, m, 0]) + abs(x - p[g, m, 1])
        reached[o] += distance < r[g, m]
    plain = make.from_points(w, p, 6, basis="l1", radius=r)
    np.testing.assert_allclose(k, plain / (reached + 1e-6), rtol=1e-9)


def test_integer_positions_are_dilated_taps() -> None:
    w = _draw(3, 2, 9)
    taps = np.stack(np.meshgrid([-2, 0, 2], [-2, 0, 2], indexing="ij")).reshape(2, 1, 1, 9)
    p = np.broadcast_to(taps, (2, 3, 2, 9)).astype(float)
    np.testing.assert_array_equal(make.from_points(w, p, 5), make.dilate(w.reshape(3, 2, 3, 3), 2))
    x = np.linspace(-1, 1, 5)
    on_grid = np.stack(np.meshgrid(x, x, indexing="ij")).reshape(2, 1, 1, 25)
    scattered = make.from_points(
        _draw(1, 1, 25), np.ascontiguousarray(on_grid), 5, basis="l1", radius=1e-3
    )
    assert (scattered != 0).all()


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


@pytest.mark.parametrize("form", ["own", "groups", "shared"])
@pytest.mark.parametrize("order", ["ij", "ji"])
@pytest.mark.parametrize(
    "options",
    [
        {"basis": "bilinear"}, {"basis": "bilinear", "normalize": True},
        {"basis": "triangle", "sigma": 1}, {"basis": "gauss", "sigma": 1},
        {"basis": "gauss", "sigma": 1, "normalize": False}, {"basis": "l1", "radius": 1},
        {"basis": "l1", "radius": 1, "average": True},
        {"basis": "l1", "radius": 1, "normalize": True},
    ],
    ids=str,
)  # fmt: skip
def test_from_points_gradients_are_differences(options: Any, order: Any, form: str) -> None:
    scale = 0.5 if options["basis"] == "l1" else 1.3
    shape = {"own": (2, 2, 1, 3), "groups": (2, 3, 2), "shared": (1, 3, 2)}[form]
    arrays = [_draw(2, 1, 3), _draw(*shape) * scale]
    name = next((n for n in ("sigma", "radius") if n in options), None)
    rest = {k: v for k, v in options.items() if k != name}
    if name is not None:
        own = shape if name == "sigma" else (2, 1, 3)
        arrays.append(RNG.random({"own": own}.get(form, shape[:2])) * 0.6 + 0.7)

    def call(w: Array, p: Array, *width: Array) -> Array:
        more = {name: width[0]} if width else {}
        return np.asarray(make.from_points(w, p, (5, 4), axis_order=order, **rest, **more))

    dw = _draw(2, 1, 5, 4)
    more = {name: arrays[2]} if name else {}
    found = swath.grad.from_points(
        dw,
        *arrays[:2],
        (5, 4),
        axis_order=order,
        **rest,
        **more,  # type: ignore[arg-type]
    )
    results = [found.dweight, found.dposition, found.dsigma if name == "sigma" else found.dradius]
    for i in range(len(arrays)):
        expected = _differences(call, arrays, dw, i)
        np.testing.assert_allclose(results[i], expected, rtol=1e-5, atol=1e-7)
    assert (found.dsigma is None) == (name != "sigma")


def test_bilinear_slope_at_an_integer_is_that_of_interpolation() -> None:
    dw = np.array([[[1.0, 10, 100]]])
    found = swath.grad.from_points(dw, np.ones((1, 1, 1)), np.zeros((1, 1, 1, 1)), 3)
    assert found.dposition.item() == 90


def test_a_number_as_sigma_has_a_gradient() -> None:
    w, p, dw = _draw(2, 1, 3), _draw(2, 2, 1, 3), _draw(2, 1, 5, 5)
    total = swath.grad.from_points(dw, w, p, 5, basis="gauss", sigma=0.7).dsigma
    each = swath.grad.from_points(dw, w, p, 5, basis="gauss", sigma=np.full(w.shape, 0.7)).dsigma
    np.testing.assert_allclose(total, each.sum(), rtol=1e-12)


def test_merged_branches_are_their_sum() -> None:
    x = _draw(1, 4, 17, 16)
    branches = [(_draw(4, 1, k, k), _draw(4), d) for k, d in ((9, 1), (5, 2), (3, 3), (1, 1))]
    w, b = make.merge_parallel(branches)
    assert w.shape == (4, 1, 9, 9)
    total = sum(swath.conv2d(x, v, c, dilation=d, padding="same", groups=4) for v, c, d in branches)
    np.testing.assert_allclose(
        swath.conv2d(x, w, b, padding="same", groups=4), total, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("given", [True, False])
def test_folded_batch_norm_is_the_batch_norm(given: bool) -> None:
    x, w, mean, var = _draw(1, 3, 6, 6), _draw(4, 3, 3, 3), _draw(4), RNG.random(4) + 0.1
    bias, gamma, beta = (_draw(4), _draw(4), _draw(4)) if given else (None, None, None)
    folded, shift = make.fold_batch_norm(w, bias, mean, var, gamma, beta)
    y = swath.conv2d(x, w, bias)
    g, b = (1.0, 0.0) if gamma is None else (gamma[:, None, None], beta[:, None, None])
    expected = (y - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5) * g + b
    np.testing.assert_allclose(swath.conv2d(x, folded, shift), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("padding", [0, 1, "same", ((1, 2), (0, 1))], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_is_its_matrix(groups: int, padding: Any) -> None:
    x, w, bias = _draw(3, 4, 5, 6), _draw(6, 4 // groups, 3, 3), _draw(6)
    y = swath.conv2d(x, w, bias, padding=padding, groups=groups)
    matrix, b = make.conv_to_linear(w, bias, (5, 6), padding=padding, groups=groups)
    rows = matrix.reshape(groups, -1, matrix.shape[1])
    flat = np.einsum("gri,ngi->ngr", rows, x.reshape(3, groups, -1)).reshape(3, -1) + b
    np.testing.assert_allclose(flat.reshape(y.shape), y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("size", [(7, 7), (3, 9), (1, 4), (5, 5)], ids=str)
def test_resize_is_that_of_torch(size: tuple[int, int], align: bool) -> None:
    torch = require("torch")
    w = _draw(3, 2, 5, 5)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(w), size=size, mode="bilinear", align_corners=align
    )
    np.testing.assert_allclose(
        make.resize(w, size, align_corners=align), expected.numpy(), rtol=1e-9, atol=1e-12
    )


def _shifted(x: Array, w: Array, m: int, perm: Array, axis: int) -> Array:
    """The published sum: each tile's convolution with padding s - 1, written shifted."""
    channels, tiles, s, _ = w.shape
    total = np.zeros_like(x)
    for r, j in itertools.product(range(len(perm)), range(tiles)):
        kernel = w[np.arange(channels), perm[r, :, j]][:, None]
        u = swath.conv2d(x, kernel, padding=s - 1, groups=channels)
        u = u.take(np.arange(s // 2, s // 2 + x.shape[5 - axis]), 5 - axis)  # centred across
        shift = s * j - m // 2 + s - 1  # y[i] = u[i + shift]
        for i in range(x.shape[axis]):
            if 0 <= i + shift < u.shape[axis]:
                total[(slice(None),) * axis + (i,)] += u.take(i + shift, axis)
    return total


@pytest.mark.parametrize(("m", "s"), [(13, 3), (9, 3), (11, 3), (7, 5)])
def test_shifted_tiles_are_two_strips(m: int, s: int) -> None:
    n, channels = -(-m // s), 3
    x, w = _draw(1, channels, 12, 14), _draw(channels, n, s, s)
    perms = [
        np.stack([[RNG.permutation(n) for _ in range(channels)] for _ in range(4)])
        for _ in range(2)
    ]
    k_h, k_v = make.shiftwise(w.reshape(-1, 1, s, s), m, tuple(perms))
    long, short = (m // 2, s * n - 1 - m // 2), (s // 2, s // 2)
    strips = [
        swath.conv2d(x, k_h, padding=(short, long), groups=channels),
        swath.conv2d(x, k_v, padding=(long, short), groups=channels),
    ]
    for strip, perm, axis in zip(strips, perms, (3, 2), strict=True):
        np.testing.assert_allclose(strip, _shifted(x, w, m, perm, axis), rtol=1e-9, atol=1e-11)
    same = make.shiftwise(w, m, perms[0])
    np.testing.assert_array_equal(same[0], k_h)


@pytest.mark.parametrize("shape", [(4, 6, 3, 3), (6, 5, 1, 1), (5, 3, 3, 3)], ids=str)
def test_spectral_mix_goes_there_and_back(shape: tuple[int, int, int, int]) -> None:
    o, c, kh, kw = shape
    weight = _draw(*shape)
    spectrum = np.fft.rfft2(weight.transpose(0, 2, 1, 3).reshape(o * kh, c * kw))
    groups = RNG.integers(0, 4, spectrum.shape)
    ones = make.spectral_mix(spectrum, groups, np.ones((2, 4)), shape)
    np.testing.assert_allclose(ones, np.stack([weight] * 2), rtol=1e-9, atol=1e-12)
    coeff = _draw(3, 4)
    each = make.spectral_mix(spectrum, groups, np.eye(4), shape)
    mixed = make.spectral_mix(np.stack([spectrum.real, spectrum.imag], -1), groups, coeff, shape)
    np.testing.assert_allclose(
        mixed, np.einsum("ng,g...->n...", coeff, each), rtol=1e-8, atol=1e-11
    )


def test_groups_by_radius_are_bands() -> None:
    spectrum = np.fft.rfft2(_draw(8, 6))
    low = make.spectral_mix(spectrum, 4, np.eye(4)[:1], (8, 6, 1, 1))[0, :, :, 0, 0]
    kept = abs(np.fft.rfft2(low)) > 1e-9
    radius = np.hypot(np.fft.fftfreq(8)[:, None], np.fft.rfftfreq(6))
    assert kept.sum() == 8
    assert radius[kept].max() <= radius[~kept].min()


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_have_the_dtype_of_their_input(dtype: str) -> None:
    kind = numpy_dtype(dtype)
    w, p = _draw(2, 1, 3).astype(kind), _draw(2, 2, 1, 3).astype(kind)
    exact = make.from_points(w.astype(float), p.astype(float), 5)
    k = make.from_points(w, p, 5)
    assert k.dtype == kind
    np.testing.assert_array_equal(
        k, exact.astype(np.float32).astype(kind) if dtype != "f64" else exact
    )


def test_results_are_in_the_callers_library() -> None:
    torch = require("torch")
    w = torch.ones(2, 3, 3, 3, dtype=torch.bfloat16)
    assert make.dilate(w, 2).dtype == torch.bfloat16
    merged, bias = make.merge_parallel([(w, torch.ones(2, dtype=torch.bfloat16), 1)])
    assert isinstance(merged, torch.Tensor)
    assert isinstance(bias, torch.Tensor)
    spectrum = torch.fft.rfft2(torch.randn(4, 4))
    assert isinstance(make.spectral_mix(spectrum, 2, torch.ones(1, 2), (2, 2, 2, 2)), torch.Tensor)
