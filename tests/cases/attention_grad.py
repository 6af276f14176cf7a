"""Directed cases of attention's backward: those of the forward, all gradients as one array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import oracle_attention
import oracle_attention_grad
from cases import attention
from cases.attention import AttentionCase
from cases.case import Array
from oracle import Result


def flatten(grads: Any) -> Array:
    """All numbers of a result, in the order of the contract."""
    found: list[Array] = []

    def visit(x: Any) -> None:
        if isinstance(x, (tuple, list)):
            for item in x:
                visit(item)
        elif x is not None:
            found.append(np.asarray(x).ravel())

    visit(tuple(grads))
    return np.concatenate(found)


@dataclass(frozen=True)
class AttentionGradCase(AttentionCase):
    @property
    def op(self) -> str:
        return "attention_backward"

    @property
    def has_out(self) -> bool:
        return False

    def inputs(self, dtype: str) -> dict[str, Array]:
        made = super().inputs(dtype)
        q, k, v = (made[name] for name in "qkv")
        o, lse = oracle_attention.attention(
            q, k, v, wide=np.longdouble if dtype == "f64" else np.float64, **self._arguments(made)
        )
        (h, _), (_, d_v) = self.heads, self.sizes
        shaped = o.value.reshape(self.batch, h, *self.tokens, d_v)
        statistic = lse.value.reshape(self.batch, h, *self.tokens)
        if self.layout == "heads_last":
            shaped, statistic = np.moveaxis(shaped, 1, -2), np.moveaxis(statistic, 1, -1)
        rng = np.random.default_rng(7)
        kind = np.float64 if dtype == "f64" else np.float32
        made["do"] = rng.standard_normal(shaped.shape).astype(q.dtype)
        made["o"] = np.ascontiguousarray(shaped.astype(q.dtype))
        made["lse"] = np.ascontiguousarray(statistic.astype(kind))
        if len(self.id) % 2:
            made["dlse"] = rng.standard_normal(statistic.shape).astype(kind)
        return made

    def _call(self, arrays: Mapping[str, Array]) -> tuple[tuple[Array, ...], dict[str, Any]]:
        given = self._arguments(arrays)
        if "dlse" in arrays:
            given["dlse"] = arrays["dlse"]
        return tuple(arrays[name] for name in ("do", "q", "k", "v", "o", "lse")), given

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        args, given = self._call(arrays)
        found = swath.grad.attention(*args, **given, **more)
        return flatten(found)

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        args, given = self._call(arrays)
        wide = np.longdouble if args[1].dtype == np.float64 else np.float64
        found = oracle_attention_grad.attention(*args, wide=wide, **given)
        (_, h_kv), (d, _) = self.heads, self.sizes
        keys = self.tokens if self.k_tokens is None else self.k_tokens

        def in_layout(name: str, x: Array) -> Array:
            if self.layout == "heads_first" or name not in ("dq", "dk", "dv", "dk0", "dv0"):
                return x
            sizes = (self.heads[0], self.tokens, d) if name == "dq" else (
                h_kv, keys if name in ("dk", "dv") else self.more["xk"], x.shape[-1])  # fmt: skip
            return np.moveaxis(x.reshape(self.batch, sizes[0], *sizes[1], sizes[2]), 1, -2)

        def joined(part: str) -> Array:
            return np.concatenate(
                [in_layout(n, getattr(r, part)).ravel() for n, r in found.items()]
            )

        return Result(joined("value"), joined("magnitude"), found["dq"].terms)


def _grad_case(case: AttentionCase) -> AttentionGradCase:
    names = AttentionCase.__dataclass_fields__
    return AttentionGradCase(**{name: getattr(case, name) for name in names})


_LONG = ("window1d_long", "dense_long")
_MORE: list[AttentionCase] = [
    attention._case("bias_by_key", (20,), more={"bias": (2, 1, 1, 20)}, batch=2, heads=(4, 2)),
    attention._case("bias_of_all", (33,), more={"bias": (1, 1)}, batch=3, heads=(4, 2)),
    attention._case("bias_shared", (70,), more={"bias": (70, 70)}, batch=3, heads=(4, 1)),
    attention._case(
        "low_rank_shared", (70,), more={"low_a": (1, 1, 70, 3), "low_b": (1, 1, 70, 3)}, batch=2,
        causal=True,
    ),
    attention._case(
        "low_rank_own", (21,), more={"low_a": (2, 2, 21, 5), "low_b": (2, 2, 21, 5)}, batch=2,
    ),
    attention._case("key_bias_shared", (140,), more={"key_bias": (1, 140)}, batch=3, heads=(4, 2)),
    attention._case("sink_batch", (70,), more={"sink": (4,)}, batch=3, heads=(4, 2), causal=True),
    attention._case(
        "extra_all_batch", (70,), more={"xk": (9,), "xv": (9,), "xw": (2, 9)}, batch=2,
        layout="heads_last", heads=(4, 2), sizes=(8, 20),
    ),
    attention._case("many_kv_heads", (40,), heads=(20, 20), sizes=(4, 4), more={"sink": (20,)}),
]  # fmt: skip
CASES: list[AttentionGradCase] = [
    _grad_case(c) for c in [*attention.CASES, *_MORE] if c.id not in _LONG and not c.n_infinite
]
