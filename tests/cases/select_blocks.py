"""Directed cases of select_blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import oracle_tools as tools
from cases.case import Array, Shape
from cases.tool_case import ToolCase
from oracle import Result


@dataclass(frozen=True)
class SelectCase(ToolCase):
    """A selection, looked at as the level of every block."""

    table = "select_blocks"

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        return levels_of(super().run(swath, arrays, **more), arrays)

    def answer(self, given: dict[str, Array]) -> Result:
        return select(given, **self.kwargs)


def levels_of(found: Any, arrays: Mapping[str, Array]) -> Array:
    """Blocks as an array (B, H, n_q, n_k) of levels, 0 where a block is not kept."""
    n_keys = arrays["k"].shape[2]
    n_k = -(-n_keys // found.block[1])
    listed = np.arange(found.indices.shape[-1]) < found.counts[..., None]
    kept = np.zeros((*found.counts.shape, n_k), arrays["q"].dtype)
    levels = np.ones(found.indices.shape, int) if found.levels is None else found.levels
    kept[(*np.nonzero(listed)[:3], found.indices[listed])] = levels[listed]
    return kept


def select(given: dict[str, Array], **options: Any) -> Result:
    q, k = given["q"].astype(np.float64), given["k"].astype(np.float64)
    block = options["block"]
    block = (block, block) if isinstance(block, int) else block
    scores = tools.block_scores(q, k, block, options.get("scale"))
    force, parents = options.get("force"), options.get("parents")
    kept = np.zeros(scores.shape)
    for b, h, i in np.ndindex(*scores.shape[:3]):
        n_k = scores.shape[-1]
        candidates, forced = np.ones(n_k, bool), np.zeros(n_k, bool)
        if parents is not None:
            row = i * block[0] // parents.block[0]
            of = parents.indices[b % len(parents.indices), 0, row, : parents.counts[0, 0, row]]
            candidates = np.isin(np.arange(n_k) * block[1] // parents.block[1], of)
        if force is not None:
            forced[force[i] if force.dtype == bool else force] = True
        kept[b, h, i] = tools.choose(scores[b, h, i], candidates, forced, **options)
    return Result(kept, np.zeros(kept.shape), 1)


def _select_case(id_: str, q: Shape, k: Shape, fill: str = "normal", **kwargs: Any) -> SelectCase:
    return SelectCase.of(id_, "select_blocks", {"q": q, "k": k}, kwargs=kwargs, fill=fill)


_Q, _K = (2, 4, 50, 8), (2, 2, 83, 8)
LEVELS = {1: (0, 0.1), 2: (0.1, 0.3), 4: (0.3, 0.6)}
CASES = [
    _select_case("top", _Q, _K, block=(4, 5), top_k=3),
    _select_case("top_all", _Q, _K, block=(4, 5), top_k=99),
    _select_case("top_none", _Q, _K, block=4, top_k=0, force=np.array([3, 1])),
    _select_case("tokens", (1, 2, 70, 3), (1, 1, 130, 3), block=1, top_k=40),
    _select_case("ties", _Q, _K, "constant", block=(4, 5), top_k=4),
    _select_case("many_ties", (1, 2, 9, 2), (1, 2, 200, 2), "few", block=1, top_k=50),
    _select_case("top_p", _Q, _K, block=(4, 5), top_p=0.5),
    _select_case("top_p_many", (1, 1, 9, 2), (1, 1, 200, 2), block=1, top_p=0.75),
    _select_case("threshold", _Q, _K, block=(4, 5), threshold=0.07),
    _select_case("forced", _Q, _K, block=(4, 5), top_k=3, force=np.eye(13, 17, 2) > 0),
    _select_case("levels", _Q, _K, block=(4, 5), levels=LEVELS),
    _select_case("levels_p", _Q, _K, block=(4, 5), levels=LEVELS, top_p=0.9),
    _select_case("scale", _Q, _K, block=(4, 5), top_p=0.5, scale=3.0, threshold=0.02),
]
