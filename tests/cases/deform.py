"""Directed cases and workloads of deformable and per-sample convolution, forward and backward."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

import oracle
import oracle_deform
import oracle_grad
from cases.case import DTYPES, Array, Case, Shape, Workload, numpy_dtype
from oracle import Result

IMAGES = ("x", "offset", "mask", "dy", "residual")


@dataclass(frozen=True)
class DynamicCase(Case):
    """A call on arrays named by `shapes`, in the order of the function's arguments.

    A gradient's case looks at one `result` of it. `table` is the operator whose kernels the case is
    for. Shapes have the channels first; `kwargs["layout"]` moves them in the arrays.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    table: str = ""
    result: str = ""
    spread: float = 2.0  # of the offsets, in pixels

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

    @property
    def _channel_axis(self) -> int:
        return 0 if len(self.shapes.get("x", (0,) * 4)) == self._n_spatial + 1 else 1

    @property
    def _n_spatial(self) -> int:
        return 1 if self.function.endswith("1d") else 2

    def _placed(self, name: str, array: Array) -> Array:
        if not (self.is_last and name in IMAGES):
            return array
        return np.ascontiguousarray(np.moveaxis(array, self._channel_axis, -1))

    def _planar(self, name: str, array: Array) -> Array:
        if not (self.is_last and name in IMAGES):
            return array
        return np.moveaxis(array, -1, self._channel_axis)

    def inputs(self, dtype: str) -> dict[str, Array]:
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        arrays = {}
        for name, shape in self.shapes.items():
            values = rng.normal(size=shape)
            if self.fill == "constant":
                values = np.full(shape, 0.4)
            if name == "offset":
                values = values * self.spread
                if self.fill == "few":
                    values = np.round(values)
            arrays[name] = self._placed(name, values.astype(numpy_dtype(dtype)))
        return arrays

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        keywords = {**self.kwargs, **more}
        if self.result:
            keywords.setdefault("needs", (self.result,))
        found = reduce(getattr, self.function.split("."), swath)(**arrays, **keywords)
        return getattr(found, self.result) if self.result and found is not None else found

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        first = next(iter(arrays.values()))
        wide = np.longdouble if first.dtype == np.float64 else np.float64
        is_sample = "sample_conv" in self.function  # whose oracles widen what they are given
        given = {
            k: self._planar(k, np.asarray(v) if is_sample else np.asarray(v).astype(wide))
            for k, v in arrays.items()
        }
        found = self._formula(given, wide)
        name = self.result.removeprefix("d") if self.result else "dy"
        return Result(
            self._placed(name, found.value), self._placed(name, found.magnitude), found.terms
        )

    def _formula(self, given: dict[str, Array], wide: Any) -> Result:
        options = {k: v for k, v in self.kwargs.items() if k != "layout"}
        name = self.function.removeprefix("grad.")
        if name == "mix_kernels":
            if self.result:
                return oracle_deform.mix_grads(**given)[self.result]
            return oracle_deform.mix(**given)
        unbatched = self._channel_axis == 0
        if name == "deform_conv2d":
            if unbatched:
                given = {k: v[None] if k in IMAGES else v for k, v in given.items()}
            if self.result:
                found = oracle_deform.deform_grads(**given, **options)[self.result]
            else:
                found = oracle_deform.deform(**given, **options)
            is_image = not self.result or self.result[1:] in IMAGES
            if unbatched and is_image:
                return Result(found.value[0], found.magnitude[0], found.terms)
            return found
        return self._by_sample(given, options, wide)

    def _by_sample(self, given: dict[str, Array], options: dict[str, Any], wide: Any) -> Result:
        def one(name: str, array: Array, n: int) -> Array:
            if name in IMAGES:
                return array[n : n + 1]
            return array[n] if name == "weight" or array.ndim == 2 else array

        found = []
        for n in range(len(given["x"])):
            arrays = {k: one(k, v, n) for k, v in given.items()}
            if self.result:
                grads = oracle_grad.conv_grad(**arrays, **options, accumulate=wide)
                found.append(grads[self.result])
            else:
                found.append(oracle.conv(**arrays, **options, accumulate=wide))
        values, sizes = [f.value for f in found], [f.magnitude for f in found]
        terms = max(f.terms for f in found)
        name = self.result[1:]
        if not self.result or name in IMAGES:
            return Result(np.concatenate(values), np.concatenate(sizes), terms)
        if name == "weight" or (name in given and given[name].ndim == 2):
            return Result(np.stack(values), np.stack(sizes), terms)
        return Result(np.sum(values, 0), np.sum(sizes, 0), terms * len(found))


