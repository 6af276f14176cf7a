"""Where results are written, and that nothing else is written or read."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

import swath
from cases import CASES
from cases.case import Case, numpy_dtype
from support import (
    VIEWS,
    Array,
    assert_same_bits,
    between_forbidden_pages,
    check,
    clusters,
    guarded,
    kernels,
    outside_untouched,
    split_kernel,
)

# Constants and huge rows add time here, not sight.
SELECTED = [
    case
    for cases in CASES.values()
    for case in cases
    if case.has_out
    and not case.is_gradient
    and case.fill == "normal"
    and np.prod(case.x, dtype=np.int64) < 20_000
]


WITH_OUT = [case for case in SELECTED if case.has_out]


def _empty_like_result(case: Case, arrays: dict[str, Array]) -> tuple[int, ...]:
    return tuple(case.oracle(arrays).value.shape)


@pytest.mark.parametrize("gap", [0, 1, 2], ids=["contiguous", "rows_apart", "strided"])
@pytest.mark.parametrize("case", WITH_OUT, ids=str)
def test_out_is_filled_and_its_surroundings_are_not(case: Case, gap: int) -> None:
    arrays = case.inputs("f32")
    expected = case.run(swath, arrays)
    out, whole = guarded(expected.shape, "f32", gap=gap)
    assert case.run(swath, arrays, out=out) is out
    check(case, out, arrays)
    if gap == 0:  # other strides may suit another kernel
        assert_same_bits(out, expected)
    assert outside_untouched(out, whole)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f64"])
@pytest.mark.parametrize("case", WITH_OUT[::7], ids=str)
def test_out_of_other_dtypes(case: Case, dtype: str) -> None:
    arrays = case.inputs(dtype)
    expected = case.run(swath, arrays)
    out, whole = guarded(expected.shape, dtype)
    case.run(swath, arrays, out=out)
    assert_same_bits(out, expected)
    assert outside_untouched(out, whole)


@pytest.mark.parametrize("case", WITH_OUT[::3], ids=str)
def test_transposed_and_reversed_out(case: Case) -> None:
    arrays = case.inputs("f32")
    expected = case.run(swath, arrays)
    for out in (
        np.full(expected.shape[::-1], np.nan, np.float32).T,
        np.full(expected.shape, np.nan, np.float32)[(slice(None, None, -1),) * expected.ndim],
    ):
        case.run(swath, arrays, out=out)
        check(case, out, arrays)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", SELECTED[::2], ids=str)
def test_views_give_the_values_of_copies(case: Case, view: str) -> None:
    arrays = case.inputs("f32")
    check(case, case.run(swath, {k: VIEWS[view](a) for k, a in arrays.items()}), arrays)


@pytest.mark.parametrize("case", SELECTED[::4], ids=str)
def test_inputs_are_left_alone(case: Case) -> None:
    arrays = case.inputs("f32")
    before = {k: a.copy() for k, a in arrays.items()}
    case.run(swath, arrays)
    for name, a in arrays.items():
        assert_same_bits(a, before[name])


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_broadcast_inputs_of_stride_zero(axis: int) -> None:
    case = Case("broadcast", "conv2d", (3, 5, 9, 20), (6, 5, 3, 3), {"padding": 1}, ("bias",))
    arrays = case.inputs("f32")
    one = np.take(arrays["x"], [0], axis)
    arrays["x"] = np.broadcast_to(one, case.x)
    check(case, case.run(swath, arrays), arrays)


def test_broadcast_weight_of_stride_zero() -> None:
    case = Case("broadcast", "conv2d", (1, 6, 9, 20), (6, 1, 3, 3), {"padding": 1, "groups": 6})
    arrays = case.inputs("f32")
    arrays["weight"] = np.broadcast_to(arrays["weight"][:1], (6, 1, 3, 3))
    check(case, case.run(swath, arrays), arrays)


def test_a_channel_slice_is_read_in_place() -> None:
    case = Case("slice", "conv2d", (2, 4, 9, 30), (5, 4, 3, 3), {"padding": 1})
    arrays = case.inputs("f32")
    big = np.full((2, 13, 9, 30), np.nan, np.float32)
    big[:, 5:9] = arrays["x"]
    check(case, case.run(swath, {**arrays, "x": big[:, 5:9]}), arrays)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("flush", ["end", "start"])
@pytest.mark.parametrize("case", SELECTED, ids=str)
def test_no_kernel_touches_memory_outside_its_arrays(case: Case, flush: str) -> None:
    arrays = case.inputs("f32")
    expected = case.run(swath, arrays)
    names = [k for k in kernels(case.op) if split_kernel(case.op, k)[0] == "f32"] or clusters()
    everything = {**arrays, "out": np.empty_like(expected)}
    with between_forbidden_pages(everything, flush=flush) as near:
        out = near.pop("out")
        for name in names:
            out[...] = np.nan
            with swath.testing.force_kernel(name):
                try:
                    case.run(swath, near, out=out, threads=1)
                except swath.UnsupportedError:
                    continue
            check(case, out, arrays)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("dtype", ["f16", "bf16", "f64"])
@pytest.mark.parametrize("case", SELECTED[::3], ids=str)
def test_no_dtype_touches_memory_outside_its_arrays(case: Case, dtype: str) -> None:
    arrays = case.inputs(dtype)
    shape = _empty_like_result(case, arrays)
    everything = {**arrays, "out": np.zeros(shape, numpy_dtype(dtype))}
    with between_forbidden_pages(everything, flush="end") as near:
        out = near.pop("out")
        case.run(swath, near, out=out)
        check(case, out, arrays)


RANGES = [case for case in CASES["sliding_conv"] if case.id.startswith("range_")]


@pytest.mark.parametrize("case", [c for c in RANGES if "passthrough" not in c.kwargs], ids=str)
def test_pass_through_channels_are_bit_identical(case: Case) -> None:
    arrays = case.inputs("f32")
    axis = -1 if case.kwargs.get("layout") else 1
    start, stop = case.kwargs["channels"]
    rest = [c for c in range(case.x[axis]) if not start <= c < stop]
    # NaN with a payload, denormals and -0 must survive as they are.
    specials = np.array([0x7FC12345, 0x00000001, 0x80000000, 0x7F812345], np.uint32)
    x = arrays["x"]
    np.moveaxis(x, axis, 0)[rest] = np.resize(specials, (len(rest), 1, 1, 1)).view(np.float32)
    y = case.run(swath, arrays)
    assert_same_bits(np.take(y, rest, axis), np.take(x, rest, axis))
    in_place = x.copy()
    assert case.run(swath, {**arrays, "x": in_place}, out=in_place) is in_place
    assert_same_bits(in_place, y)


def test_in_place_leaves_the_pass_through_memory_untouched() -> None:
    case = next(c for c in RANGES if c.id == "range_copied")
    arrays = case.inputs("f32")
    big, _ = guarded(case.x, "f32", gap=2)
    big[...] = arrays["x"]
    case.run(swath, {**arrays, "x": big}, out=big)
    assert_same_bits(big, case.run(swath, arrays))


def test_in_place_within_one_layout_of_many_threads() -> None:
    case = Case("large", "conv2d", (2, 24, 90, 101), (12, 12, 3, 3), {"padding": 1})
    case = replace(case, kwargs={**case.kwargs, "channels": (6, 18)})
    arrays = case.inputs("f32")
    expected = case.run(swath, arrays)
    for n in (1, 2, 7):
        x = arrays["x"].copy()
        case.run(swath, {**arrays, "x": x}, out=x, threads=n)
        assert_same_bits(x, expected)


def test_out_may_lie_between_the_elements_of_an_input() -> None:
    case = Case("beside", "conv2d", (1, 4, 9, 20), (4, 4, 3, 3), {"padding": 1})
    arrays = case.inputs("f32")
    for part, rest in (
        ((slice(None), slice(0, 4)), (slice(None), slice(4, 8))),
        ((slice(None), slice(0, 8, 2)), (slice(None), slice(1, 8, 2))),
    ):
        both = np.zeros((1, 8, 9, 20), np.float32)
        both[part] = arrays["x"]
        case.run(swath, {**arrays, "x": both[part]}, out=both[rest])
        check(case, both[rest], arrays)
        assert_same_bits(both[part], arrays["x"])


@pytest.mark.parametrize("view", ["unaligned", "field_of_records"])
def test_out_of_odd_bytes_is_written_or_refused(view: str) -> None:
    case = Case("odd", "conv2d", (1, 4, 9, 20), (4, 4, 3, 3), {"padding": 1})
    arrays = case.inputs("f32")
    out = VIEWS[view](np.full(case.x, np.nan, np.float32))
    try:
        case.run(swath, arrays, out=out)
    except swath.LayoutError:
        assert np.isnan(out).all()
    else:
        check(case, out, arrays)
