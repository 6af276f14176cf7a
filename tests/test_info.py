"""explain, kernels, cpu, build: what the library says about itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import swath
from cases import CASES, WORKLOADS
from cases.case import DTYPES, EXACT_DTYPES, Case, Workload, numpy_dtype
from support import kernels, split_kernel

X = np.ones((1, 4, 12, 20), np.float32)
W = np.ones((8, 4, 3, 3), np.float32)


def test_operators_are_those_with_cases() -> None:
    assert {"sliding_conv", "pooling", "space_to_depth"} <= set(swath.info.operators())


@pytest.mark.parametrize("op", ["sliding_conv", "pooling", "space_to_depth"])
def test_kernel_names_follow_the_rule(op: str) -> None:
    names = kernels(op)
    assert len(set(names)) == len(names)
    for name in names:
        assert name.startswith(f"{op}_")
    expected = EXACT_DTYPES if op == "space_to_depth" else DTYPES
    assert {split_kernel(op, k)[0] for k in names} == set(expected)


def test_kernels_of_an_unknown_operator() -> None:
    with pytest.raises(ValueError, match="no_such_operator"):
        swath.info.kernels("no_such_operator")


def test_explain_names_the_kernel_and_the_reasons() -> None:
    told = swath.info.explain(swath.conv2d, X, W, padding=1)
    mine = [k for k in kernels("sliding_conv") if split_kernel("sliding_conv", k)[0] == "f32"]
    assert [name for name, _ in told.candidates] == mine
    chosen = [name for name, _ in told.candidates].index(told.kernel)
    assert all(reason for _, reason in told.candidates[:chosen])
    assert not told.candidates[chosen][1]
    for name, reason in told.candidates:
        assert name in str(told)
        assert reason in str(told)


def test_explain_counts_work_and_memory() -> None:
    told = swath.info.explain(swath.conv2d, X, W)
    assert told.op == "conv2d"
    assert told.flops == 2 * 8 * 10 * 18 * 4 * 9
    assert told.bytes == 4 * (X.size + W.size + 8 * 10 * 18)
    assert told.workspace_bytes >= 0


def test_explain_reports_an_unavoidable_copy_only_when_there_is_one() -> None:
    sliced = np.ones((1, 9, 24, 20), np.float32)[:, 2:6, ::2]
    assert swath.info.explain(swath.conv2d, sliced, W).copies == []
    unaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(X.shape)
    (text,) = swath.info.explain(swath.conv2d, unaligned, W).copies
    assert text.startswith("x")


def test_explain_accepts_a_plan_and_its_input() -> None:
    assert swath.Conv2d(W).explain(X).kernel == swath.info.explain(swath.conv2d, X, W).kernel


def test_explain_raises_what_the_call_would_raise() -> None:
    with pytest.raises(swath.ShapeError, match="weight"):
        swath.info.explain(swath.conv2d, X, W[:, :3])


def test_explain_computes_nothing() -> None:
    out = np.full((1, 8, 10, 18), 77, np.float32)
    swath.info.explain(swath.conv2d, X, W, out=out)
    assert (out == 77).all()


@pytest.mark.parametrize("name", ["no_such_kernel", "sliding_conv_f32_avx9000"])
def test_forcing_an_unknown_kernel_is_an_error(name: str) -> None:
    with pytest.raises(ValueError), swath.testing.force_kernel(name):  # noqa: PT011
        swath.conv2d(X, W)


def test_force_kernel_ends_with_its_block() -> None:
    before = str(swath.info.explain(swath.conv2d, X, W))
    with swath.testing.force_kernel("sliding_conv_f32_reference"):
        told = swath.info.explain(swath.conv2d, X, W)
        assert told.kernel == "sliding_conv_f32_reference"
    assert str(swath.info.explain(swath.conv2d, X, W)) == before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize(
    "work", WORKLOADS["sliding_conv"] + WORKLOADS["pooling"], ids=lambda w: w.name
)
def test_no_workload_is_served_by_the_reference(work: Workload, layout: str, dtype: str) -> None:
    shapes = dict(work.shapes)
    if layout == "channels_last":
        n, c, *spatial = shapes["x"]
        shapes["x"] = (n, *spatial, c)
    arrays = [np.zeros(s, numpy_dtype(dtype)) for s in shapes.values()]
    function = getattr(swath, work.function)
    told = swath.info.explain(function, *arrays, **work.kwargs, layout=layout)
    assert not told.kernel.endswith("_reference"), told


@pytest.mark.parametrize(
    "case",
    [c for c in CASES["sliding_conv"] if 0 not in c.x and c.weight and 0 not in c.weight],
    ids=str,
)
def test_no_directed_case_is_served_by_the_reference(case: Case) -> None:
    arrays = case.inputs("f32")
    extras: dict[str, Any] = {k: v for k, v in arrays.items() if k not in ("x", "weight")}
    function = getattr(swath, case.function)
    told = swath.info.explain(function, arrays["x"], arrays["weight"], **extras, **case.kwargs)
    assert not told.kernel.endswith("_reference"), told


def test_cpu_and_build_describe_this_machine() -> None:
    assert str(swath.info.cpu())
    assert swath.__version__ in str(swath.info.build())


_LIGHT = """
import json, sys
import swath
print(json.dumps([m for m in ("torch", "jax", "ml_dtypes", "matplotlib") if m in sys.modules]))
"""


def test_import_is_light() -> None:
    run = subprocess.run([sys.executable, "-c", _LIGHT], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []


def test_tolerance_grows_with_the_root_of_the_terms() -> None:
    one, many = (swath.testing.tolerance(np.float32, n) for n in (1, 400))
    assert many == pytest.approx(20 * one)
    assert swath.testing.tolerance(np.float64, 1) < one * 1e-8


def test_assert_close_can_fail() -> None:
    expected = np.ones(5)
    swath.testing.assert_close(expected.astype(np.float32), expected)
    with pytest.raises(AssertionError):
        swath.testing.assert_close((expected + 1e-4).astype(np.float32), expected)
    with pytest.raises(AssertionError):
        swath.testing.assert_close(np.full(5, np.nan, np.float32), expected)
    with pytest.raises(AssertionError):
        swath.testing.assert_close(np.ones(4, np.float32), expected)


def test_max_isa_restricts_the_kernels() -> None:
    script = "import swath; print(*swath.info.kernels('sliding_conv'))"
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SWATH_MAX_ISA": "baseline"},
    )
    isas = {split_kernel("sliding_conv", k)[1] for k in run.stdout.split()}
    assert "reference" in isas
    assert not isas & {"avx2", "avx512"}