def _both(cases: list[DynamicCase]) -> list[DynamicCase]:
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


def _grads(case: DynamicCase, dy: Shape, table: str, results: tuple[str, ...]) -> list[DynamicCase]:
    return [
        replace(
            case,
            id=f"{case.id}_{name}",
            function=f"grad.{case.function}",
            shapes={"dy": dy, **case.shapes},
            table=table,
            result=name,
        )
        for name in results
    ]


def _size(n: int, k: int, stride: int, padding: int, dilation: int) -> int:
    return (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1


def deform_case(
    name: str,
    x: Shape,
    weight: Shape,
    *,
    extras: tuple[str, ...] = ("mask", "bias"),
    fill: str = "normal",
    spread: float = 2.0,
    **kwargs: Any,
) -> DynamicCase:
    lead, (h, w) = x[:-3], x[-2:]
    groups = kwargs.get("deform_groups", 1)
    window = (kwargs.get("stride", 1), kwargs.get("padding", 0), kwargs.get("dilation", 1))
    out = _size(h, weight[2], *window), _size(w, weight[3], *window)
    taps = groups * weight[2] * weight[3]
    shapes = {"x": x, "weight": weight, "offset": (*lead, 2 * taps, *out)}
    if "mask" in extras:
        shapes["mask"] = (*lead, taps, *out)
    if "bias" in extras:
        shapes["bias"] = (weight[0],)
    return DynamicCase(
        f"deform_{name}", "deform_conv2d", x, None, kwargs, (), fill,
        shapes=shapes, table="deform_conv", spread=spread,
    )  # fmt: skip


_DEFORM = [
    deform_case("3x3", (2, 8, 9, 11), (12, 8, 3, 3), padding=1),
    deform_case("version_1", (1, 5, 8, 7), (6, 5, 3, 3), extras=(), padding=1),
    deform_case("strided", (2, 6, 13, 10), (9, 6, 3, 3), stride=2, padding=2, dilation=2),
    deform_case("groups", (1, 24, 7, 9), (18, 4, 3, 3), groups=6, deform_groups=4, padding=1),
    deform_case("groups_across", (1, 24, 6, 6), (8, 12, 2, 3), groups=2, deform_groups=3),
    deform_case("depthwise", (2, 37, 9, 8), (37, 1, 3, 3), groups=37, padding=1),
    deform_case(
        "depthwise_groups", (1, 40, 7, 7), (40, 1, 5, 5), groups=40, deform_groups=2, padding=2
    ),
    deform_case("multiplier", (1, 6, 7, 8), (12, 1, 3, 3), groups=6, padding=1),
    deform_case("many_channels", (1, 130, 6, 7), (70, 130, 3, 3), padding=1),
    deform_case("pointwise", (1, 600, 5, 6), (20, 600, 1, 1), extras=("mask",)),
    deform_case("many_outputs", (1, 4, 5, 6), (530, 4, 1, 2)),
    deform_case("11x11", (1, 2, 13, 14), (3, 2, 11, 11), padding=5),
    deform_case("23x23", (1, 1, 24, 24), (1, 1, 23, 23), padding=2, deform_groups=1),
    deform_case("one_pixel", (1, 3, 1, 1), (4, 3, 3, 3), padding=1),
    deform_case("far_away", (1, 4, 9, 9), (4, 4, 3, 3), padding=1, spread=300.0),
    deform_case("integers", (1, 5, 9, 9), (7, 5, 3, 3), fill="few", padding=1),
    deform_case("constant", (1, 140, 9, 9), (5, 140, 3, 3), fill="constant", padding=1),
    deform_case("unbatched", (5, 9, 7), (6, 5, 3, 3), padding=1),
    deform_case("empty_batch", (0, 4, 5, 5), (3, 4, 3, 3)),
    deform_case("no_channels", (1, 0, 5, 5), (3, 0, 3, 3)),
    deform_case("no_outputs", (1, 4, 5, 5), (0, 4, 3, 3)),
    deform_case("large", (1, 20, 41, 43), (24, 20, 3, 3), padding=1),
]


def _deform_grads(case: DynamicCase) -> list[DynamicCase]:
    lead, out = case.x[:-3], case.shapes["offset"][-2:]
    dy = (*lead, case.shapes["weight"][0], *out)
    results = ["dx", "dweight", "doffset", *(["dmask"] if "mask" in case.shapes else [])]
    return _grads(case, dy, "deform_backward", tuple(results))


_GRADS = [g for c in _DEFORM if 0 not in (*c.x, c.shapes["weight"][0]) for g in _deform_grads(c)]
_DBIAS = [
    replace(g, table="conv_backward")
    for c in _DEFORM[:1]
    for g in _grads(c, (2, 12, 9, 11), "", ("dbias",))
]
DEFORM_CASES: list[Case] = [*_both(_DEFORM)]
DEFORM_GRADS: list[Case] = [*_both(_GRADS)]
PIXEL_CASES: list[Case] = [
    replace(c, id=f"pixels_{c.id}", table="image_pixels")
    for c in [*_DEFORM[:4], *[g for g in _GRADS if g.result == "dx"][:4]]
]


def sample_case(name: str, x: Shape, weight: Shape, **kwargs: Any) -> DynamicCase:
    extras = kwargs.pop("extras", {})
    function = f"sample_conv{len(x) - 2}d"
    shapes = {"x": x, "weight": (x[0], *weight), **extras}
    return DynamicCase(
        f"sample_{name}", function, x, None, kwargs, shapes=shapes, table="sample_conv"
    )


_SAMPLES = [
    sample_case("3x3", (3, 8, 9, 11), (12, 8, 3, 3), padding=1, extras={"bias": (3, 12)}),
    sample_case("shared_bias", (2, 6, 9, 7), (5, 6, 3, 3), extras={"bias": (5,)}, stride=2),
    sample_case("depthwise", (2, 20, 9, 8), (20, 1, 3, 3), groups=20, padding="same_tf", stride=2),
    sample_case("groups", (3, 8, 7, 9), (6, 4, 3, 3), groups=2, padding=1, padding_mode="reflect"),
    sample_case("partial", (2, 3, 8, 8), (4, 3, 3, 3), padding=1, padding_mode="partial"),
    sample_case("circular", (2, 3, 8, 8), (4, 3, 3, 3), padding=1, padding_mode="circular"),
    sample_case(
        "epilogue", (2, 4, 9, 8), (6, 4, 3, 3), padding=1, activation="silu",
        extras={"bias": (2, 6), "scale": (2, 6), "shift": (6,), "residual": (2, 6, 9, 8)},
    ),
    sample_case("tokens", (3, 30, 6, 7), (10, 30, 1, 1)),
    sample_case("signal", (4, 6, 50), (5, 6, 7), padding="causal"),
    sample_case("long", (2, 1, 1500), (1, 1, 31), padding=15),
    sample_case("channels", (2, 8, 7, 7), (3, 3, 3, 3), padding=1, channels=(2, 5)),
    sample_case("one_sample", (1, 4, 7, 7), (5, 4, 3, 3)),
    sample_case("no_outputs", (2, 4, 7, 7), (0, 4, 3, 3)),
]  # fmt: skip


def _sample_grads(case: DynamicCase) -> list[DynamicCase]:
    arrays = {k: np.zeros(s) for k, s in case.shapes.items()}
    dy = case.oracle({k: case._placed(k, v) for k, v in arrays.items()}).value.shape
    names = ["x", "weight", "bias", *(k for k in ("scale", "shift", "residual") if k in arrays)]
    return _grads(case, dy, "sample_conv", tuple(f"d{name}" for name in names))


def mix_case(name: str, coeff: Shape, experts: Shape) -> DynamicCase:
    return DynamicCase(
        f"mix_{name}", "mix_kernels", coeff, None, {},
        shapes={"coeff": coeff, "experts": experts}, table="sample_conv",
    )  # fmt: skip


_MIXES = [
    mix_case("kernels", (3, 4), (4, 6, 5, 3, 3)),
    mix_case("one", (4,), (4, 6, 5, 3, 3)),
    mix_case("biases", (5, 3), (3, 40)),
    mix_case("many_experts", (2, 600), (600, 7, 3)),
    mix_case("one_element", (2, 3), (3, 1)),
    mix_case("no_samples", (0, 3), (3, 5)),
    mix_case("no_experts", (2, 0), (0, 5)),
]
_MIX_GRADS = [
    g
    for c in _MIXES
    if 0 not in c.x
    for g in _grads(c, (*c.x[:-1], *c.shapes["experts"][1:]), "sample_conv", ("dcoeff", "dexperts"))
]
_MIX_GRADS = [
    replace(g, shapes={"dw" if k == "dy" else k: s for k, s in g.shapes.items()})
    for g in _MIX_GRADS
]
SAMPLE_CASES: list[Case] = [
    *_both(_SAMPLES),
    *_both([g for c in _SAMPLES if 0 not in c.shapes["weight"] for g in _sample_grads(c)]),
    *_MIXES,
    *_MIX_GRADS,
    *_DBIAS,
]


def _flops(x: Shape, weight: Shape, out: tuple[int, int]) -> int:
    return 2 * x[0] * math.prod(weight) * math.prod(out)


def _deform_work(name: str, x: Shape, weight: Shape, **kwargs: Any) -> Workload:
    case = deform_case(name, x, weight, extras=("mask",), **kwargs)
    out = case.shapes["offset"][-2:]
    return Workload(
        f"deform_{name}", "deform_conv2d", case.shapes, kwargs, _flops(x, weight, (out[0], out[1]))
    )


DEFORM_WORKLOADS: list[Workload] = [
    _deform_work("3x3_64_56", (1, 64, 56, 56), (64, 64, 3, 3), padding=1),
    _deform_work("3x3_256_14", (1, 256, 14, 14), (256, 256, 3, 3), padding=1),
    _deform_work("depthwise_3x3_64_56", (1, 64, 56, 56), (64, 1, 3, 3), padding=1, groups=64),
]
DEFORM_WORKLOADS += [
    Workload(
        f"{forward.name}_d{name}",
        "grad.deform_conv2d",
        {"dy": (*forward.shapes["x"][:1], *forward.shapes["weight"][:1], *forward.shapes["x"][2:]),
         **forward.shapes},
        {**forward.kwargs, "needs": (name,)},
        forward.flops,
    )
    for forward in DEFORM_WORKLOADS[:2]
    for name in ("x", "weight", "offset")
]  # fmt: skip
SAMPLE_WORKLOADS: list[Workload] = [
    Workload(
        "sample_3x3_64_56", "sample_conv2d", {"x": (8, 64, 56, 56), "weight": (8, 64, 64, 3, 3)},
        {"padding": 1}, 2 * 8 * 64 * 64 * 9 * 56 * 56,
    ),
    Workload(
        "mix_8_of_8_256", "mix_kernels", {"coeff": (8, 8), "experts": (8, 256, 256, 3, 3)}, {},
        2 * 8 * 8 * 256 * 256 * 9,
    ),
]  # fmt: skip
