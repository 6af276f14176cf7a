"""Directed cases and workloads of moving and pooling tokens, forward and backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import oracle_tools as tools
from cases.case import Array, Shape
from cases.tool_case import ToolCase, work
from oracle import Result


@dataclass(frozen=True)
class TokenCase(ToolCase):
    table = "tokens"

    def answer(self, given: dict[str, Array]) -> Result:
        return _tokens(self, given)


def _tokens(case: TokenCase, given: dict[str, Array]) -> Result:
    if case.base == "pool_tokens":
        return _pool(case, given)
    dy = given.get("dy")
    idx = given.get("idx")
    if case.base in ("take_tokens", "put_tokens"):
        if case.function in ("take_tokens", "grad.put_tokens"):
            return tools.take(given["dx" if case.is_gradient else "x"], idx)
        name = "x" if case.is_gradient else "like"
        return tools.put(dy if dy is not None else given["y"], idx, given[name].shape[-2])
    if "keep" in given:
        idx = np.flatnonzero(given["keep"])
    if case.function in ("pack_tokens", "grad.unpack_tokens"):
        return tools.take(tools.pack_order(given["dx" if case.is_gradient else "x"]), idx)
    shape = given["x" if case.is_gradient else "like"].shape
    full = tools.put(
        dy if dy is not None else given["y"],
        idx,
        int(given["keep"].size)
        if "keep" in given
        else int(np.prod((shape[0], shape[-2])[len(shape) == 2 :])),
    )
    value, size = (tools.unpack_order(a, shape) for a in (full.value, full.magnitude))
    return Result(value, size, full.terms)


def _pool(case: TokenCase, given: dict[str, Array]) -> Result:
    grid, factor, mode = (case.kwargs.get(k) for k in ("grid", "factor", "mode"))
    grid = (grid,) if isinstance(grid, int) else grid
    factor = (factor,) * len(grid) if isinstance(factor, int) else factor
    mode = mode or "mean"
    x, weights = given["x"], given.get("weights")
    lead = x.shape[:-2] if x.shape[-2] == np.prod(grid) else x.shape[: -1 - len(grid)]
    flat = x.reshape(*lead, int(np.prod(grid)), x.shape[-1])
    flat_weights, places = weights, None
    if weights is not None and weights.shape[-len(grid) :] == factor != grid:
        places = tools.places(grid, factor)
        flat_weights = weights.reshape(*weights.shape[: -len(grid)], -1)[..., places]
    elif weights is not None and weights.shape[-1] != np.prod(grid):
        flat_weights = weights.reshape(*weights.shape[: -len(grid)], -1)
    rows = tools.cell_rows(grid, factor, mode, x, flat_weights)
    cells = tuple(-(-n // f) for n, f in zip(grid, factor, strict=True))
    if not case.is_gradient:
        found = tools.pool(flat, rows, mode)
        shape = found.value.shape if flat.shape == x.shape else (*lead, *cells, x.shape[-1])
    else:
        dy = given["dy"].reshape(*lead, int(np.prod(cells)), x.shape[-1])
        if case.result == "dweights":
            plain = tools.cell_rows(grid, factor, mode, x)
            found = tools.pool_weight_grad(dy, flat, plain, flat_weights.shape)
            if places is not None:
                found = tools.sum_places(found, places, int(np.prod(factor)))
            shape = weights.shape
        else:
            found, shape = tools.pool_grad(dy, flat, rows, mode), x.shape
    return Result(found.value.reshape(shape), found.magnitude.reshape(shape), found.terms)


def _pool_pair(id_: str, x: Shape, cells: Shape, weights: Shape | None = None, **kwargs: Any):  # type: ignore[no-untyped-def]
    """The pooling and its gradients."""
    more = {} if weights is None else {"weights": weights}
    dy = (*cells, x[-1])
    found = [
        TokenCase.of(f"pool_{id_}", "pool_tokens", shapes={"x": x, **more}, kwargs=kwargs),
        TokenCase.of(
            f"grad_pool_{id_}",
            "grad.pool_tokens",
            shapes={"dy": dy, "x": x, **more},
            kwargs=kwargs,
            result="dx",
        ),
    ]
    if weights is not None:
        found.append(
            TokenCase.of(
                f"grad_pool_{id_}_weights",
                "grad.pool_tokens",
                shapes={"dy": dy, "x": x, **more},
                kwargs=kwargs,
                result="dweights",
            )
        )
    return found


CASES = [
    TokenCase.of("take", "take_tokens", shapes={"x": (2, 3, 11, 5), "idx": (7,)}, below=11),
    TokenCase.of(
        "take_own", "take_tokens", shapes={"x": (2, 3, 11, 17), "idx": (2, 1, 20)}, below=11
    ),
    TokenCase.of("take_none", "take_tokens", shapes={"x": (3, 11, 5), "idx": (0,)}),
    TokenCase.of("take_many", "take_tokens", shapes={"x": (200, 3), "idx": (300,)}, below=200),
    TokenCase.of(
        "put",
        "put_tokens",
        shapes={"y": (2, 3, 20, 5), "idx": (3, 20), "like": (2, 3, 11, 5)},
        below=11,
    ),
    TokenCase.of(
        "put_one_place",
        "put_tokens",
        shapes={"y": (1300, 3), "idx": (1300,), "like": (2, 3)},
        below=1,
        fill="constant",
    ),
    TokenCase.of(
        "grad_take",
        "grad.take_tokens",
        shapes={"dy": (2, 3, 20, 33), "x": (2, 3, 11, 33), "idx": (20,)},
        below=11,
        result="dx",
    ),
    TokenCase.of(
        "grad_put",
        "grad.put_tokens",
        shapes={"dx": (2, 11, 4), "y": (2, 6, 4), "idx": (6,)},
        below=11,
        result="dx",
    ),
    TokenCase.of("pack", "pack_tokens", shapes={"x": (3, 10, 5), "keep": (3, 10)}, result="packed"),
    TokenCase.of(
        "pack_heads", "pack_tokens", shapes={"x": (3, 2, 9, 5), "keep": (3, 9)}, result="packed"
    ),
    TokenCase.of("pack_one", "pack_tokens", shapes={"x": (10, 5), "keep": (10,)}, result="packed"),
    TokenCase.of(
        "unpack",
        "unpack_tokens",
        shapes={"y": (2, 8, 5), "idx": (8,), "like": (3, 2, 9, 5)},
        below=27,
    ),
    TokenCase.of(
        "grad_unpack",
        "grad.unpack_tokens",
        shapes={"dx": (3, 2, 9, 5), "y": (2, 8, 5), "idx": (8,)},
        below=27,
        result="dx",
    ),
    *_pool_pair("mean", (2, 35, 5), (2, 12), grid=(5, 7), factor=2),
    *_pool_pair("mean_axes", (2, 3, 5, 7, 6), (2, 3, 3, 3), grid=(5, 7), factor=(2, 3)),
    *_pool_pair("mean_long", (1300, 3), (2,), grid=1300, factor=700),
    *_pool_pair("volume", (1, 2, 60, 4), (1, 2, 8), grid=(3, 4, 5), factor=(2, 2, 3)),
    *_pool_pair("nearest", (2, 35, 5), (2, 12), grid=(5, 7), factor=2, mode="nearest"),
    *_pool_pair("exact", (2, 35, 18), (2, 6), grid=(5, 7), factor=3, mode="nearest_exact"),
    *_pool_pair("max", (2, 35, 19), (2, 12), grid=(5, 7), factor=2, mode="max"),
    *_pool_pair(
        "weighted", (2, 3, 35, 5), (2, 3, 12), (3, 35), grid=(5, 7), factor=2, mode="weighted"
    ),
    *_pool_pair(
        "weighted_axes",
        (2, 5, 7, 16),
        (2, 3, 4),
        (2, 5, 7),
        grid=(5, 7),
        factor=2,
        mode="weighted",
    ),
    *_pool_pair(
        "weighted_places",
        (2, 3, 35, 5),
        (2, 3, 9),
        (3, 2, 3),
        grid=(5, 7),
        factor=(2, 3),
        mode="weighted",
    ),
    TokenCase.of(
        "pool_equal",
        "grad.pool_tokens",
        shapes={"dy": (9, 4), "x": (35, 4)},
        kwargs={"grid": 35, "factor": 4, "mode": "max"},
        fill="constant",
        result="dx",
    ),
    TokenCase.of(
        "pool_empty", "pool_tokens", shapes={"x": (0, 6, 3)}, kwargs={"grid": 6, "factor": 2}
    ),
]


WORKLOADS = [
    work(
        "pool_mean_64x64",
        "pool_tokens",
        {"x": (4, 4096, 128)},
        4 * 4096 * 128,
        grid=(64, 64),
        factor=2,
    ),
    work(
        "pool_max_64x64",
        "pool_tokens",
        {"x": (4, 4096, 128)},
        4 * 4096 * 128,
        grid=(64, 64),
        factor=2,
        mode="max",
    ),
]
