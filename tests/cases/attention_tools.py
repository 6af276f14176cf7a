"""Directed cases and workloads of the tools around attention, forward and backward."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

import oracle_tools as tools
from cases.case import DTYPES, Array, Case, Shape, Workload, numpy_dtype
from oracle import Result


def identity(k: Array) -> Array:
    """A k_norm that changes nothing."""
    return k


@dataclass(frozen=True)
class ToolCase(Case):
    """A call on arrays named by `shapes`.

    `idx` has integers below `below`, `keep` is bool, `lse*` and `dlse` are accumulators; o0, lse0,
    o1, ... are the parts of a merge. A case looks at one `result` of the call, of the dtypes of
    `only`.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    table: str = "tokens"
    result: str = ""
    below: int = 1
    only: tuple[str, ...] = DTYPES

    @property
    def op(self) -> str:
        return self.table

    @property
    def dtypes(self) -> tuple[str, ...]:
        return self.only

    @property
    def has_out(self) -> bool:
        return self.function == "linear_attention"

    @property
    def base(self) -> str:
        return self.function.removeprefix("grad.")

    def inputs(self, dtype: str) -> dict[str, Array]:
        found = {}
        for name, shape in self.shapes.items():
            rng = np.random.default_rng(zlib.crc32(f"{self.id}_{name}".encode()))
            if name == "idx":
                found[name] = rng.integers(0, self.below, shape)
            elif name == "keep":
                found[name] = rng.random(shape) < 0.6
            elif "lse" in name:
                values = rng.normal(size=shape) * 2
                if name != "dlse":  # some rows of a part have seen nothing, the first no part
                    values[rng.random(shape) < 0.2] = -np.inf
                    values.reshape(-1)[:1] = -np.inf
                found[name] = values.astype(np.float64 if dtype == "f64" else np.float32)
            elif self.fill == "few":
                found[name] = rng.integers(-2, 3, shape).astype(numpy_dtype(dtype))
            elif self.fill == "constant":
                found[name] = np.full(shape, 0.7).astype(numpy_dtype(dtype))
            else:
                found[name] = rng.normal(size=shape).astype(numpy_dtype(dtype))
        return found

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        named: dict[str, Any] = dict(arrays)
        n_parts = sum(name.startswith("lse") for name in named)
        if n_parts:
            named["parts"] = [(named.pop(f"o{t}"), named.pop(f"lse{t}")) for t in range(n_parts)]
        found = reduce(getattr, self.function.split("."), swath)(**named, **self.kwargs, **more)
        if self.base == "select_blocks":
            return levels_of(found, arrays)
        for step in filter(None, self.result.split(".")):
            found = found[int(step)] if step.isdigit() else getattr(found, step)
        return found

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        first = np.asarray(next(iter(arrays.values())))
        wide = np.longdouble if first.dtype == np.float64 else np.float64
        given = {
            name: np.asarray(a) if name in ("idx", "keep") else np.asarray(a).astype(wide)
            for name, a in arrays.items()
        }
        family = {"merge_attention": _merge, "linear_attention": _linear}
        if self.base == "select_blocks":
            return _select(given, **self.kwargs)
        return family.get(self.base, _tokens)(self, given)


