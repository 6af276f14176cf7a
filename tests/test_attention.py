"""Attention beyond its cases: special values, equal ways to say one thing, plans, random calls."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import swath
from attention_draw import check_draw
from support import assert_same_bits, require
from swath import patterns as P

RNG = np.random.default_rng(0)


def draw(*shape: int, dtype: Any = np.float32) -> Any:
    return RNG.standard_normal(shape).astype(dtype)


Q, K, V = (draw(2, 4, 9, 10, 16) for _ in range(3))


@pytest.mark.parametrize("chunk", range(6))
def test_random_calls_match_the_oracle(chunk: int) -> None:
    for seed in range(50 * chunk, 50 * chunk + 50):
        check_draw(seed)


def test_heads_that_share_keys_equal_repeated_ones() -> None:
    y = swath.attention(Q, K[:, :2], V[:, :2], pattern=P.Neighborhood(5))
    k, v = (np.repeat(x[:, :2], 2, axis=1) for x in (K, V))
    assert_same_bits(y, swath.attention(Q, k, v, pattern=P.Neighborhood(5)))


def test_packed_views_and_layouts_give_the_same() -> None:
    packed = draw(2, 30, 3, 4, 16)
    q, k, v = (packed[:, :, i] for i in range(3))
    assert swath.info.explain(swath.attention, q, k, v, layout="heads_last").copies == []
    y = swath.attention(q, k, v, pattern=P.Window1D(4, 4), layout="heads_last")
    first = [np.ascontiguousarray(np.moveaxis(x, 1, 2)) for x in (q, k, v)]
    assert_same_bits(np.moveaxis(y, 1, 2), swath.attention(*first, pattern=P.Window1D(4, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_reach_only_the_queries_that_see_them(dtype: Any, value: float) -> None:
    pattern = P.Neighborhood(3, grid=(9, 10))
    q, k, v = (x.reshape(2, 4, 90, 16).astype(dtype) for x in (Q, K, V))
    clean = swath.attention(q, k, v, pattern=pattern)
    v = v.copy()
    v[1, 2, 44, 5] = value
    y = swath.attention(q, k, v, pattern=pattern)
    sees = pattern.to_mask()[:, 44]
    touched = np.zeros(y.shape, bool)
    touched[1, 2, sees, 5] = True
    assert not np.isfinite(y[touched]).any()
    assert_same_bits(np.where(touched, 0, y), np.where(touched, 0, clean))


@pytest.mark.parametrize("which", ["q", "k"])
def test_a_nan_logit_poisons_its_rows_only(which: str) -> None:
    pattern = P.Disk(2.5, grid=(9, 10), n_prefix=0)
    q, k, v = (x.reshape(2, 4, 90, 16).copy() for x in (Q, K, V))
    clean = swath.attention(q, k, v, pattern=pattern)
    (q if which == "q" else k)[0, 1, 33, 2] = np.nan
    y, lse = swath.attention(q, k, v, pattern=pattern, return_lse=True)
    rows = pattern.to_mask()[:, 33] if which == "k" else np.arange(90) == 33
    poisoned = np.zeros(lse.shape, bool)
    poisoned[0, 1, rows] = True
    assert (np.isnan(lse) == poisoned).all()
    assert (np.isnan(y).all(-1) == poisoned).all()
    assert_same_bits(y[~poisoned], clean[~poisoned])


def test_rows_without_keys_are_zero() -> None:
    mask = np.ones((1, 90), bool)
    q, k, v = (x.reshape(2, 4, 90, 16) for x in (Q, K, V))
    pattern = P.Segments((40, 50), [[True, False], [False, False]])
    y, lse = swath.attention(q, k, v, pattern=pattern, key_mask=mask, return_lse=True)
    assert (y[:, :, 40:] == 0).all()
    assert np.isneginf(lse[:, :, 40:]).all()
    y, lse = swath.attention(q, k, v, key_mask=~mask, sink=np.full(4, 2.0, np.float32),
                             return_lse=True)  # fmt: skip
    assert (y == 0).all()
    assert (lse == 2).all()


def test_large_logits_do_not_overflow() -> None:
    q = np.full((1, 1, 3, 1), 300, np.float32)
    v = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
    k = q * np.array([1, 1, -1], np.float32)[:, None]
    y, lse = swath.attention(q, k, v, scale=1.0, return_lse=True)
    assert (y == 0.5).all()
    assert lse == pytest.approx(90000 + np.log(2), rel=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_neither_threads_nor_other_samples_change_a_bit(threads: int) -> None:
    y = swath.attention(Q, K, V, pattern=P.Neighborhood(5), threads=threads)
    for b in range(2):
        alone = swath.attention(*(x[b : b + 1] for x in (Q, K, V)), pattern=P.Neighborhood(5))
        assert_same_bits(y[b : b + 1], alone)


def test_torch_gives_the_same() -> None:
    torch = require("torch")
    q, k, v = (torch.from_numpy(x.reshape(2, 4, 90, 16)) for x in (Q, K, V))
    mask = P.Neighborhood(5, grid=(9, 10)).to_mask()
    expected = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=torch.from_numpy(mask)
    )
    for pattern in (P.Neighborhood(5, grid=(9, 10)), P.from_mask(torch.from_numpy(mask))):
        found = swath.attention(q, k, v, pattern=pattern)
        assert isinstance(found, torch.Tensor)
        assert torch.allclose(found, expected, atol=2e-6)


def test_memory_is_bounded() -> None:
    for dtype in (np.float32, np.float64, np.float16):
        for size in (1, 33, 64, 256):
            x = np.broadcast_to(np.zeros((), dtype), (1, 1, 4096, size))
            told = swath.info.explain(swath.attention, x, x, x, threads=1)
            assert told.workspace_bytes <= 64 * 1024


def test_work_is_that_of_the_pairs() -> None:
    x = np.zeros((2, 3, 12, 12, 8), np.float32)
    told = swath.info.explain(swath.attention, x, x, x, pattern=P.Neighborhood(5))
    assert told.flops == 2 * 3 * 144 * 25 * 4 * 8
    assert told.bytes == 4 * x.nbytes
    assert told.op == "attention"
    assert "tiles" in told.kernel
    disk = P.Disk(3, grid=(12, 12))
    told = swath.info.explain(swath.attention, x, x, x, pattern=disk)
    assert told.flops == 6 * int(disk.to_mask().sum()) * 4 * 8


def test_a_plan_is_the_function() -> None:
    table = P.RelativeTable(draw(4, 9, 9))
    plan = swath.Attention(P.Neighborhood(5), bias=table, softcap=4.0, threads=1)
    expected = swath.attention(Q, K, V, pattern=P.Neighborhood(5), bias=table, softcap=4.0)
    twin = pickle.loads(pickle.dumps(plan))
    for _ in range(2):
        assert_same_bits(plan(Q, K, V), expected)
        assert_same_bits(twin(Q, K, V), expected)
    y, lse = plan(Q[:1], K[:1], V[:1], return_lse=True)
    assert_same_bits(y, expected[:1])
    assert lse.shape == (1, 4, 9, 10)
    assert plan.explain(Q, K, V).op == "Attention"
    assert plan.flops(Q.shape) == 2 * 4 * 90 * 25 * 4 * 16
    assert plan.bytes(Q.shape) > 4 * Q.nbytes
    assert 0 < plan.workspace_bytes(Q.shape) <= 64 * 1024
    for n in range(2, 14):  # more shapes than it keeps
        x = draw(1, 4, 5, n + 3, 8)
        assert_same_bits(
            plan(x, x, x), swath.attention(x, x, x, pattern=P.Neighborhood(5), bias=table,
                                           softcap=4.0),
        )  # fmt: skip


def test_out_is_written() -> None:
    out = np.full((2, 4, 9, 10, 32), 7, np.float32)[..., ::2]
    y = swath.attention(Q, K, V, pattern=P.Window(3), out=out)
    assert y is out
    assert_same_bits(out, swath.attention(Q, K, V, pattern=P.Window(3)))
    with pytest.raises(swath.ParamError, match="out"):
        swath.attention(Q, K, V, out=Q)


def test_from_mask_and_blocks_say_the_same() -> None:
    x = draw(1, 1, 48, 8)
    kept = RNG.random((6, 12)) < 0.4
    counts = kept.sum(1, dtype=np.int32)[None, None]
    indices = np.argsort(~kept, 1, kind="stable").astype(np.int32)[None, None]
    blocks = P.Blocks(indices, counts, (8, 4))
    y = swath.attention(x, x, x, pattern=blocks)
    np.testing.assert_allclose(
        y, swath.attention(x, x, x, pattern=P.from_mask(blocks.to_mask())), rtol=1e-5, atol=1e-6
    )
