"""What the gates promise beyond the oracle's cases: limits, threads, batches, gradients, torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import swath
from cases import CASES, WORKLOADS
from cases.case import DTYPES, numpy_dtype
from cases.gates import (
    GAUSS,
    GateCase,
    _both,
    _channel_grads,
    _grads,
    _spatial,
    branch_case,
    channel_case,
    gate_case,
)
from support import Array, assert_same_bits, check, clusters

THREADS = (1, 2, 3, 7)
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _many_threads() -> Iterator[None]:
    """`threads=` only lowers the number of the process, which a small machine may have at 2."""
    swath.set_num_threads(max(THREADS))
    yield
    swath.set_num_threads(os.cpu_count() or 1)


# Large enough that several threads find work.
_FORWARD = [
    gate_case("large", (3, 40, 50, 61), activation="silu", gate=GAUSS, add=True),
    gate_case("large_tiled", (3, 64, 70, 31), 8),
    _spatial("large", (3, 60, 50, 41)),
    _spatial("large", (3, 60, 50, 41), 5),
    branch_case("large", (3, 2, 64, 40, 41)),
    *(channel_case("large", kind, (3, 96, 40, 41)) for kind in ("eca", "se", "cca", "mean_std")),
    channel_case("few_channels", "mean_std", (2, 3, 300, 301)),
]
_RESULTS = {
    "gate_mul": ("da", "db", "dgate"),
    "spatial_gate": ("dx", "dlogits"),
    "spatial_softmax_gate": ("dx", "dlogits"),
    "branch_select": ("dbranches", "dlogits"),
}
_BACKWARD = [
    g
    for c in _FORWARD
    for g in (_grads(c, _RESULTS[c.function]) if c.function in _RESULTS else _channel_grads(c))
    if g.result != "dgate" or "gate" in c.kwargs
]
LARGE = _both(_FORWARD + _BACKWARD)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: GateCase, dtype: str) -> None:
    arrays = case.inputs(dtype)
    for cluster in [c for c in clusters() if c != "reference"]:
        with swath.testing.force_kernel(cluster):
            first = case.run(swath, arrays, threads=1)
            for n in THREADS[1:]:
                assert_same_bits(case.run(swath, arrays, threads=n), first)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_large_arrays_match_the_oracle(case: GateCase, dtype: str) -> None:
    if dtype == "f64" and case.result:
        pytest.skip("long double sums over millions take minutes")
    arrays = case.inputs(dtype)
    check(case, case.run(swath, arrays), arrays)


def _sample(arrays: dict[str, Array], i: int) -> dict[str, Array]:
    """One sample of every array that has N."""

    def cut(name: str, a: Array) -> Array:
        if name[0] == "w" and name[1:].isdigit():
            return a
        return a[:, i : i + 1] if name == "branches" else a[i : i + 1]

    return {name: cut(name, a) for name, a in arrays.items()}


@pytest.mark.parametrize(
    "case", [c for c in LARGE if not c.result.startswith(("dweights", "dgate"))], ids=str
)
def test_a_sample_does_not_depend_on_its_batch(case: GateCase) -> None:
    arrays = case.inputs("f32")
    together = case.run(swath, arrays)
    for i in range(case.shapes["logits"][0] if case.n_lead else case.x[0]):
        alone = case.run(swath, _sample(arrays, i))
        index = (slice(None), slice(i, i + 1)) if case.result == "dbranches" else slice(i, i + 1)
        assert_same_bits(alone, together[index])


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_unbatched_equals_a_batch_of_one(layout: str) -> None:
    x = RNG.normal(size=(6, 8, 8)).astype(np.float32)
    for logits in ((x[:1], x[:, :, :1])[layout == "channels_last"],):
        for function in (swath.spatial_gate, swath.spatial_softmax_gate):
            options = {"layout": layout}
            one = function(x, logits, ndim=2, **options)
            assert_same_bits(one, function(x[None], logits[None], **options)[0])
    w = (np.ones(3, np.float32),)
    one = swath.channel_gate(x, weights=w, ndim=2, layout=layout)
    assert_same_bits(one, swath.channel_gate(x[None], weights=w, layout=layout)[0])
    dx, _ = swath.grad.channel_gate(x, x, weights=w, ndim=2, layout=layout)
    both = swath.grad.channel_gate(x[None], x[None], weights=w, layout=layout)
    assert_same_bits(dx, both.dx[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_open_gate_passes_and_a_closed_one_stops(dtype: str) -> None:
    a = RNG.normal(size=(2, 5, 37)).astype(numpy_dtype(dtype))
    inf = np.full_like(a, np.inf)
    assert_same_bits(swath.gate_mul(a, inf), a)
    assert (swath.gate_mul(a, -inf) == 0).all()
    assert_same_bits(swath.gate_mul(a, inf, gate=GAUSS), a)
    assert (swath.gate_mul(a, -inf, gate=GAUSS) == 0).all()
    assert_same_bits(swath.spatial_gate(a, inf[:, :1]), a)
    grads = swath.grad.gate_mul(a, a, -inf, gate=GAUSS)
    assert (grads.da == 0).all()
    assert (grads.db == 0).all()
    assert (grads.dgate == 0).all()


def test_gauss_is_continuous_at_its_middle() -> None:
    """At mu both sides give a."""
    b = np.nextafter(np.float64(0.25), [-1, 1])
    y = swath.gate_mul(np.ones(2), b, gate=GAUSS)
    np.testing.assert_allclose(y, 1.3, rtol=1e-15)


def test_gauss_takes_arrays_of_one_element() -> None:
    a, b = RNG.normal(size=(2, 3, 40))
    numbers = GAUSS[1]
    expected = swath.gate_mul(a, b, gate=GAUSS)
    for given in (np.array(numbers), tuple(np.array(p) for p in numbers), list(numbers)):
        assert_same_bits(swath.gate_mul(a, b, gate=("asym_gauss", given)), expected)


def test_a_scalar_is_an_array_like_others() -> None:
    assert swath.gate_mul(np.float64(3), np.float64(0)).tolist() == 1.5
    grads = swath.grad.gate_mul(np.float64(1), np.float64(3), np.float64(0))
    assert grads.db.tolist() == 0.75


def test_tile_is_numpys() -> None:
    a, b = RNG.normal(size=(2, 12, 7)), RNG.normal(size=(2, 4, 7))
    expected = swath.gate_mul(a, np.tile(b, (1, 3, 1)))
    np.testing.assert_allclose(swath.gate_mul(a, b, tile=3), expected, rtol=1e-15)


@pytest.mark.parametrize("value", [0.0, 1e4, -3e4])
def test_equal_logits_share_alike(value: float) -> None:
    x = np.ones((2, 6, 4, 4), np.float32)
    y = swath.spatial_softmax_gate(x, np.full((2, 3, 4, 4), value, np.float32))
    np.testing.assert_array_equal(y, np.float32(1 + 1 / 16))
    branches = RNG.normal(size=(4, 1, 5, 9)).astype(np.float32)
    mean = swath.branch_select(branches, np.full((1, 4, 5), value, np.float32))
    np.testing.assert_allclose(mean, branches.mean(0), rtol=1e-5, atol=1e-6)


def test_one_branch_is_the_identity() -> None:
    branches = RNG.normal(size=(1, 2, 5, 9)).astype(np.float32)
    logits = RNG.normal(size=(2, 1, 5)).astype(np.float32)
    assert_same_bits(swath.branch_select(branches, logits), branches[0])
    assert (swath.grad.branch_select(branches[0], branches, logits).dlogits == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_logit_spoils_its_own_map_only(bad: float) -> None:
    x = np.ones((1, 4, 3, 3), np.float32)
    logits = np.zeros((1, 2, 3, 3), np.float32)
    logits[0, 1, 2, 0] = bad
    y = swath.spatial_softmax_gate(x, logits)
    assert np.isnan(y[0, 2:]).all()
    assert np.isfinite(y[0, :2]).all()


def test_deviation_of_a_large_mean_keeps_its_digits() -> None:
    rng = np.random.default_rng(0)
    x = (1000 + rng.normal(size=(1, 1, 64, 64))).astype(np.float32)
    w = np.zeros((1, 1, 2), np.float32)
    w[0, 0, 1] = 1
    for layout, v in (("channels_first", x), ("channels_last", np.moveaxis(x, 1, -1))):
        y = swath.channel_gate(v, kind="mean_std", weights=(w, None, None), layout=layout)
        gate = (x.astype(np.float64).std(ddof=1) + 3) / 6
        np.testing.assert_allclose(y.reshape(x.shape), x * gate, rtol=1e-6)


def test_deviation_of_one_position_is_nan_and_of_a_constant_zero() -> None:
    weights = (np.ones((2, 2, 2), np.float32), None, None)
    one = swath.channel_gate(np.ones((1, 2, 1), np.float32), kind="mean_std", weights=weights)
    assert np.isnan(one).all()
    x = np.full((1, 2, 9), 0.25, np.float32)
    assert np.isfinite(swath.channel_gate(x, kind="mean_std", weights=weights)).all()
    grads = swath.grad.channel_gate(x, x, kind="mean_std", weights=weights)
    assert np.isfinite(grads.dx).all()


def test_weights_may_have_any_strides() -> None:
    x = RNG.normal(size=(2, 6, 10))
    w, b = RNG.normal(size=(6, 6)), RNG.normal(size=12)[::-2]
    y = swath.channel_gate(x, kind="cca", weights=(w.T, b))
    assert_same_bits(y, swath.channel_gate(x, kind="cca", weights=(w.T.copy(), b.copy())))


def test_empty_arrays_give_neutral_gradients() -> None:
    x = np.zeros((2, 4, 0), np.float32)
    dx, (dw, db) = swath.grad.channel_gate(
        x, x, kind="cca", weights=(np.ones((4, 4), np.float32), np.ones(4, np.float32))
    )
    assert dx.shape == x.shape
    assert not dw.any()
    assert not db.any()
    branches, logits = np.zeros((2, 1, 4, 0), np.float32), np.ones((1, 2, 4), np.float32)
    assert not swath.grad.branch_select(branches[0], branches, logits).dlogits.any()
    none = np.zeros((1, 0, 5), np.float32)
    one = np.ones((1, 1, 5), np.float32)
    assert not swath.grad.spatial_gate(none, none, one).dlogits.any()
    assert not swath.grad.gate_mul(none, none, none, gate=GAUSS).dgate.any()


def test_needs_skips_results() -> None:
    a = np.ones((1, 2, 3), np.float32)
    for needs in (("db",), ["b"]):
        grads = swath.grad.gate_mul(a, a, a, add=a, needs=needs)
        assert [v is None for v in grads] == [True, False, True, True]
    assert swath.grad.gate_mul(a, a, a, needs=()) == (None, None, None, None)
    assert swath.grad.channel_gate(a, a, weights=(a[0, 0],), needs=("dx",)).dweights is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize(
    "work", [w for op in ("gate_mul", "spatial_gate", "channel_gate") for w in WORKLOADS[op]],
    ids=lambda w: w.name,
)  # fmt: skip
def test_no_workload_is_served_by_the_reference(work: Any, layout: str, dtype: str) -> None:
    case = GateCase(
        work.name, work.function, next(iter(work.shapes.values())), None,
        {**work.kwargs, "layout": layout}, shapes=work.shapes,
        n_lead=int(work.function == "branch_select"),
    )  # fmt: skip
    kernels: list[str] = []

    class Explaining:
        def __getattr__(self, name: str) -> Any:
            def call(**arguments: Any) -> None:
                told = swath.info.explain(getattr(swath, name), **arguments)
                kernels.append(told.kernel)

            return call

    case.run(Explaining(), {k: np.zeros(v.shape, v.dtype) for k, v in case.inputs(dtype).items()})
    assert len(kernels) == 1
    assert not kernels[0].endswith("_reference")


def test_every_gate_has_a_gradient_case() -> None:
    names = {c.function for cases in CASES.values() for c in cases}
    for name in ("gate_mul", "spatial_gate", "spatial_softmax_gate", "channel_gate"):
        assert {name, f"grad.{name}"} <= names
