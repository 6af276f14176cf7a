"""Bits of long convolutions: threads, batches, strides, borders of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

import swath
from cases import CASES
from cases.long_conv import ALL, LongCase, long_case
from support import (
    VIEWS,
    assert_same_bits,
    between_forbidden_pages,
    guarded,
    outside_untouched,
)

THREADS = (1, 2, 3, 7)

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _many_threads() -> Iterator[None]:
    """`threads=` only lowers the number of the process, which a small machine may have at 2."""
    swath.set_num_threads(max(THREADS))
    yield
    swath.set_num_threads(os.cpu_count() or 1)


_LARGE = [
    long_case("rows", (3, 20, 3000), (20, 3000), *ALL),
    long_case("few_rows", (1, 2, 70_001), (2, 70_001), "skip"),
    long_case("segments", (1, 3, 40_000), (3, 700), *ALL, method="overlap_save"),
    long_case("direct", (3, 20, 3000), (20, 11), *ALL),
    long_case("one_head", (6, 8, 2000), (1, 1500), *ALL),
    long_case("masked", (2, 6, 900), (3, 700), n_fft=2000, freq_mask=np.arange(1001) < 200),
    long_case("last", (3, 20, 3000), (20, 3000), *ALL, layout="channels_last"),
    long_case("direct_last", (2, 37, 700), (37, 9), *ALL, layout="channels_last"),
]


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("case", _LARGE, ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: LongCase, dtype: str) -> None:
    arrays = case.inputs(dtype)
    dy = np.ascontiguousarray(case.run(swath, arrays))
    first = case.run(swath, arrays, threads=1)
    grads = swath.grad.long_conv(dy, **arrays, **case.kwargs, threads=1)
    for n in THREADS[1:]:
        assert_same_bits(case.run(swath, arrays, threads=n), first)
        for a, b in zip(
            swath.grad.long_conv(dy, **arrays, **case.kwargs, threads=n), grads, strict=True
        ):
            assert (a is None) == (b is None)
            if a is not None:
                assert_same_bits(a, b)


@pytest.mark.parametrize("case", _LARGE, ids=str)
def test_a_sample_does_not_depend_on_its_batch(case: LongCase) -> None:
    arrays = case.inputs("f32")
    together = case.run(swath, arrays)
    dy = np.ascontiguousarray(together)
    du = swath.grad.long_conv(dy, **arrays, **case.kwargs, needs=("u",)).du
    for i in range(case.x[0]):
        one = {k: a[i : i + 1] if a.ndim == 3 else a for k, a in arrays.items()}
        assert_same_bits(case.run(swath, one), together[i : i + 1])
        alone = swath.grad.long_conv(dy[i : i + 1], **one, **case.kwargs, needs=("u",)).du
        assert_same_bits(alone, du[i : i + 1])


def test_long_rows_are_the_same_alone_and_together() -> None:
    """Four rows of 70 001 go one by one, two in steps that threads share; of 262 145 each row has
    steps of its own."""
    for n_rows, n in ((4, 70_001), (3, 262_145)):
        case = long_case("long", (n_rows, 1, n), (1, n), "pre_gate", "post_gate")
        arrays = case.inputs("f32")
        together = case.run(swath, arrays)
        for i in range(0, n_rows, 2):
            some = {k: a if k == "k" else a[i : i + 2] for k, a in arrays.items()}
            assert_same_bits(case.run(swath, some), together[i : i + 2])


_VIEWED = [c for c in CASES["long_conv"] if c.id in (
    "few_taps", "prime", "full", "correlate", "circular_prime", "masked", "by_segments",
    "prime_channels_last", "many_channels_channels_last",
)]  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", _VIEWED, ids=str)
def test_views_of_any_stride(case: LongCase, view: str) -> None:
    for dtype in ("f32", "bf16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        seen = {k: VIEWS[view](a) for k, a in arrays.items()}
        assert_same_bits(case.run(swath, seen), expected)
        dy = np.ascontiguousarray(expected)
        grads = swath.grad.long_conv(dy, **arrays, **case.kwargs)
        for a, b in zip(
            swath.grad.long_conv(VIEWS[view](dy), **seen, **case.kwargs), grads, strict=True
        ):
            if a is not None:
                assert_same_bits(a, b)


def test_broadcast_inputs_of_stride_zero() -> None:
    k, row = RNG.normal(size=(4, 60)), RNG.normal(size=60)
    u = np.broadcast_to(row, (3, 4, 60))
    assert_same_bits(swath.long_conv(u, k), swath.long_conv(u.copy(), k))
    same = np.broadcast_to(k[:1], (4, 60))
    assert_same_bits(swath.long_conv(u, same), swath.long_conv(u, same.copy()))


@pytest.mark.parametrize("flush", ["start", "end"])
@pytest.mark.parametrize("case", _VIEWED, ids=str)
def test_no_read_outside(case: LongCase, flush: str) -> None:
    for dtype in ("f32", "f16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        dy = np.ascontiguousarray(expected)
        with between_forbidden_pages({**arrays, "dy": dy}, flush=flush) as seen:
            gradient = seen.pop("dy")
            assert_same_bits(case.run(swath, seen), expected)
            swath.grad.long_conv(gradient, **seen, **case.kwargs)


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("case", _VIEWED, ids=str)
def test_writes_only_into_out(case: LongCase, gap: int) -> None:
    for dtype in ("f32", "f16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        out, whole = guarded(expected.shape, dtype, gap=gap)
        assert case.run(swath, arrays, out=out) is out
        assert_same_bits(out, expected)
        assert outside_untouched(out, whole)
