"""What the tools around attention promise beyond the oracle's cases."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_tools
import swath
from cases import linear_attention, merge_attention, select_blocks, tokens
from cases.case import DTYPES
from cases.linear_attention import linear_cases
from cases.merge_attention import MergeCase
from cases.select_blocks import SelectCase, levels_of, select
from cases.tokens import TokenCase
from cases.tool_case import ToolCase
from support import (
    VIEWS,
    Array,
    assert_same_bits,
    between_forbidden_pages,
    check,
    clusters,
    require,
)

CASES: list[ToolCase] = [
    *tokens.CASES,
    *merge_attention.CASES,
    *linear_attention.CASES,
    *select_blocks.CASES,
]
SMALL = [c for c in CASES if all(np.prod(s, dtype=np.int64) < 9_000 for s in c.shapes.values())]
GRIDS = [(2, 2), (8, 8), (7, 9), (5, 6), (16, 3), (1, 5), (13, 8), (3, 4, 5), (4, 4, 4), (2,) * 4]


@pytest.fixture(autouse=True)
def _many_threads() -> Iterator[None]:
    swath.set_num_threads(7)
    yield
    swath.set_num_threads(os.cpu_count() or 1)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("case", SMALL[::2], ids=str)
def test_views_give_the_same_bits(case: ToolCase, view: str) -> None:
    arrays = case.inputs("bf16" if view == "transposed" else "f32")
    seen = {name: VIEWS[view](a) for name, a in arrays.items()}
    assert_same_bits(case.run(swath, seen), case.run(swath, arrays))


@pytest.mark.parametrize("flush", ["start", "end"])
@pytest.mark.parametrize("case", SMALL[::2], ids=str)
def test_nothing_outside_the_arrays_is_read(case: ToolCase, flush: str) -> None:
    for dtype in ("f32", "f16"):
        arrays = case.inputs(dtype)
        with between_forbidden_pages(arrays, flush=flush) as copies:
            assert_same_bits(case.run(swath, copies), case.run(swath, arrays))


def _normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


_BIG = [
    *linear_cases("large", 2, 4, 2, 300, 300, 16, 130, causal=True),
    TokenCase("pool", "pool_tokens", (), kwargs={"grid": (64, 64), "factor": 2, "mode": "max"},
             shapes={"x": (2, 4096, 32)}),
    SelectCase("select", "select_blocks", (), kwargs={"block": 4, "top_p": 0.5},
               shapes={"q": (1, 2, 800, 16), "k": (1, 2, 800, 16)}),
    MergeCase("merge", "merge_attention", (), shapes={"o0": (4, 900, 32), "lse0": (4, 900)},
              result="0"),
]  # fmt: skip


@pytest.mark.parametrize("case", _BIG, ids=str)
def test_threads_and_batch_mates_change_no_bit(case: ToolCase) -> None:
    arrays = case.inputs("f32")
    first = case.run(swath, arrays, threads=1)
    for n in (2, 3, 7):
        assert_same_bits(case.run(swath, arrays, threads=n), first)
    alone = {name: a[:1] for name, a in arrays.items()}
    assert_same_bits(case.run(swath, alone), first[:1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [c for c in merge_attention.CASES if c.result == "0"], ids=str)
def test_lse_is_that_of_all_parts(case: ToolCase, dtype: str) -> None:
    arrays = case.inputs(dtype)
    n = len(arrays) // 2
    parts = [(arrays[f"o{t}"], arrays[f"lse{t}"]) for t in range(n)]
    wide = np.longdouble if dtype == "f64" else np.float64
    _, lse, _ = oracle_tools.merge(*([p[i].astype(wide) for p in parts] for i in (0, 1)))
    for cluster in clusters():
        with swath.testing.force_kernel(cluster):
            found = swath.merge_attention(parts)[1]
        assert found.dtype == (np.float64 if dtype == "f64" else np.float32)
        swath.testing.assert_close(found, lse, terms=n, magnitude=np.abs(lse) + 1)


def test_gradient_of_lse_matches_the_formula() -> None:
    for dtype in ("f32", "f64", "bf16"):
        for case in [c for c in merge_attention.CASES if c.is_gradient]:
            twin = MergeCase(case.id, case.function, case.x, shapes=case.shapes,
                             result=case.result.split(".")[0] + ".1")  # fmt: skip
            arrays = twin.inputs(dtype)
            expected, found = twin.oracle(arrays), twin.run(swath, arrays)
            swath.testing.assert_close(
                found, expected.value, terms=expected.terms, magnitude=expected.magnitude
            )


def test_a_merge_of_splits_is_the_whole_and_empty_parts_do_not_count() -> None:
    s, v = _normal(5, 40), _normal(40, 7, seed=1)

    def part(keys: slice) -> tuple[Array, Array]:
        lse = np.log(np.exp(s[:, keys].astype(float)).sum(1)).astype(np.float32)
        return np.exp(s[:, keys] - lse[:, None]) @ v[keys], lse

    o, lse = part(slice(None))
    nothing = np.full_like(o, np.nan), np.full_like(lse, -np.inf)
    cuts = [slice(0, 3), slice(3, 30), slice(30, 40)]
    found = swath.merge_attention([nothing, *map(part, cuts)])
    swath.testing.assert_close(found[0], o, terms=40, magnitude=np.abs(o) + 1)
    swath.testing.assert_close(found[1], lse, terms=4, magnitude=np.abs(lse) + 1)
    none, minus = swath.merge_attention([nothing, nothing])
    assert (none == 0).all()
    assert np.isneginf(minus).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm", ["softmax_tokens", "callable"])
def test_gradients_of_linear_attention_match_differences(norm: str, causal: bool) -> None:
    k_norm: Any = norm if norm == "softmax_tokens" else lambda k: k
    arrays = [_normal(1, h, n, c, seed=n, dtype=np.float64) for h, n, c in
              ((4, 5, 3), (2, 7, 3), (2, 7, 2))]  # fmt: skip
    do = _normal(1, 4, 5, 2, seed=9, dtype=np.float64)
    keywords: dict[str, Any] = {"k_norm": k_norm, "causal": causal}
    found = swath.grad.linear_attention(do, *arrays, **keywords)
    for which, (x, dx) in enumerate(zip(arrays, found, strict=True)):
        for at in list(np.ndindex(*x.shape))[::5]:
            step = np.zeros_like(x)
            step[at] = 1e-5
            ends = [
                (swath.linear_attention(*arrays[:which], x + s, *arrays[which + 1 :], **keywords)
                 * do).sum() for s in (step, -step)
            ]  # fmt: skip
            assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(dx[at], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("causal", [False, True])
def test_linear_attention_and_gradient_are_those_of_torch(causal: bool) -> None:
    torch = require("torch")
    given = [_normal(2, 2, 90, 8, seed=i, dtype=np.float64) for i in range(4)]
    q, k, v, do = (torch.tensor(a, requires_grad=i < 3) for i, a in enumerate(given))
    scores = q @ torch.softmax(k, 2).transpose(2, 3) * 8**-0.5
    o = (torch.tril(scores) if causal else scores) @ v
    o.backward(do)
    mine = swath.linear_attention(*given[:3], causal=causal)
    np.testing.assert_allclose(mine, o.detach().numpy(), atol=1e-12)
    found = swath.grad.linear_attention(given[3], *given[:3], causal=causal)
    for dx, x in zip(found, (q, k, v), strict=True):
        np.testing.assert_allclose(dx, x.grad.numpy(), atol=1e-12)


def test_a_causal_query_does_not_see_what_comes_later() -> None:
    x, v = _normal(1, 1, 200, 5), _normal(1, 1, 200, 5)
    clean = swath.linear_attention(x, x, v, causal=True)
    v[0, 0, 77] = np.nan
    found = swath.linear_attention(x, x, v, causal=True)
    assert_same_bits(found[:, :, :77], clean[:, :, :77])
    assert np.isnan(found[:, :, 77:]).all()
    q = x.copy()
    q[0, 0, 77] = np.nan
    dv = swath.grad.linear_attention(x, q, x, x, causal=True).dv
    assert np.isnan(dv[:, :, :78]).all()
    assert not np.isnan(dv[:, :, 78:]).any()


def test_large_logits_of_linear_attention_do_not_overflow() -> None:
    q, v = _normal(1, 1, 6, 4), _normal(1, 1, 6, 3)
    k = 1e3 * _normal(1, 1, 6, 4, seed=3)
    assert np.isfinite(swath.linear_attention(q, k, v)).all()


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_orders_are_permutations(grid: tuple[int, ...]) -> None:
    n = int(np.prod(grid))
    for order in (
        swath.order.hilbert(grid),
        swath.order.morton(grid),
        swath.order.window(grid, 2),
    ):
        assert sorted(order) == list(range(n))
        x = _normal(n, 2)
        there = swath.take_tokens(x, order)
        assert_same_bits(swath.take_tokens(there, np.argsort(order)), x)
        assert_same_bits(swath.put_tokens(there, order, like=x), x)


@pytest.mark.parametrize("grid", [g for g in GRIDS if len(g) == 2 or g == (4, 4, 4)], ids=str)
def test_a_step_of_the_hilbert_order_goes_to_a_neighbour(grid: tuple[int, ...]) -> None:
    at = np.stack(np.unravel_index(swath.order.hilbert(grid), grid), -1)
    steps = np.abs(np.diff(at, axis=0))
    is_mixed = len(grid) == 2 and max(grid) % 2 == 1 and min(grid) % 2 == 0
    assert (steps.sum(1) != 1).sum() <= is_mixed
    assert steps.max() == 1


def test_morton_and_window_orders_cut_squares_into_runs() -> None:
    for order in (swath.order.morton((8, 8)), swath.order.window((8, 8), 4)):
        for run in order.reshape(4, 16):
            y, x = np.unravel_index(run, (8, 8))
            assert len(set(zip(y // 4, x // 4, strict=True))) == 1


def test_packing_keeps_what_is_kept() -> None:
    x, keep = _normal(3, 2, 9, 5), np.random.default_rng(0).random((3, 9)) < 0.5
    packed, cu, idx = swath.pack_tokens(x, keep)
    assert cu.tolist() == [0, *np.cumsum(keep.sum(1))]
    for b in range(3):
        assert_same_bits(packed[:, cu[b] : cu[b + 1]], x[b][:, keep[b]])
    expected = np.where(keep[:, None, :, None], x, np.float32(0))
    assert_same_bits(swath.unpack_tokens(packed, idx, like=x), expected)
    assert cu.dtype == np.int32
    assert idx.dtype == np.int64


def test_results_are_of_the_callers_library() -> None:
    torch = require("torch")
    x = torch.randn(2, 6, 3, dtype=torch.bfloat16)
    packed, cu, idx = swath.pack_tokens(x, torch.ones(2, 6, dtype=torch.bool))
    assert all(isinstance(a, torch.Tensor) for a in (packed, cu, idx))
    assert torch.equal(swath.unpack_tokens(packed, idx, like=x), x)
    assert torch.equal(swath.take_tokens(x, torch.tensor([5, 0])), x[:, [5, 0]])
    q = torch.randn(1, 1, 8, 4)
    assert isinstance(swath.select_blocks(q, q, block=2, top_k=1).indices, torch.Tensor)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_within_parents_and_beyond(dtype: Any) -> None:
    q, k = _normal(1, 1, 50, 8, dtype=dtype), _normal(1, 1, 83, 8, seed=2, dtype=dtype)
    parents = swath.select_blocks(q, k, block=(8, 10), top_k=3)
    for more in ({}, {"force": np.array([2, 8])}, {"levels": {1: (0, 0.2), 2: (0.2, 1)}}):
        for criterion in ({"top_k": 4}, {"top_p": 0.6}):
            options: dict[str, Any] = {"block": (4, 5), "parents": parents, **criterion, **more}
            found = levels_of(swath.select_blocks(q, k, **options), {"q": q, "k": k})
            expected = select({"q": q, "k": k}, **options).value
            assert (found == expected).all()
    whole = swath.select_blocks(q, k, block=(4, 5), top_k=17, parents=parents)
    assert set(whole.counts.ravel()) <= {5, 6}


def test_selection_prefers_low_indices_and_ranks_nan_last() -> None:
    q, k = np.zeros((1, 1, 4, 2), np.float32), _normal(1, 1, 6, 2)
    assert swath.select_blocks(q, k, block=1, top_k=2).indices[0, 0].tolist() == [[0, 1]] * 4
    k[0, 0, 0] = np.nan
    found = swath.select_blocks(np.ones_like(q), k, block=1, top_k=5)
    assert found.indices[0, 0].tolist() == [[1, 2, 3, 4, 5]] * 4
    k[...] = np.nan
    assert swath.select_blocks(q, k, block=1, top_k=2).indices[0, 0].tolist() == [[0, 1]] * 4


def test_full_top_p_keeps_all_and_lists_are_as_wide_as_the_longest() -> None:
    q = _normal(1, 2, 12, 4) * 30
    assert (swath.select_blocks(q, q, block=2, top_p=1).counts == 6).all()
    few = swath.select_blocks(q, q, block=2, top_p=0.5)
    assert few.indices.shape[-1] == few.counts.max() < 6


@st.composite
def _linear(draw: Any) -> ToolCase:
    h_kv, group = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    sizes = [draw(st.integers(1, n)) for n in (2, 80, 80, 40, 70)]
    b, n, m, d, e = sizes
    kwargs = {"causal": draw(st.booleans())}
    if draw(st.booleans()):
        kwargs["layout"] = "heads_last"
    cases = linear_cases(f"fuzz{sizes}", b, h_kv * group, h_kv, n, m, d, e, **kwargs)
    return draw(st.sampled_from(cases))


@st.composite
def _pool(draw: Any) -> ToolCase:
    n_axes = draw(st.integers(1, 3))
    grid = tuple(draw(st.integers(1, 9)) for _ in range(n_axes))
    factor = tuple(draw(st.integers(1, 5)) for _ in range(n_axes))
    mode = draw(st.sampled_from(["mean", "max", "nearest", "nearest_exact", "weighted"]))
    b, d, n = draw(st.integers(1, 3)), draw(st.integers(1, 40)), int(np.prod(grid))
    shapes = {"x": (b, n, d) if draw(st.booleans()) else (b, *grid, d)}
    if mode == "weighted":
        shapes["weights"] = draw(st.sampled_from([(n,), (b, n), (1, *grid), grid]))
    kwargs = {"grid": grid, "factor": factor, "mode": mode}
    return TokenCase(f"fuzz{grid}{factor}{d}", "pool_tokens", (), kwargs=kwargs, shapes=shapes)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(_linear(), _pool()),
    st.sampled_from(DTYPES),
    st.sampled_from(["none", *VIEWS]),
    st.sampled_from(["best", *clusters()]),
)
def test_random_calls_match_the_oracle(case: ToolCase, dtype: str, view: str, cluster: str) -> None:
    arrays = case.inputs(dtype)
    seen = arrays if view == "none" else {name: VIEWS[view](a) for name, a in arrays.items()}
    force = swath.testing.force_kernel(cluster) if cluster != "best" else contextlib.nullcontext()
    with force:
        actual = case.run(swath, seen)
    check(case, actual, arrays)
