"""Plans: prepacked weights give the function's bits, and their claims can be counted by hand."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import swath
from cases import CASES, WORKLOADS
from cases.case import Case, Workload
from support import assert_same_bits

PLANNED = [
    case
    for case in CASES["sliding_conv"]
    if not set(case.extras) - {"bias"} and case.fill == "normal"
]


def _plan(case: Case, arrays: dict[str, Any]) -> Any:
    kwargs = {k: v for k, v in case.kwargs.items()}
    return getattr(swath, f"C{case.function[1:]}")(arrays["weight"], arrays.get("bias"), **kwargs)


@pytest.mark.parametrize("case", PLANNED, ids=str)
def test_plan_equals_function(case: Case) -> None:
    arrays = case.inputs("f32")
    plan = _plan(case, arrays)
    expected = case.run(swath, arrays)
    assert_same_bits(plan(arrays["x"]), expected)
    out = np.full_like(expected, np.nan)
    assert plan(arrays["x"], out=out) is out
    assert_same_bits(out, expected)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f64"])
@pytest.mark.parametrize("case", PLANNED[::6], ids=str)
def test_plan_equals_function_in_other_dtypes(case: Case, dtype: str) -> None:
    arrays = case.inputs(dtype)
    assert_same_bits(_plan(case, arrays)(arrays["x"]), case.run(swath, arrays))


@pytest.mark.parametrize("case", PLANNED[::5], ids=str)
def test_plans_copy_and_pickle(case: Case) -> None:
    arrays = case.inputs("f32")
    plan = _plan(case, arrays)
    expected = plan(arrays["x"])
    for twin in (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        assert_same_bits(twin(arrays["x"]), expected)


def test_a_plan_keeps_its_weights() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s).astype(np.float32) for s in ((1, 3, 9, 9), (4, 3, 3, 3)))
    plan = swath.Conv2d(w)
    expected = plan(x)
    w[...] = np.nan
    assert_same_bits(plan(x), expected)


def test_a_plan_serves_many_shapes_and_layouts_of_memory() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(8, 4, 3, 3)).astype(np.float32)
    plan = swath.Conv2d(w, padding=1)
    for shape in [(1, 4, 9, 9), (3, 4, 5, 200), (4, 30, 7), (0, 4, 9, 9), (2, 4, 1, 1)]:
        x = rng.normal(size=shape).astype(np.float32)
        assert_same_bits(plan(x), swath.conv2d(x, w, padding=1))
        turned = np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)
        assert_same_bits(plan(turned), swath.conv2d(turned, w, padding=1))


def test_a_plan_is_immutable() -> None:
    plan = swath.Conv2d(np.ones((1, 1, 3, 3), np.float32))
    with pytest.raises(AttributeError):
        plan.stride = 2


def test_a_plan_rejects_another_dtype_and_channel_count() -> None:
    plan = swath.Conv2d(np.ones((1, 2, 3, 3), np.float32))
    with pytest.raises(swath.DTypeError):
        plan(np.ones((1, 2, 9, 9)))
    with pytest.raises(swath.ShapeError):
        plan(np.ones((1, 3, 9, 9), np.float32))


def test_flops_and_bytes_are_counted_by_hand() -> None:
    plan = swath.Conv2d(np.ones((6, 2, 3, 5), np.float32), stride=2, groups=2)
    # Ho = (11 - 3) // 2 + 1 = 5, Wo = (20 - 5) // 2 + 1 = 8
    assert plan.flops((3, 4, 11, 20)) == 2 * 3 * 6 * 5 * 8 * 2 * 3 * 5
    n_elements = 3 * 4 * 11 * 20 + 6 * 2 * 3 * 5 + 3 * 6 * 5 * 8
    assert plan.bytes((3, 4, 11, 20)) == 4 * n_elements


@pytest.mark.parametrize("work", WORKLOADS["sliding_conv"], ids=lambda w: w.name)
def test_flops_of_the_bench_shapes(work: Workload) -> None:
    weight = np.ones(work.shapes["weight"], np.float32)
    plan = getattr(swath, f"C{work.function[1:]}")(weight, **work.kwargs)
    assert plan.flops(work.shapes["x"]) == work.flops


@pytest.mark.parametrize("method", ["flops", "bytes", "workspace_bytes", "__call__", "__repr__"])
def test_a_plan_without_its_constructor_is_an_error(method: str) -> None:
    plan = swath.Conv2d.__new__(swath.Conv2d)
    arguments = {"__repr__": [], "__call__": [np.ones((1, 1, 4, 4), np.float32)]}
    with pytest.raises((TypeError, swath.Error)):
        getattr(plan, method)(*arguments.get(method, [(1, 1, 4, 4)]))


def test_lengths_that_agree_for_some_inputs_only() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(2, 5, 2, 1)).astype(np.float32)
    geometry = {"stride": (2, 1), "dilation": np.array([[3, 1], [2, 1]])}
    plan = swath.Conv2d(w, **geometry)
    x = rng.normal(size=(1, 5, 4, 6)).astype(np.float32)
    assert_same_bits(plan(x), swath.conv2d(x, w, **geometry))
    with pytest.raises(swath.ShapeError, match="dilation"):
        plan(rng.normal(size=(1, 5, 5, 6)).astype(np.float32))
