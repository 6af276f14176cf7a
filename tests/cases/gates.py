"""Directed cases and workloads of the gates, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

import oracle_gates
from cases.case import DTYPES, Array, Case, Shape, Workload
from oracle import Result

GAUSS = ("asym_gauss", (1.3, 0.25, 0.8, 1.5))


@dataclass(frozen=True)
class GateCase(Case):
    """A call on arrays named by `shapes`; `w0`, `w1`, ... are its weights.

    A gradient's case looks at one `result` of it. `table` is the operator whose kernels the case is
    for. Shapes have the channels first; `kwargs["layout"]` moves them in the arrays.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    table: str = ""
    result: str = ""
    n_lead: int = 0  # axes before N: the branches

    @property
    def op(self) -> str:
        return self.table

    @property
    def dtypes(self) -> tuple[str, ...]:
        return DTYPES

    @property
    def has_out(self) -> bool:
        return not self.result

    @property
    def is_last(self) -> bool:
        return self.kwargs.get("layout") == "channels_last"

    def _has_channels(self, name: str) -> bool:
        small = ("w0", "w1", "w2", "w3", "dgate")
        return name not in small and not (name.endswith("logits") and self.n_lead > 0)

    def _channel_axis(self, name: str) -> int:
        lead = self.n_lead if name.endswith("branches") else 0
        return lead + (0 if self.kwargs.get("ndim") or self._is_unbatched else 1)

    @property
    def _is_unbatched(self) -> bool:
        return self.n_lead > 0 and len(self.shapes["logits"]) == 2

    def _placed(self, name: str, array: Array) -> Array:
        """In the case's layout."""
        if not (self.is_last and self._has_channels(name)):
            return array
        return np.ascontiguousarray(np.moveaxis(array, self._channel_axis(name), -1))

    def _planar(self, name: str, array: Array) -> Array:
        """With the channels first again."""
        if not (self.is_last and self._has_channels(name)):
            return array
        return np.moveaxis(array, -1, self._channel_axis(name))

    def inputs(self, dtype: str) -> dict[str, Array]:
        plain = Case(self.id, "conv1d", (1,), fill=self.fill)
        return {
            name: self._placed(name, replace(plain, id=f"{self.id}_{name}", x=s).inputs(dtype)["x"])
            for name, s in self.shapes.items()
        }

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        named = {k: v for k, v in arrays.items() if not (k[0] == "w" and k[1:].isdigit())}
        keywords = {**self.kwargs, **more}
        if "w0" in arrays:
            count = {"eca": 1, "se": 4, "cca": 2, "mean_std": 3}[self.kwargs["kind"]]
            keywords["weights"] = tuple(arrays.get(f"w{i}") for i in range(count))
        if self.result:
            keywords.setdefault("needs", (self.result.split(".")[0],))
        found = reduce(getattr, self.function.split("."), swath)(**named, **keywords)
        if not self.result or found is None:
            return found
        name, *index = self.result.split(".")
        value = getattr(found, name)
        return value[int(index[0])] if index and value is not None else value

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        first = next(iter(arrays.values()))
        wide = np.longdouble if first.dtype == np.float64 else np.float64
        given = {k: self._planar(k, np.asarray(v).astype(wide)) for k, v in arrays.items()}
        found = self._formula(given)[self.result or "y"]
        name = self.result or "y"
        value, size = (self._shaped(name, v) for v in (found.value, found.magnitude))
        return Result(value, np.asarray(size), found.terms)

    def _shaped(self, name: str, v: Array) -> Array:
        """The oracle's array, which has one axis of positions, as the case's own."""
        if name.startswith("dweights") or name == "dgate":
            return v
        like = {"y": self._main, "dx": "x", "da": "a", "db": "b", "dadd": "a"}.get(name, name[1:])
        shape = self.shapes[like]
        if name == "y" and self.n_lead:
            shape = shape[1:]
        role = "branches" if like == "branches" and name != "y" else like
        plain = v.reshape(shape)
        if name == "y" and self.n_lead:
            return self._placed("dy", plain)
        return self._placed("logits" if like == "logits" else role, plain)

    @property
    def _main(self) -> str:
        return next(iter(k for k in self.shapes if k != "dy"))

    def _formula(self, given: dict[str, Array]) -> dict[str, Result]:
        options = {k: v for k, v in self.kwargs.items() if k not in ("layout", "ndim")}
        name = self.function.removeprefix("grad.")
        dy = given.pop("dy", None)
        if name == "gate_mul":
            if dy is None:
                return oracle_gates.gate_mul(**given, **options)
            return oracle_gates.gate_mul_grad(dy, **given, **options)
        if name == "spatial_gate":
            x, logits = self._flat(given["x"]), self._flat(given["logits"])
            tile = {"tile": x.shape[1]}
            if dy is None:
                return oracle_gates.gate_mul(x, logits, **tile)
            found = oracle_gates.gate_mul_grad(self._flat(dy), x, logits, **tile)
            return {"dx": found["da"], "dlogits": found["db"]}
        dy = None if dy is None else self._flat(dy)
        if name == "spatial_softmax_gate":
            x, logits = self._flat(given["x"]), self._flat(given["logits"])
            return oracle_gates.softmax_gate(x, logits, dy, **options)
        if name == "branch_select":
            logits = given["logits"].reshape(-1, *given["logits"].shape[-2:])
            n, m, c = logits.shape
            branches = given["branches"].reshape(m, n, c, self._n_positions)
            return oracle_gates.branch_select(branches, logits, dy)
        count = {"eca": 1, "se": 4, "cca": 2, "mean_std": 3}[options["kind"]]
        weights = [given.get(f"w{i}") for i in range(count)]
        return oracle_gates.channel_gate(self._flat(given["x"]), weights, dy, kind=options["kind"])

    @property
    def _n_positions(self) -> int:
        shape = self.shapes[self._main][self.n_lead :]
        return math.prod(shape[1 if self.kwargs.get("ndim") or self._is_unbatched else 2 :])

    def _flat(self, v: Array) -> Array:
        """(N, C, P)"""
        if self.kwargs.get("ndim") or self._is_unbatched:
            v = v[None]
        return v.reshape(*v.shape[:2], self._n_positions)


