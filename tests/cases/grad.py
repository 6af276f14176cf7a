"""What a directed case of a gradient is: a forward case, dy, and the gradients that are wanted."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import oracle
import oracle_grad
from cases.case import Array, Case, numpy_dtype


@dataclass(frozen=True)
class GradCase(Case):
    """One call of `swath.grad`. The result is all wanted gradients, flat and one after the other,
    or the single one in its shape.
    """

    operator: str = "conv_backward"
    needs: tuple[str, ...] | None = None

    @property
    def op(self) -> str:
        return self.operator

    @property
    def has_out(self) -> bool:
        return False

    @property
    def n_out_channels(self) -> int:
        return self.forward().n_out_channels

    def forward(self) -> Case:
        return Case(
            self.id, self.function, self.x, self.weight, self.kwargs, self.extras, self.fill
        )

    def inputs(self, dtype: str) -> dict[str, Array]:
        forward = self.forward()
        arrays = forward.inputs(dtype)
        shape = forward.oracle(arrays).value.shape
        rng = np.random.default_rng(zlib.crc32(self.id.encode()) + 1)
        dy = np.full(shape, 0.6) if self.fill == "constant" else rng.normal(size=shape)
        return {"dy": dy.astype(numpy_dtype(dtype)), **arrays}

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        """Gradients have no `out`; tests that give one get a copy there."""
        out = more.pop("out", None)
        named = {k: v for k, v in arrays.items() if k in ("scale", "shift", "residual")}
        first = [arrays[k] for k in ("dy", "x", "weight", "bias") if k in arrays]
        function = getattr(swath.grad, self.function)
        grads = function(*first, **named, needs=self.needs, **{**self.kwargs, **more})
        found = [g for g in grads if g is not None]
        whole = found[0] if len(found) == 1 else np.concatenate([g.ravel() for g in found])
        if out is None:
            return whole
        out[...] = whole
        return out

    def oracle(self, arrays: Mapping[str, Array]) -> oracle.Result:
        wide = np.asarray(arrays["x"]).dtype == np.float64
        is_transposed = self.function.startswith("conv_transpose")
        function = oracle_grad.conv_transpose_grad if is_transposed else oracle_grad.conv_grad
        accumulate = np.longdouble if wide else np.float64
        grads = function(**arrays, **self.kwargs, accumulate=accumulate)
        wanted = [g for name, g in grads.items() if self.needs is None or name[1:] in self.needs]
        if len(wanted) == 1:
            return wanted[0]
        return oracle.Result(
            np.concatenate([g.value.ravel() for g in wanted]),
            np.concatenate([g.magnitude.ravel() for g in wanted]),
            max(g.terms for g in wanted),
        )


def grad_case(
    forward: Case, operator: str = "conv_backward", needs: tuple[str, ...] | None = None
) -> GradCase:
    """The gradient of a forward case."""
    return GradCase(
        f"grad_{forward.id}", forward.function, forward.x, forward.weight, forward.kwargs,
        forward.extras, forward.fill, operator=operator, needs=needs,
    )  # fmt: skip
