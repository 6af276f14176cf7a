"""Directed cases and workloads of dynamic convolution, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

import oracle_dynamic
from cases.case import DTYPES, Array, Case, Shape, Workload
from oracle import Result

_DEFAULTS: dict[str, dict[str, Any]] = {
    "dynamic_conv1d": {"padding": "causal"},
    "lightweight_conv1d": {"padding": "causal", "softmax": True},
    "dynamic_conv2d": {"padding": "same"},
    "involution2d": {"padding": "same"},
    "small_kernel_aggregation2d": {"padding": "same", "group_map": "interleaved"},
}


@dataclass(frozen=True)
class DynamicCase(Case):
    """A call on x and weight; a gradient's looks at one `result`.

    `x` and `weight` are shapes with the channels first; `kwargs["layout"]` moves them in the
    arrays.
    """

    result: str = ""

    @property
    def op(self) -> str:
        return "dynamic_conv"

    @property
    def dtypes(self) -> tuple[str, ...]:
        return DTYPES

    @property
    def has_out(self) -> bool:
        return not self.result

    @property
    def name(self) -> str:
        return self.function.removeprefix("grad.")

    @property
    def options(self) -> dict[str, Any]:
        return {**_DEFAULTS[self.name], **self.kwargs}

    @property
    def is_batched(self) -> bool:
        return len(self.x) == self.ndim + 2

    @property
    def kernel(self) -> Any:
        assert self.weight is not None
        if self.ndim == 1:
            return self.weight[-1] if self.is_shared else self.weight[-2]
        if self.name == "involution2d" and len(self.weight) == 6:
            return self.weight[2:4]
        if "kernel" in self.kwargs:
            return self.kwargs["kernel"]
        return (math.isqrt(self.weight[-3]),) * 2

    @property
    def is_shared(self) -> bool:
        assert self.weight is not None
        return len(self.weight) == 2 or self.name == "lightweight_conv1d"

    def _moved(self, array: Array, is_weight: bool) -> Array:
        """Positions before channels, or before the groups and taps."""
        if self.options.get("layout") != "channels_last" or (is_weight and self.is_shared):
            return array
        first = 1 if self.is_batched else 0
        n_inner = array.ndim - first - self.ndim
        order = [*range(first), *range(first + n_inner, array.ndim), *range(first, first + n_inner)]
        return np.ascontiguousarray(array.transpose(order))

    def _planar(self, array: Array, is_weight: bool) -> Array:
        """The inverse."""
        if self.options.get("layout") != "channels_last" or (is_weight and self.is_shared):
            return array
        first = 1 if self.is_batched else 0
        inner = range(first + self.ndim, array.ndim)
        order = [*range(first), *inner, *range(first, first + self.ndim)]
        return array.transpose(order)

    def inputs(self, dtype: str) -> dict[str, Array]:
        plain = Case(self.id, "conv1d", (1,), fill=self.fill)

        def draw(name: str, shape: Shape) -> Array:
            return replace(plain, id=f"{self.id}_{name}", x=shape).inputs(dtype)["x"]

        assert self.weight is not None
        x, weight = draw("x", self.x), draw("weight", self.weight)
        arrays = {"x": self._moved(x, False), "weight": self._moved(weight, True)}
        if self.result:
            dy = draw("dy", (*self.x[: -self.ndim], *self._out_shape()))
            arrays = {"dy": self._moved(dy, False), **arrays}
        return arrays

    def _geometry(self) -> Any:
        shape = self.x[-self.ndim :]
        options = self.options
        return oracle_dynamic.geometry(
            (1, *shape) if self.ndim == 1 else shape,
            self.kernel, options.get("stride", 1), options.get("dilation", 1), options["padding"],
        )  # fmt: skip

    def _out_shape(self) -> Shape:
        return tuple(self._geometry().out[-self.ndim :])

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        keywords = {**self.kwargs, **more}
        if self.result:
            keywords.setdefault("needs", (self.result,))
        found = reduce(getattr, self.function.split("."), swath)(**arrays, **keywords)
        return getattr(found, self.result) if self.result and found is not None else found

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        wide = np.longdouble if arrays["x"].dtype == np.float64 else np.float64
        given = {
            name: self._planar(np.asarray(a).astype(wide), name == "weight")
            for name, a in arrays.items()
        }
        options = self.options
        x, weight = self._image(given["x"]), given["weight"]
        if self.is_shared:
            weight = weight.reshape(weight.shape[0], weight.shape[-1])
        else:
            weight = weight if self.is_batched else weight[None]
            groups = weight.shape[1]
            kernel = self.kernel if self.ndim == 2 else (1, self.kernel)
            out = self._geometry().out
            weight = weight.reshape(weight.shape[0], groups, math.prod(kernel), *out)
        found = oracle_dynamic.dynamic(
            x, weight, self._image(given["dy"]) if "dy" in given else None,
            kernel=self.kernel, stride=options.get("stride", 1),
            dilation=options.get("dilation", 1), padding=options["padding"],
            softmax=options.get("softmax", False),
            renormalize=options.get("renormalize_padding", False),
            interleaved="interleaved" in (options.get("head_map"), options.get("group_map")),
        )[self.result or "y"]  # fmt: skip
        value, size = (self._shaped(v) for v in (found.value, found.magnitude))
        return Result(value, size, found.terms)

    def _image(self, v: Array) -> Array:
        v = v if self.is_batched else v[None]
        return v[:, :, None] if self.ndim == 1 else v

    def _shaped(self, v: Array) -> Array:
        assert self.weight is not None
        shape = {
            "": (*self.x[: -self.ndim], *self._out_shape()), "dx": self.x, "dweight": self.weight
        }[self.result]  # fmt: skip
        return self._moved(v.reshape(shape), self.result == "dweight")


def _case(name: str, function: str, x: Shape, weight: Shape, **kwargs: Any) -> DynamicCase:
    return DynamicCase(name, function, x, weight, kwargs)


def _row(
    name: str, x: Shape, heads: int, taps: int, out: int | None = None, **kwargs: Any
) -> DynamicCase:
    """Taps for every position."""
    weight = (*x[:-2], heads, taps, x[-1] if out is None else out)
    return _case(name, "dynamic_conv1d", x, weight, **kwargs)


def _shared(name: str, x: Shape, heads: int, taps: int, **kwargs: Any) -> DynamicCase:
    return _case(f"shared_{name}", "dynamic_conv1d", x, (heads, taps), **kwargs)


def _image(
    name: str,
    x: Shape,
    groups: int,
    kernel: tuple[int, int],
    out: Shape | None = None,
    **kwargs: Any,
) -> DynamicCase:
    weight = (*x[:-3], groups, kernel[0] * kernel[1], *(x[-2:] if out is None else out))
    return _case(f"image_{name}", "dynamic_conv2d", x, weight, **{"kernel": kernel, **kwargs})


def with_layouts(cases: list[DynamicCase]) -> list[DynamicCase]:
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


def with_grads(cases: list[DynamicCase]) -> list[DynamicCase]:
    """Each case, then both of its gradients."""
    return [
        found
        for case in cases
        for found in (
            case,
            *(
                replace(case, id=f"{case.id}_{r}", function=f"grad.{case.function}", result=r)
                for r in ("dx", "dweight")
            ),
        )
    ]


_ROWS = [
    _row("causal", (2, 12, 37), 3, 5),
    _row("same", (2, 12, 37), 3, 4, padding="same"),
    _row("pads", (1, 8, 40), 2, 3, 45, padding=(4, 3)),
    _row("valid", (1, 6, 33), 2, 7, 27, padding=(0, 0)),
    _row("one_tap", (2, 6, 19), 3, 1),
    _row("softmax", (2, 24, 70), 3, 7, softmax=True),
    _row("softmax_same", (1, 8, 21), 1, 6, softmax=True, padding="same"),
    _row("renormalized", (2, 12, 37), 3, 9, softmax=True, renormalize_padding=True),
    _row("renormalized_far", (1, 6, 5), 3, 4, 14, softmax=True, renormalize_padding=True,
         padding=(7, 5)),
    _row("more_taps_than_positions", (2, 6, 5), 2, 11, softmax=True),
    _row("interleaved", (2, 24, 30), 6, 3, head_map="interleaved", softmax=True),
    _row("head_per_channel", (1, 17, 40), 17, 3),
    _row("one_head", (1, 19, 40), 1, 3),
    _row("unbatched", (6, 31), 2, 3, softmax=True),
    _row("long", (1, 4, 300), 2, 31, softmax=True),
    _row("blocks", (1, 3, 40), 1, 600, softmax=True, padding="same"),
    _row("many_members", (1, 72, 50), 2, 21),
    _row("one_position", (2, 20, 1), 4, 3),
    _row("no_positions", (2, 6, 0), 3, 3),
    _row("no_batch", (0, 6, 9), 3, 3, softmax=True),
]  # fmt: skip
_SHARED = [
    _shared("causal", (2, 12, 150), 3, 5),
    _shared("softmax", (2, 12, 37), 3, 31, softmax=True),
    _shared("same", (1, 10, 33), 5, 4, padding="same", head_map="interleaved"),
    _shared("renormalized", (3, 24, 21), 2, 7, softmax=True, renormalize_padding=True),
    _shared("renormalized_interleaved", (1, 24, 21), 8, 6, softmax=True, renormalize_padding=True,
            head_map="interleaved", padding="same"),
    _shared("long", (1, 2, 700), 1, 520),
    _shared("unbatched", (6, 80), 3, 3, softmax=True),
    _shared("interleaved", (2, 70, 40), 35, 3, head_map="interleaved", softmax=True),
    _shared("empty", (2, 6, 0), 3, 3),
    _case("light", "lightweight_conv1d", (2, 12, 37), (3, 1, 5)),
    _case("light_plain", "lightweight_conv1d", (2, 12, 37), (4, 5), softmax=False, padding="same"),
]  # fmt: skip
_IMAGES = [
    _image("three", (2, 12, 9, 21), 3, (3, 3)),
    _image("seven", (1, 32, 11, 30), 2, (7, 7)),
    _image("uneven", (1, 6, 9, 13), 2, (3, 5), padding="same"),
    _image("even_kernel", (1, 6, 9, 13), 2, (2, 4), padding="same"),
    _image("stride", (2, 10, 11, 23), 5, (3, 3), (6, 12), stride=2),
    _image("strides", (1, 6, 14, 17), 2, (5, 3), (5, 5), stride=(3, 4), padding=((1, 2), (2, 0))),
    _image("stride_above_kernel", (1, 6, 10, 40), 2, (2, 2), (3, 8), stride=(4, 5), padding=0),
    _image("dilation", (1, 6, 12, 20), 3, (3, 3), dilation=(2, 3)),
    _image("stride_dilation", (1, 6, 16, 24), 3, (3, 3), (6, 7), stride=(2, 3), dilation=(3, 2),
           padding=((1, 1), (0, 1))),
    _image("valid", (1, 8, 9, 40), 1, (3, 3), (7, 38), padding="valid"),
    _image("interleaved", (2, 24, 7, 18), 6, (3, 3), group_map="interleaved"),
    _image("softmax", (1, 32, 6, 17), 2, (3, 3), softmax=True),
    _image("softmax_interleaved", (1, 40, 6, 9), 10, (5, 5), softmax=True, group_map="interleaved"),
    _image("softmax_stride", (1, 8, 9, 19), 2, (3, 3), (5, 10), softmax=True, stride=2),
    _image("group_per_channel", (1, 20, 6, 7), 20, (3, 3)),
    _image("unbatched", (6, 8, 9), 2, (3, 3)),
    _image("large_kernel", (1, 3, 12, 12), 1, (23, 25)),
    _image("tall", (1, 4, 70, 3), 2, (3, 1)),
    _image("blocks_and_members", (1, 20, 40, 33), 1, (3, 3)),
    _image("crowded", (1, 18, 32, 32), 2, (3, 3)),
    _image("kernel_above_width", (2, 12, 30, 5), 3, (5, 7), padding="same"),
    _image("more_rows", (1, 6, 20, 9), 2, (3, 3), (24, 9), padding=((4, 2), (1, 1))),
    _image("one_position", (2, 9, 1, 1), 3, (3, 3)),
    _image("no_rows", (1, 6, 0, 5), 3, (3, 3)),
    _case("involution", "involution2d", (1, 32, 10, 12), (1, 2, 7, 7, 10, 12)),
    _case("involution_stride", "involution2d", (2, 8, 9, 9), (2, 2, 9, 5, 5), stride=2),
    _case("ska", "small_kernel_aggregation2d", (2, 64, 9, 14), (2, 8, 9, 9, 14)),
]  # fmt: skip

CASES: list[Case] = [*with_layouts(with_grads(_ROWS + _SHARED + _IMAGES))]


def _work(name: str, function: str, x: Shape, weight: Shape, **kwargs: Any) -> Workload:
    taps = weight[-1] if len(weight) == 2 else weight[-2] if len(x) == 3 else weight[2]
    return Workload(name, function, {"x": x, "weight": weight}, kwargs, 2 * math.prod(x) * taps)


def _row_work(c: int, t: int, h: int, k: int, batch: int = 4, **kwargs: Any) -> Workload:
    name = f"dynamic_{c}_{t}_h{h}_k{k}{'_softmax' if kwargs else ''}"
    return _work(name, "dynamic_conv1d", (batch, c, t), (batch, h, k, t), **kwargs)


WORKLOADS: list[Workload] = [
    _row_work(512, 512, 8, 7),
    _row_work(512, 512, 8, 31),
    _row_work(512, 512, 8, 31, softmax=True),
    _row_work(1024, 1024, 16, 31, 1),
    _work("light_512_512_h8_k31", "lightweight_conv1d", (4, 512, 512), (8, 31)),
    _work("involution_64_56_g4_k7", "dynamic_conv2d", (1, 64, 56, 56), (1, 4, 49, 56, 56)),
    _work("involution_256_28_g16_k7", "dynamic_conv2d", (1, 256, 28, 28), (1, 16, 49, 28, 28)),
    _work(
        "ska_8x256_28_g32_k3", "small_kernel_aggregation2d", (8, 256, 28, 28), (8, 32, 9, 28, 28)
    ),
]


def _grad_work(forward: Workload) -> list[Workload]:
    x = forward.shapes["x"]
    return [
        Workload(
            f"{forward.name}_d{name}", f"grad.{forward.function}",
            {"dy": x, **forward.shapes}, {**forward.kwargs, "needs": (name,)}, forward.flops,
        )
        for name in ("x", "weight")
    ]  # fmt: skip


GRAD_WORKLOADS = [w for forward in (WORKLOADS[1], *WORKLOADS[-3:]) for w in _grad_work(forward)]
WORKLOADS += GRAD_WORKLOADS
