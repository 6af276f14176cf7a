"""Bitwise equality: over runs, thread counts, batch mates and data that an output does not read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import swath
from cases.case import Case, channels_last
from cases.sliding_conv import EPILOGUE
from support import Array, assert_same_bits, clusters, numpy_dtype

THREADS = (1, 2, 3, 7)


@pytest.fixture(autouse=True)
def _many_threads() -> Iterator[None]:
    """`threads=` only lowers the number of the process, which a small machine may have at 2."""
    swath.set_num_threads(max(THREADS))
    yield
    swath.set_num_threads(os.cpu_count() or 1)


def _conv(name: str, x: tuple[int, ...], weight: tuple[int, ...], **kwargs: Any) -> Case:
    return Case(name, f"conv{len(weight) - 2}d", x, weight, kwargs, EPILOGUE)


# Large enough that several threads find work.
_BOTH = [
    _conv("few_channels", (2, 3, 96, 130), (5, 3, 5, 5), padding=2),
    _conv("one_channel", (1, 1, 200, 301), (1, 1, 9, 9), padding=4, padding_mode="reflect"),
    _conv("depthwise", (2, 40, 40, 45), (40, 1, 7, 7), groups=40, padding=3),
    _conv("dense", (2, 40, 30, 31), (50, 40, 3, 3), padding=1),
    _conv("dense_small_image", (2, 64, 7, 7), (72, 64, 3, 3), padding=1),
    _conv("grouped_strided", (2, 24, 31, 50), (36, 6, 3, 3), groups=4, stride=2, padding=1),
    _conv("pointwise", (2, 48, 30, 33), (70, 48, 1, 1)),
    _conv("long_row", (1, 1, 70_001), (1, 1, 31), padding=15),
    _conv("depthwise_rows", (2, 50, 1500), (50, 1, 4), groups=50, padding="causal"),
    _conv("volume", (2, 6, 9, 14, 20), (8, 6, 3, 3, 3), padding=1),
    Case("transposed", "conv_transpose2d", (2, 20, 20, 31), (20, 24, 4, 4), {"stride": 2}),
    Case("max_pool", "max_pool2d", (2, 20, 60, 61), None, {"window": 5, "stride": 1}),
    Case("avg_pool", "avg_pool2d", (2, 20, 60, 61), None, {"window": (9, 4), "stride": 2}),
    Case("to_depth", "space_to_depth", (2, 20, 60, 62), None, {"block": 2}),
]
CASES = [twin for case in _BOTH for twin in (case, channels_last(case))]
CASES += [
    Case(f"reduce_{op}", "sliding_reduce", (60, 4001), None, {"window": 130, "op": op})
    for op in ("sum", "max")
]


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: Case, dtype: str) -> None:
    arrays = case.inputs(dtype)
    for cluster in [c for c in clusters() if c != "reference"]:
        with swath.testing.force_kernel(cluster):
            first = case.run(swath, arrays, threads=1)
            for n in THREADS:
                assert_same_bits(case.run(swath, arrays, threads=n), first)


@pytest.mark.parametrize("n", THREADS)
def test_num_threads_is_a_context(n: int) -> None:
    case = CASES[0]
    arrays = case.inputs("f32")
    with swath.num_threads(1):
        first = case.run(swath, arrays)
    with swath.num_threads(n):
        assert_same_bits(case.run(swath, arrays), first)


@pytest.mark.parametrize("case", [c for c in CASES if c.function != "sliding_reduce"], ids=str)
def test_a_sample_does_not_depend_on_its_batch(case: Case) -> None:
    arrays = case.inputs("f32")
    together = case.run(swath, arrays)
    for i in range(case.x[0]):
        one = {k: a[i : i + 1] if k in ("x", "residual") else a for k, a in arrays.items()}
        assert_same_bits(case.run(swath, one), together[i : i + 1])


@pytest.mark.parametrize("case", _BOTH, ids=str)
def test_a_larger_batch_takes_the_same_kernel(case: Case) -> None:
    arrays = case.inputs("f32")
    wide = {k: np.repeat(a, 5, 0) if k in ("x", "residual") else a for k, a in arrays.items()}
    assert_same_bits(case.run(swath, wide)[:1], case.run(swath, arrays)[:1])


@pytest.mark.parametrize("case", [c for c in _BOTH if c.op != "space_to_depth"], ids=str)
def test_unbatched_equals_a_batch_of_one(case: Case) -> None:
    case = replace(case, x=(1, *case.x[1:]))
    arrays = case.inputs("f32")
    one = {k: a[0] if k in ("x", "residual") else a for k, a in arrays.items()}
    assert_same_bits(case.run(swath, one), case.run(swath, arrays)[0])


def _dependents(case: Case, at: tuple[int, ...]) -> Array:
    """Outputs that read x[at], by the oracle on an indicator image and weights of one."""
    impulse = np.zeros(case.x)
    impulse[at] = 1
    inputs = {"x": impulse}
    if case.weight is not None:
        inputs["weight"] = np.ones(case.weight)
    return np.asarray(replace(case, extras=()).oracle(inputs).value != 0)


def _poisoned(case: Case, value: float, dtype: str) -> Iterator[tuple[Array, Array, Array]]:
    """(clean result, result with one element replaced, outputs that may change)."""
    arrays = case.inputs(dtype)
    clean = case.run(swath, arrays)
    rng = np.random.default_rng(0)
    for _ in range(3):
        at = tuple(int(rng.integers(n)) for n in case.x)
        x = arrays["x"].copy()
        x[at] = value
        may_change = _dependents(case, at)
        yield clean, case.run(swath, {**arrays, "x": x}), may_change


SPREAD = [c for c in CASES if c.op != "space_to_depth"] + [
    _conv(f"{mode}_border", (1, 5, 12, 37), (6, 5, 3, 3), padding=2, padding_mode=mode)
    for mode in ("zeros", "replicate", "circular", "partial")
]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e8], ids=str)
@pytest.mark.parametrize("case", SPREAD, ids=str)
def test_a_value_reaches_only_what_depends_on_it(case: Case, value: float) -> None:
    for clean, dirty, may_change in _poisoned(case, value, "f32"):
        assert_same_bits(dirty[~may_change], clean[~may_change])
        if np.isnan(value):
            assert np.isnan(dirty[may_change]).all()


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f64"])
def test_nan_stays_local_in_other_dtypes(dtype: str) -> None:
    for case in (CASES[0], CASES[6], CASES[7]):
        for clean, dirty, may_change in _poisoned(case, np.nan, dtype):
            assert dirty.dtype == numpy_dtype(dtype)
            assert_same_bits(dirty[~may_change], clean[~may_change])
            assert np.isnan(dirty[may_change].astype(np.float64)).all()
