"""What the cases of the tools around attention have in common."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, ClassVar, TypeVar

import numpy as np

from cases.case import DTYPES, Array, Case, Shape, Workload, numpy_dtype
from oracle import Result

AnyCase = TypeVar("AnyCase", bound="ToolCase")


@dataclass(frozen=True)
class ToolCase(Case):
    """A call on arrays named by `shapes`.

    `idx` has integers below `below`, `keep` is bool, `lse*` and `dlse` are accumulators; o0, lse0,
    o1, ... are the parts of a merge. A case looks at one `result` of the call, of the dtypes of
    `only`.
    """

    table: ClassVar[str]
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    result: str = ""
    below: int = 1
    only: tuple[str, ...] = DTYPES

    @classmethod
    def of(
        cls: type[AnyCase], id_: str, function: str, shapes: Mapping[str, Shape], **more: Any
    ) -> AnyCase:
        """A case whose first array is what it is about."""
        return cls(id_, function, next(iter(shapes.values())), shapes=shapes, **more)

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
        return self.answer(given)

    def answer(self, given: dict[str, Array]) -> Result:
        """The oracle on wide arrays."""
        raise NotImplementedError


def work(name: str, function: str, shapes: dict[str, Shape], flops: int, **kwargs: Any) -> Workload:
    """A bench workload of one of the tools."""
    return Workload(name, function, shapes, kwargs, flops)