def levels_of(found: Any, arrays: Mapping[str, Array]) -> Array:
    """Blocks as an array (B, H, n_q, n_k) of levels, 0 where a block is not kept."""
    n_keys = arrays["k"].shape[2]
    n_k = -(-n_keys // found.block[1])
    listed = np.arange(found.indices.shape[-1]) < found.counts[..., None]
    kept = np.zeros((*found.counts.shape, n_k), arrays["q"].dtype)
    levels = np.ones(found.indices.shape, int) if found.levels is None else found.levels
    kept[(*np.nonzero(listed)[:3], found.indices[listed])] = levels[listed]
    return kept


def _merge(case: ToolCase, given: dict[str, Array]) -> Result:
    n = sum(name.startswith("lse") for name in given)
    os, lses = ([given[f"{name}{t}"] for t in range(n)] for name in ("o", "lse"))
    if not case.is_gradient:
        return tools.merge(os, lses)[0]
    found = tools.merge_grad(given["do"], given.get("dlse"), os, lses)
    part, which = (int(i) for i in case.result.split("."))
    return found[part][which]


def _linear(case: ToolCase, given: dict[str, Array]) -> Result:
    is_last = case.kwargs.get("layout") == "heads_last"

    def heads_first(x: Array) -> Array:
        x = np.moveaxis(x, -2, 1) if is_last else x
        return x.reshape(*x.shape[:2], int(np.prod(x.shape[2:-1])), x.shape[-1])

    flat = {name: heads_first(a) for name, a in given.items()}
    options = {k: v for k, v in case.kwargs.items() if k in ("causal", "scale")}
    softmax = "k_norm" not in case.kwargs
    linear = tools.Linear(flat["q"], flat["k"], flat["v"], softmax=softmax, **options)
    name = case.result.removeprefix("d") or "q"
    found = linear.gradients(flat["do"])[case.result] if case.is_gradient else linear.forward()
    shape = (*given[name].shape[:-1], found.value.shape[-1])

    def placed(x: Array) -> Array:
        if not is_last:
            return x.reshape(shape)
        return np.moveaxis(x.reshape(shape[0], shape[-2], *shape[1:-2], shape[-1]), 1, -2)

    return Result(placed(found.value), placed(found.magnitude), found.terms)


def _select(given: dict[str, Array], **options: Any) -> Result:
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


def _tokens(case: ToolCase, given: dict[str, Array]) -> Result:
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


def _pool(case: ToolCase, given: dict[str, Array]) -> Result:
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


def _case(id_: str, function: str, table: str = "tokens", **more: Any) -> ToolCase:
    shapes = more["shapes"]
    return ToolCase(id_, function, next(iter(shapes.values())), table=table, **more)


def _pool_pair(id_: str, x: Shape, cells: Shape, weights: Shape | None = None, **kwargs: Any):  # type: ignore[no-untyped-def]
    """The pooling and its gradients."""
    more = {} if weights is None else {"weights": weights}
    dy = (*cells, x[-1])
    found = [
        _case(f"pool_{id_}", "pool_tokens", shapes={"x": x, **more}, kwargs=kwargs),
        _case(
            f"grad_pool_{id_}",
            "grad.pool_tokens",
            shapes={"dy": dy, "x": x, **more},
            kwargs=kwargs,
            result="dx",
        ),
    ]
    if weights is not None:
        found.append(
            _case(
                f"grad_pool_{id_}_weights",
                "grad.pool_tokens",
                shapes={"dy": dy, "x": x, **more},
                kwargs=kwargs,
                result="dweights",
            )
        )
    return found


TOKEN_CASES = [
    _case("take", "take_tokens", shapes={"x": (2, 3, 11, 5), "idx": (7,)}, below=11),
    _case("take_own", "take_tokens", shapes={"x": (2, 3, 11, 17), "idx": (2, 1, 20)}, below=11),
    _case("take_none", "take_tokens", shapes={"x": (3, 11, 5), "idx": (0,)}),
    _case("take_many", "take_tokens", shapes={"x": (200, 3), "idx": (300,)}, below=200),
    _case(
        "put",
        "put_tokens",
        shapes={"y": (2, 3, 20, 5), "idx": (3, 20), "like": (2, 3, 11, 5)},
        below=11,
    ),
    _case(
        "put_one_place",
        "put_tokens",
        shapes={"y": (1300, 3), "idx": (1300,), "like": (2, 3)},
        below=1,
        fill="constant",
    ),
    _case(
        "grad_take",
        "grad.take_tokens",
        shapes={"dy": (2, 3, 20, 33), "x": (2, 3, 11, 33), "idx": (20,)},
        below=11,
        result="dx",
    ),
    _case(
        "grad_put",
        "grad.put_tokens",
        shapes={"dx": (2, 11, 4), "y": (2, 6, 4), "idx": (6,)},
        below=11,
        result="dx",
    ),
    _case("pack", "pack_tokens", shapes={"x": (3, 10, 5), "keep": (3, 10)}, result="packed"),
    _case("pack_heads", "pack_tokens", shapes={"x": (3, 2, 9, 5), "keep": (3, 9)}, result="packed"),
    _case("pack_one", "pack_tokens", shapes={"x": (10, 5), "keep": (10,)}, result="packed"),
    _case(
        "unpack",
        "unpack_tokens",
        shapes={"y": (2, 8, 5), "idx": (8,), "like": (3, 2, 9, 5)},
        below=27,
    ),
    _case(
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
    _case(
        "pool_equal",
        "grad.pool_tokens",
        shapes={"dy": (9, 4), "x": (35, 4)},
        kwargs={"grid": 35, "factor": 4, "mode": "max"},
        fill="constant",
        result="dx",
    ),
    _case("pool_empty", "pool_tokens", shapes={"x": (0, 6, 3)}, kwargs={"grid": 6, "factor": 2}),
]


def _parts(
    n: int, rows: Shape, d: int, *, grad: bool = False, dlse: bool = True
) -> dict[str, Shape]:
    found: dict[str, Shape] = {"do": (*rows, d)} if grad else {}
    if grad and dlse:
        found["dlse"] = rows
    for t in range(n):
        found |= {f"o{t}": (*rows, d), f"lse{t}": rows}
    return found


def _merge_case(
    id_: str, result: str = "0", only: tuple[str, ...] = DTYPES, **more: Any
) -> ToolCase:
    function = "grad.merge_attention" if more.get("grad") else "merge_attention"
    return _case(id_, function, "merge_attention", shapes=_parts(**more), result=result, only=only)


MERGE_CASES = [
    _merge_case("merge_one", n=1, rows=(2, 3, 5), d=7),
    _merge_case("merge_two", n=2, rows=(2, 3, 35), d=16),
    _merge_case("merge_many", n=15, rows=(2, 5), d=33),
    # 16-bit results are rounded more than once
    _merge_case("merge_beyond", only=("f32", "f64"), n=17, rows=(70,), d=3),
    _merge_case("merge_empty", n=2, rows=(2, 0), d=4),
    _merge_case("merge_axes", n=3, rows=(2, 3, 4, 5), d=64),
    *(
        _merge_case(
            f"grad_merge_{part}_{which}", f"{part}.{which}", n=3, rows=(3, 25), d=19, grad=True
        )
        for part in (0, 2)
        for which in (0,)
    ),
    _merge_case("grad_merge_plain", "1.0", n=2, rows=(3, 5), d=8, grad=True, dlse=False),
    _merge_case("grad_merge_many", "14.0", n=15, rows=(6,), d=5, grad=True),
]


def _linear_cases(
    id_: str, b: int, h: int, h_kv: int, n: int, m: int, d: int, e: int, **kwargs: Any
) -> list[ToolCase]:
    def at(heads: int, tokens: int, channels: int) -> Shape:
        last = kwargs.get("layout") == "heads_last"
        return (b, tokens, heads, channels) if last else (b, heads, tokens, channels)

    shapes = {"q": at(h, n, d), "k": at(h_kv, m, d), "v": at(h_kv, m, e)}
    backward = {"do": at(h, n, e), **shapes}
    return [
        _case(f"linear_{id_}", "linear_attention", "linear_attention", shapes=shapes, kwargs=kwargs)
    ] + [
        _case(
            f"grad_linear_{id_}_{r}",
            "grad.linear_attention",
            "linear_attention",
            shapes=backward,
            kwargs=kwargs,
            result=r,
        )
        for r in ("dq", "dk", "dv")
    ]


LINEAR_CASES = [
    *_linear_cases("groups", 2, 4, 2, 13, 13, 5, 7),
    *_linear_cases("wide", 1, 1, 1, 20, 70, 33, 80),
    *_linear_cases("last", 2, 2, 1, 17, 30, 16, 16, layout="heads_last"),
    *_linear_cases("causal", 1, 2, 1, 150, 150, 8, 9, causal=True),
    *_linear_cases("decode", 1, 2, 2, 3, 70, 8, 17, causal=True, layout="heads_last"),
    *_linear_cases("ahead", 1, 2, 2, 70, 3, 8, 17, causal=True),
    *_linear_cases("plain", 1, 2, 1, 66, 67, 4, 4, causal=True, k_norm=identity, scale=0.5),
    *_linear_cases("one", 1, 1, 1, 1, 1, 1, 1),
    *_linear_cases("no_scale", 1, 1, 1, 5, 600, 3, 2, scale=0.0),
    *_linear_cases("no_keys", 1, 2, 2, 5, 0, 3, 2),
    *_linear_cases("no_queries", 1, 2, 1, 0, 5, 3, 2),
]


def _select_case(id_: str, q: Shape, k: Shape, fill: str = "normal", **kwargs: Any) -> ToolCase:
    shapes = {"q": q, "k": k}
    return _case(id_, "select_blocks", "select_blocks", shapes=shapes, kwargs=kwargs, fill=fill)


_Q, _K = (2, 4, 50, 8), (2, 2, 83, 8)
LEVELS = {1: (0, 0.1), 2: (0.1, 0.3), 4: (0.3, 0.6)}
SELECT_CASES = [
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


def _work(
    name: str, function: str, shapes: dict[str, Shape], flops: int, **kwargs: Any
) -> Workload:
    return Workload(name, function, shapes, kwargs, flops)


_HEADS = (1, 8, 4096, 64)
LINEAR_WORKLOADS = [
    _work(
        "linear_8x4096x64", "linear_attention", dict.fromkeys("qkv", _HEADS), 4 * 8 * 4096 * 4096
    ),
    _work(
        "linear_causal_8x2048x32",
        "linear_attention",
        dict.fromkeys("qkv", (1, 8, 2048, 32)),
        4 * 8 * 2048 * 1024,
        causal=True,
    ),
]
TOKEN_WORKLOADS = [
    _work(
        "pool_mean_64x64",
        "pool_tokens",
        {"x": (4, 4096, 128)},
        4 * 4096 * 128,
        grid=(64, 64),
        factor=2,
    ),
    _work(
        "pool_max_64x64",
        "pool_tokens",
        {"x": (4, 4096, 128)},
        4 * 4096 * 128,
        grid=(64, 64),
        factor=2,
        mode="max",
    ),
]
