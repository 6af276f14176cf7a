"""Directed cases of merge_attention, forward and backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import oracle_tools as tools
from cases.case import DTYPES, Array, Shape
from cases.tool_case import ToolCase
from oracle import Result


@dataclass(frozen=True)
class MergeCase(ToolCase):
    table = "merge_attention"

    def answer(self, given: dict[str, Array]) -> Result:
        n = sum(name.startswith("lse") for name in given)
        os, lses = ([given[f"{name}{t}"] for t in range(n)] for name in ("o", "lse"))
        if not self.is_gradient:
            return tools.merge(os, lses)[0]
        found = tools.merge_grad(given["do"], given.get("dlse"), os, lses)
        part, which = (int(i) for i in self.result.split("."))
        return found[part][which]


def parts(
    n: int, rows: Shape, d: int, *, grad: bool = False, dlse: bool = True
) -> dict[str, Shape]:
    found: dict[str, Shape] = {"do": (*rows, d)} if grad else {}
    if grad and dlse:
        found["dlse"] = rows
    for t in range(n):
        found |= {f"o{t}": (*rows, d), f"lse{t}": rows}
    return found


def merge_case(
    id_: str, result: str = "0", only: tuple[str, ...] = DTYPES, **more: Any
) -> MergeCase:
    function = "grad.merge_attention" if more.get("grad") else "merge_attention"
    return MergeCase.of(id_, function, parts(**more), result=result, only=only)


CASES = [
    merge_case("merge_one", n=1, rows=(2, 3, 5), d=7),
    merge_case("merge_two", n=2, rows=(2, 3, 35), d=16),
    merge_case("merge_many", n=15, rows=(2, 5), d=33),
    # 16-bit results are rounded more than once
    merge_case("merge_beyond", only=("f32", "f64"), n=17, rows=(70,), d=3),
    merge_case("merge_empty", n=2, rows=(2, 0), d=4),
    merge_case("merge_axes", n=3, rows=(2, 3, 4, 5), d=64),
    *(
        merge_case(
            f"grad_merge_{part}_{which}", f"{part}.{which}", n=3, rows=(3, 25), d=19, grad=True
        )
        for part in (0, 2)
        for which in (0,)
    ),
    merge_case("grad_merge_plain", "1.0", n=2, rows=(3, 5), d=8, grad=True, dlse=False),
    merge_case("grad_merge_many", "14.0", n=15, rows=(6,), d=5, grad=True),
]
