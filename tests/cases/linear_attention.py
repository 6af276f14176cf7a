"""Directed cases and workloads of linear_attention, forward and backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import oracle_tools as tools
from cases.case import Array, Shape
from cases.tool_case import ToolCase, work
from oracle import Result


def identity(k: Array) -> Array:
    """A k_norm that changes nothing."""
    return k


@dataclass(frozen=True)
class LinearCase(ToolCase):
    table = "linear_attention"

    def answer(self, given: dict[str, Array]) -> Result:
        is_last = self.kwargs.get("layout") == "heads_last"

        def heads_first(x: Array) -> Array:
            x = np.moveaxis(x, -2, 1) if is_last else x
            return x.reshape(*x.shape[:2], int(np.prod(x.shape[2:-1])), x.shape[-1])

        flat = {name: heads_first(a) for name, a in given.items()}
        options = {k: v for k, v in self.kwargs.items() if k in ("causal", "scale")}
        softmax = "k_norm" not in self.kwargs
        linear = tools.Linear(flat["q"], flat["k"], flat["v"], softmax=softmax, **options)
        name = self.result.removeprefix("d") or "q"
        found = linear.gradients(flat["do"])[self.result] if self.is_gradient else linear.forward()
        shape = (*given[name].shape[:-1], found.value.shape[-1])

        def placed(x: Array) -> Array:
            if not is_last:
                return x.reshape(shape)
            return np.moveaxis(x.reshape(shape[0], shape[-2], *shape[1:-2], shape[-1]), 1, -2)

        return Result(placed(found.value), placed(found.magnitude), found.terms)


def linear_cases(
    id_: str, b: int, h: int, h_kv: int, n: int, m: int, d: int, e: int, **kwargs: Any
) -> list[LinearCase]:
    def at(heads: int, tokens: int, channels: int) -> Shape:
        last = kwargs.get("layout") == "heads_last"
        return (b, tokens, heads, channels) if last else (b, heads, tokens, channels)

    shapes = {"q": at(h, n, d), "k": at(h_kv, m, d), "v": at(h_kv, m, e)}
    backward = {"do": at(h, n, e), **shapes}
    return [LinearCase.of(f"linear_{id_}", "linear_attention", shapes, kwargs=kwargs)] + [
        LinearCase.of(
            f"grad_linear_{id_}_{r}", "grad.linear_attention", backward, kwargs=kwargs, result=r
        )
        for r in ("dq", "dk", "dv")
    ]


CASES = [
    *linear_cases("groups", 2, 4, 2, 13, 13, 5, 7),
    *linear_cases("wide", 1, 1, 1, 20, 70, 33, 80),
    *linear_cases("last", 2, 2, 1, 17, 30, 16, 16, layout="heads_last"),
    *linear_cases("causal", 1, 2, 1, 150, 150, 8, 9, causal=True),
    *linear_cases("decode", 1, 2, 2, 3, 70, 8, 17, causal=True, layout="heads_last"),
    *linear_cases("ahead", 1, 2, 2, 70, 3, 8, 17, causal=True),
    *linear_cases("plain", 1, 2, 1, 66, 67, 4, 4, causal=True, k_norm=identity, scale=0.5),
    *linear_cases("one", 1, 1, 1, 1, 1, 1, 1),
    *linear_cases("no_scale", 1, 1, 1, 5, 600, 3, 2, scale=0.0),
    *linear_cases("no_keys", 1, 2, 2, 5, 0, 3, 2),
    *linear_cases("no_queries", 1, 2, 1, 0, 5, 3, 2),
]

_HEADS = (1, 8, 4096, 64)
WORKLOADS = [
    work("linear_8x4096x64", "linear_attention", dict.fromkeys("qkv", _HEADS), 4 * 8 * 4096 * 4096),
    work(
        "linear_causal_8x2048x32",
        "linear_attention",
        dict.fromkeys("qkv", (1, 8, 2048, 32)),
        4 * 8 * 2048 * 1024,
        causal=True,
    ),
]
