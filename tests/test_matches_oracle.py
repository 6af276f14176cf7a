"""Every kernel of every operator on every directed case, against the exact sums."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import swath
from cases import ALL_CASES, CASES
from cases.case import Case
from support import Array, assert_close_to, check, clusters, kernels, split_kernel

PAIRS = [pytest.param(c, d, id=f"{c.op}-{c.id}-{d}") for c in ALL_CASES for d in c.dtypes]
KERNELS = [(op, kernel) for op in swath.info.operators() for kernel in kernels(op)]
ENOUGH = 5  # accepted cases below which a kernel counts as untested


def _kernels_of(op: str, dtype: str) -> Iterator[str]:
    return (k for k in kernels(op) if split_kernel(op, k)[0] == dtype)


def _accepted(case: Case, arrays: dict[str, Array], force: str) -> Array | None:
    """The answer under force, or None where the kernel has a reason to pass."""
    with swath.testing.force_kernel(force):
        try:
            return case.run(swath, arrays, threads=1)
        except swath.UnsupportedError:
            return None


@pytest.mark.parametrize(("case", "dtype"), PAIRS)
def test_every_kernel_matches_the_oracle(case: Case, dtype: str) -> None:
    arrays = case.inputs(dtype)
    expected = case.oracle(arrays)
    failures = []
    for kernel in _kernels_of(case.kernel_op, dtype):
        actual = _accepted(case, arrays, kernel)
        if actual is None:
            continue
        try:
            assert_close_to(expected, actual, next(iter(arrays.values())).dtype)
        except AssertionError as error:
            failures.append(f"{kernel}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize(("case", "dtype"), PAIRS)
def test_the_chosen_kernel_matches_the_oracle(case: Case, dtype: str) -> None:
    arrays = case.inputs(dtype)
    check(case, case.run(swath, arrays), arrays)


@pytest.mark.parametrize("cluster", clusters())
@pytest.mark.parametrize("case", CASES["conv_transpose"] + CASES["conv_backward"], ids=str)
def test_composed_operators_match_on_every_cluster(case: Case, cluster: str) -> None:
    arrays = case.inputs("f32")
    actual = _accepted(case, arrays, cluster)
    if actual is not None:
        check(case, actual, arrays)


@pytest.mark.parametrize("case", ALL_CASES, ids=str)
def test_reference_accepts_everything(case: Case) -> None:
    if not kernels(case.kernel_op):
        pytest.skip("composed of another operator")
    arrays = case.inputs("f32")
    assert kernels(case.kernel_op)[-1].split("_")[-1] == "reference"
    assert _accepted(case, arrays, f"{case.kernel_op}_f32_reference") is not None


@pytest.mark.parametrize(("op", "kernel"), KERNELS, ids=[k for _, k in KERNELS])
def test_every_kernel_is_exercised(op: str, kernel: str) -> None:
    dtype, _ = split_kernel(op, kernel)
    n_accepted = 0
    for case in CASES[op]:
        n_accepted += _accepted(case, case.inputs(dtype), kernel) is not None
        if n_accepted == ENOUGH:
            return
    pytest.fail(f"{kernel} accepted {n_accepted} of {len(CASES[op])} cases")


def test_every_operator_has_cases() -> None:
    assert set(swath.info.operators()) <= set(CASES)