def _both(cases: list[GateCase]) -> list[GateCase]:
    """Each case, then its twin with the channels last."""
    return [
        twin
        for case in cases
        for twin in (
            case,
            replace(
                case,
                id=f"{case.id}_channels_last",
                kwargs={**case.kwargs, "layout": "channels_last"},
            ),
        )
    ]


def _grads(case: GateCase, results: tuple[str, ...], table: str = "") -> list[GateCase]:
    main = case.shapes[case._main]
    shapes = {"dy": main[case.n_lead :], **case.shapes}
    return [
        replace(
            case,
            id=f"{case.id}_{name}",
            function=f"grad.{case.function}",
            shapes=shapes,
            result=name,
            table=table or case.table,
        )
        for name in results
    ]


def gate_case(name: str, a: Shape, tile: int = 1, add: bool = False, **kwargs: Any) -> GateCase:
    b = a if tile == 1 else (a[0], a[1] // tile, *a[2:])
    shapes = {"a": a, "b": b} | ({"add": a} if add else {})
    kwargs = kwargs if tile == 1 else {"tile": tile, **kwargs}
    return GateCase(name, "gate_mul", a, None, kwargs, shapes=shapes, table="gate_mul")


_PRODUCTS = [
    gate_case("plain", (2, 5, 9, 20)),
    gate_case("one_element", (1, 1, 1)),
    gate_case("elu_add", (2, 6, 7, 11), add=True, activation="elu"),
    gate_case("gauss", (3, 4, 30, 41), gate=GAUSS, add=True),
    gate_case("identity", (2, 3, 50), gate=None),
    gate_case("tile_3", (2, 6, 5, 9), 3, activation="silu", gate="tanh"),
    gate_case("tile_all", (2, 40, 33), 40, gate="hardsigmoid"),
    gate_case("tile_long", (1, 6, 3000), 2, gate=("leaky_relu", 0.2), add=True),
    gate_case("tile_gauss", (2, 8, 5, 6), 4, activation="gelu_tanh", gate=GAUSS),
    gate_case("tile_600", (1, 600, 7), 600, activation="relu", gate="softplus"),
    gate_case("empty", (0, 4, 5)),
    gate_case("no_channels", (2, 0, 5), 3),
]
_SINGLE = [
    gate_case("row", (1031,), activation="hardswish", gate="silu"),
    gate_case("eight_axes", (2, 4, 1, 2, 1, 3, 2, 2), 2),
]


def _spatial(name: str, x: Shape, groups: int = 0, **kwargs: Any) -> GateCase:
    at = 0 if kwargs.get("ndim") else 1
    logits = (*x[:at], groups or 1, *x[at + 1 :])
    function = "spatial_softmax_gate" if groups else "spatial_gate"
    return GateCase(
        f"{'softmax' if groups else 'spatial'}_{name}", function, x, None, kwargs,
        shapes={"x": x, "logits": logits}, table="spatial_gate" if groups else "gate_mul",
    )  # fmt: skip


_MAPS = [
    _spatial("image", (2, 12, 7, 9)),
    _spatial("one_channel", (2, 1, 33)),
    _spatial("volume", (1, 5, 3, 4, 5)),
    _spatial("unbatched", (6, 7, 9), ndim=2),
    _spatial("many_channels", (1, 300, 3, 5)),
    _spatial("wide", (1, 3, 40, 130)),
    _spatial("empty", (2, 3, 0, 4)),
]
_SOFTMAX_MAPS = [
    _spatial("image", (2, 12, 7, 9), 1),
    _spatial("groups", (2, 12, 7, 9), 4),
    _spatial("own", (2, 6, 11), 6, residual=False),
    _spatial("volume", (1, 6, 3, 4, 5), 2),
    _spatial("unbatched", (6, 70), 3, ndim=1),
    _spatial("one_position", (2, 4, 1), 2),
    _spatial("long", (1, 2, 5000), 1, residual=False),
    _spatial("empty", (0, 4, 5), 2),
]


def branch_case(name: str, branches: Shape) -> GateCase:
    m, *rest = branches
    logits = (m, rest[0]) if len(rest) == 2 else (rest[0], m, rest[1])
    return GateCase(
        f"branches_{name}", "branch_select", branches, None, {},
        shapes={"branches": branches, "logits": logits}, table="spatial_gate", n_lead=1,
    )  # fmt: skip


_BRANCHES = [
    branch_case("two", (2, 2, 12, 7, 9)),
    branch_case("one", (1, 2, 5, 33)),
    branch_case("five", (5, 1, 40, 3, 4)),
    branch_case("many", (600, 1, 5, 3)),
    branch_case("many_channels", (3, 1, 530, 2)),
    branch_case("volume", (2, 1, 3, 3, 4, 5)),
    branch_case("unbatched", (2, 6, 15)),
    branch_case("empty", (2, 1, 3, 0)),
]


def channel_case(name: str, kind: str, x: Shape, n: int = 3, **kwargs: Any) -> GateCase:
    """`n` is the number of taps (eca) or of hidden channels (se); 0 drops the biases."""
    c = x[0 if kwargs.get("ndim") else 1]
    shapes: dict[str, tuple[Shape, ...]] = {
        "eca": ((n,),),
        "se": ((n, c), (n,), (c, n), (c,)),
        "cca": ((c, c), (c,)),
        "mean_std": ((c, c, 2), (c,), (c,)),
    }
    weights = {f"w{i}": s for i, s in enumerate(shapes[kind])}
    return GateCase(
        f"{kind}_{name}", "channel_gate", x, None, {"kind": kind, **kwargs},
        shapes={"x": x, **weights}, table="channel_gate",
    )  # fmt: skip


def _bare(case: GateCase) -> GateCase:
    """Without the optional weights."""
    kept = {k: s for k, s in case.shapes.items() if k in ("x", "w0") or len(s) > 1}
    return replace(case, id=f"{case.id}_bare", shapes=kept)


_CHANNELS = [
    channel_case("image", "eca", (2, 12, 7, 9)),
    channel_case("one_tap", "eca", (2, 7, 33), 1),
    channel_case("long_filter", "eca", (1, 5, 30), 11),
    channel_case("volume", "eca", (1, 40, 3, 4, 5), 5),
    channel_case("unbatched", "eca", (6, 30), ndim=1),
    channel_case("image", "se", (2, 12, 7, 9)),
    channel_case("wide", "se", (3, 70, 5, 5), 17),
    _bare(channel_case("image", "se", (1, 9, 31), 4)),
    channel_case("image", "cca", (2, 13, 7, 9)),
    channel_case("many_channels", "cca", (1, 530, 3)),
    _bare(channel_case("image", "cca", (6, 5, 8))),
    channel_case("image", "mean_std", (2, 12, 7, 9)),
    channel_case("long", "mean_std", (1, 3, 5000)),
    channel_case("two_positions", "mean_std", (2, 6, 2)),
    _bare(channel_case("volume", "mean_std", (1, 17, 3, 4, 5))),
    channel_case("empty", "cca", (2, 5, 0)),
    channel_case("no_batch", "se", (0, 5, 3)),
]
_WEIGHTS = {"eca": 1, "se": 4, "cca": 2, "mean_std": 3}


def _channel_grads(case: GateCase) -> list[GateCase]:
    weights = [f"dweights.{i}" for i in range(4) if f"w{i}" in case.shapes]
    return _grads(case, ("dx", *weights))


_CHANNEL_CASES = _both(
    _CHANNELS + [g for c in _CHANNELS if 0 not in c.x for g in _channel_grads(c)]
)
_PAIRS = [g for c in _PRODUCTS if 0 not in c.x for g in _grads(c, ("da", "db"))]
_GAUSS = [g for c in _PRODUCTS if c.kwargs.get("gate") == GAUSS for g in _grads(c, ("dgate",))]
_MAP_GRADS = [g for c in _MAPS if 0 not in c.x for g in _grads(c, ("dx", "dlogits"))]
_SOFTMAX_GRADS = [
    *(g for c in _SOFTMAX_MAPS if 0 not in c.x for g in _grads(c, ("dx", "dlogits"))),
    *(g for c in _BRANCHES if 0 not in c.x for g in _grads(c, ("dbranches", "dlogits"))),
]
GATE_CASES: list[Case] = [
    *_both(_PRODUCTS + _PAIRS + _GAUSS + _MAPS + _MAP_GRADS),
    *_SINGLE,
    *(g for c in _SINGLE for g in _grads(c, ("da", "db"))),
    *(g for c in _PRODUCTS if "add" in c.shapes for g in _grads(c, ("dadd",))),
]
SPATIAL_CASES: list[Case] = list(_both(_SOFTMAX_MAPS + _BRANCHES + _SOFTMAX_GRADS))
CHANNEL_CASES: list[Case] = list(_CHANNEL_CASES)
STATS_CASES: list[Case] = [
    replace(c, table="channel_stats")
    for c in _CHANNEL_CASES
    if c.kwargs["kind"] in ("eca", "mean_std") and c.result in ("", "dx")
]


def _work(name: str, function: str, shapes: dict[str, Shape], **kwargs: Any) -> Workload:
    main = next(iter(shapes.values()))
    return Workload(name, function, shapes, kwargs, 2 * math.prod(main))


_X, _ROWS = (1, 256, 56, 56), (4, 96, 56, 56)
GATE_WORKLOADS: list[Workload] = [
    _work("gate_sigmoid_96_56", "gate_mul", {"a": _ROWS, "b": _ROWS}),
    _work("gate_elu_sigmoid_96_56", "gate_mul", {"a": _ROWS, "b": _ROWS}, activation="elu"),
    _work("spatial_gate_256_56", "spatial_gate", {"x": _X, "logits": (1, 1, 56, 56)}),
]
SPATIAL_WORKLOADS: list[Workload] = [
    _work("softmax_gate_256_56_g4", "spatial_softmax_gate", {"x": _X, "logits": (1, 4, 56, 56)}),
    _work(
        "branch_select_2_256_28", "branch_select",
        {"branches": (2, 1, 256, 28, 28), "logits": (1, 2, 256)},
    ),
]  # fmt: skip
CHANNEL_WORKLOADS: list[Workload] = [
    _work("eca_256_56", "channel_gate", {"x": _X, "w0": (5,)}, kind="eca"),
    _work(
        "se_256_56", "channel_gate",
        {"x": _X, "w0": (16, 256), "w1": (16,), "w2": (256, 16), "w3": (256,)}, kind="se",
    ),
    _work(
        "cca_384_32", "channel_gate",
        {"x": (1, 384, 32, 32), "w0": (384, 384), "w1": (384,)}, kind="cca",
    ),
    _work(
        "mean_std_144_28", "channel_gate",
        {"x": (1, 144, 28, 28), "w0": (144, 144, 2), "w1": (144,), "w2": (144,)}, kind="mean_std",
    ),
]  # fmt: skip
