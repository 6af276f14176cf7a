"""Checks that published block-sparse attention names for itself."""

from __future__ import annotations

import numpy as np
import pytest

import swath
from papers import close, dense_attention, normal, softmax
from swath import patterns


def _qkv(n: int, d: int = 8, heads: int = 2):  # type: ignore[no-untyped-def]
    return [normal(1, heads, n, d, seed=s) for s in range(3)]


def _mean(x, block):  # type: ignore[no-untyped-def]
    starts = range(0, x.shape[2], block)
    return np.stack([x[:, :, s : s + block].mean(2) for s in starts], 2)


@pytest.mark.parametrize("n", [64, 71])
def test_s66_hierarchy_of_pooled_keys(n: int) -> None:
    """All tokens of the chosen blocks, and all pooled keys with the logarithm of their size."""
    q, k, v = _qkv(n)
    block = 8
    chosen = swath.select_blocks(q, k, block=block, top_k=3)
    pooled = [_mean(a, block) for a in (k, v)]
    sizes = np.array([min(block, n - s) for s in range(0, n, block)])
    extra = [(*pooled, np.log(sizes)[None], "all")]
    found = swath.attention(q, k, v, pattern=chosen, extra_kv=extra)
    keys, values = (np.concatenate([a, b], 2) for a, b in zip((k, v), pooled, strict=True))
    mask = np.zeros((1, 2, n, n + len(sizes)), bool)
    mask[..., n:] = True
    for h in range(2):
        for i in range(n):
            row = chosen.indices[0, h, i // block, : chosen.counts[0, h, i // block]]
            mask[0, h, i, :n] = np.isin(np.arange(n) // block, row)
    bias = np.concatenate([np.zeros(n), np.log(sizes)])
    close(found, dense_attention(q, keys, values, mask, bias))


def test_s66_all_blocks_are_dense_and_none_leaves_the_pooled() -> None:
    q, k, v = _qkv(64)
    everything = swath.select_blocks(q, k, block=8, top_k=8)
    close(swath.attention(q, k, v, pattern=everything), dense_attention(q, k, v))
    nothing = patterns.Blocks(np.zeros((1, 1, 8, 1), np.int32), np.zeros((1, 1, 8), np.int32), 8)
    pooled = [_mean(a, 8) for a in (k, v)]
    found = swath.attention(q, k, v, pattern=nothing, extra_kv=[(*pooled, np.log(8), "all")])
    close(found, dense_attention(q, *pooled))


def test_s66_children_lie_in_chosen_parents() -> None:
    q, k, _ = _qkv(256)
    coarse = swath.select_blocks(q, k, block=64, top_k=2)
    fine = swath.select_blocks(q, k, block=16, top_k=3, parents=coarse)
    scores = np.einsum("bhid,bhjd->bhij", _mean(q, 16), _mean(k, 16))
    for h in range(2):
        for i in range(16):
            parents = coarse.indices[0, h, i // 4, : coarse.counts[0, h, i // 4]]
            children = [j for j in range(16) if j // 4 in parents]
            best = sorted(sorted(children, key=lambda j: -scores[0, h, i, j])[:3])
            assert fine.indices[0, h, i, : fine.counts[0, h, i]].tolist() == best


def test_s74_coarse_masks_are_supersets() -> None:
    n, bq, bk = 48, 16, 8
    q, k, v = _qkv(n)
    i = np.arange(n)
    mask = np.abs(i[:, None] - i) <= 5
    close(swath.attention(q, k, v, pattern=patterns.from_mask(mask, (bq, bk))),
          dense_attention(q, k, v, mask))  # fmt: skip
    on = mask.reshape(n // bq, bq, n // bk, bk).any((1, 3))
    counts = on.sum(1).astype(np.int32)
    indices = np.zeros((n // bq, counts.max()), np.int32)
    for row, found in zip(indices, on, strict=True):
        row[: found.sum()] = np.flatnonzero(found)
    blocks = patterns.Blocks(indices[None, None], counts[None, None], (bq, bk))
    expanded = np.repeat(np.repeat(on, bq, 0), bk, 1)
    close(swath.attention(q, k, v, pattern=blocks), dense_attention(q, k, v, expanded))


@pytest.mark.parametrize("n", [128, 109])
def test_s114_levels(n: int) -> None:
    """Every block at its own resolution, a pooled key counting as its tokens."""
    block, rng = 32, np.random.default_rng(0)
    q, k, v = _qkv(n)
    levels = rng.choice([0, 1, 2, 4, 8], (1, 2, 4, 4))
    levels[0, 0, 2] = 0  # a row without blocks
    counts = (levels > 0).sum(-1).astype(np.int32)
    indices, of = np.zeros((1, 2, 4, 4), np.int32), np.ones((1, 2, 4, 4), np.int32)
    expected = np.zeros_like(q)
    for h, i in np.ndindex(2, 4):
        kept = np.flatnonzero(levels[0, h, i])
        indices[0, h, i, : len(kept)] = kept
        of[0, h, i, : len(kept)] = levels[0, h, i, kept]
        keys, values, sizes = [], [], []
        for j in kept:
            end = min((j + 1) * block, n)
            for s in range(j * block, end, levels[0, h, i, j]):
                cell = slice(s, min(s + levels[0, h, i, j], end))
                keys.append(k[0, h, cell].mean(0))
                values.append(v[0, h, cell].mean(0))
                sizes.append(cell.stop - cell.start)
        rows = slice(i * block, min((i + 1) * block, n))
        if keys:
            z = q[0, h, rows] @ np.array(keys).T / 8**0.5 + np.log(sizes)
            expected[0, h, rows] = softmax(z) @ np.array(values)
    pattern = patterns.Blocks(indices, counts, block, levels=of)
    close(swath.attention(q, k, v, pattern=pattern), expected)
    # Keys that are equal within a pool lose nothing.
    same = [np.repeat(a[:, :, ::8], 8, 2)[:, :, :n] for a in (k, v)]
    whole = patterns.Blocks(indices, counts, block)
    close(swath.attention(q, *same, pattern=pattern), swath.attention(q, *same, pattern=whole))


def test_s119_keys_of_each_query_by_low_rank_scores() -> None:
    n, d, r, top = 24, 8, 3, 5
    q, k, v = _qkv(n, d)
    wq, wk = normal(d, r), normal(d, r, seed=1)
    lq, lk = q @ wq, k @ wk
    chosen = swath.select_blocks(lq, lk, block=1, top_k=top)
    scores = lq @ lk.swapaxes(2, 3)
    best = np.sort(np.argsort(-scores, -1, kind="stable")[..., :top], -1)
    assert (chosen.indices[..., :top] == best).all()
    mask = np.zeros((1, 2, n, n), bool)
    np.put_along_axis(mask, best, True, -1)
    close(swath.attention(q, k, v, pattern=chosen), dense_attention(q, k, v, mask))
    ties = swath.select_blocks(0 * lq, lk, block=1, top_k=top)
    assert (ties.indices[..., :top] == np.arange(top)).all()
    everything = swath.select_blocks(lq, lk, block=1, top_k=n)
    close(swath.attention(q, k, v, pattern=everything), dense_attention(q, k, v))
