"""Bench workloads of attention, forward and backward, and of the tools that make patterns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cases.case import Shape, Workload
from swath import patterns as P


def _random_blocks(n: int, block: int, density: float) -> P.Blocks:
    """The same lists for all heads."""
    kept = np.random.default_rng(block).random((1, 1, n // block, n // block)) < density
    counts = kept.sum(-1, dtype=np.int32)
    indices = np.argsort(~kept, -1, kind="stable").astype(np.int32)
    return P.Blocks(indices[..., : counts.max()], counts, (block, block))


def _disk_pairs(radius: int, side: int, n_text: int) -> int:
    """Pairs less than `radius` apart in a square, and those of the text."""
    n = np.maximum(side - np.abs(np.arange(-side, side + 1)), 0)
    offset = np.arange(-side, side + 1) ** 2
    near = (offset[:, None] + offset) < radius**2
    return int((np.outer(n, n) * near).sum()) + n_text**2 + 2 * n_text * side**2


def _work(
    name: str,
    tokens: Shape,
    heads: int,
    size: int,
    pattern: P.Pattern | None = None,
    *,
    batch: int = 1,
    n_k: int | None = None,
    pairs: int | None = None,
    backward: bool = False,
) -> Workload:
    """`n_k` keys where they are others than the queries; `pairs` of a head: all unless given."""
    shape = (batch, heads, *tokens, size)
    keys = shape if n_k is None else (batch, heads, n_k, size)
    shapes: dict[str, Shape] = {"q": shape, "k": keys, "v": keys}
    kwargs: Mapping[str, Any] = {} if pattern is None else {"pattern": pattern}
    if pairs is None:
        pairs = math.prod(tokens) * math.prod(keys[2:-1])
    flops = 4 * batch * heads * pairs * size
    if not backward:
        return Workload(name, "attention", shapes, kwargs, flops)
    shapes = {"do": shape, **shapes, "o": shape, "lse": shape[:-1]}
    return Workload(f"{name}_backward", "grad.attention", shapes, kwargs, flops * 5 // 2)


def _neighborhood(window: int, side: int, heads: int, size: int, **options: Any) -> Workload:
    name = f"neighborhood_k{window}_{side}_h{heads}_d{size}"
    pairs = side**2 * window**2
    return _work(name, (side, side), heads, size, P.Neighborhood(window), pairs=pairs, **options)


def _disk(radius: int) -> Workload:
    pattern = P.Disk(radius, grid=(64, 64), n_prefix=64)
    pairs = _disk_pairs(radius, 64, 64)
    return _work(f"disk_r{radius}_64_text_h4_d32", (64 * 64 + 64,), 4, 32, pattern, pairs=pairs)


def _blocks(block: int, density: float) -> Workload:
    pattern = _random_blocks(4096, block, density)
    pairs = int(pattern.counts.sum()) * block**2
    return _work(f"blocks_{block}_{density:g}_4096_h4_d64", (4096,), 4, 64, pattern, pairs=pairs)


WORKLOADS: list[Workload] = [
    _neighborhood(7, 56, 4, 32),
    _neighborhood(13, 56, 4, 32),
    _neighborhood(21, 64, 4, 32),
    _neighborhood(13, 64, 8, 64),
    _work("dense_1024_h4_d64", (1024,), 4, 64),
    _work("dense_4096_h1_d64", (4096,), 1, 64),
    _work("windows_7x7_b32_h4_d32", (49,), 4, 32, batch=32),
    *map(_disk, (8, 16)),
    *(_blocks(*b) for b in ((16, 0.1), (16, 0.5), (64, 0.1))),
    _work("decode_4096_h8_d64", (1,), 8, 64, n_k=4096),
]
GRAD_WORKLOADS: list[Workload] = [
    _neighborhood(7, 56, 4, 32, backward=True),
    _neighborhood(13, 56, 4, 32, backward=True),
    _work("windows_7x7_b32_h4_d32", (49,), 4, 32, batch=32, backward=True),
    _work("dense_1024_h4_d64", (1024,), 4, 64, backward=True),
]
MERGE_WORKLOADS: list[Workload] = [
    Workload(
        "merge_4x8x4096x64",
        "merge_attention",
        {f"o{t}": (1, 8, 4096, 64) for t in range(4)} | {f"lse{t}": (1, 8, 4096) for t in range(4)},
        {},
        2 * 4 * 8 * 4096 * 64,
    )
]
SELECT_WORKLOADS: list[Workload] = [
    Workload(
        f"select_{n}_block16_top8_h{h}_d64",
        "select_blocks",
        dict.fromkeys("qk", (1, h, n, 64)),
        {"block": 16, "top_k": 8},
        2 * h * ((n // 16) ** 2 + 2 * n) * 64,
    )
    for n, h in ((4096, 4), (16384, 1))
]
