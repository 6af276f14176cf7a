"""Directed cases of the whole backward: all gradients of one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cases import conv_transpose, sliding_conv
from cases.case import Case, Workload
from cases.conv_weight_grad import WORKLOADS as WEIGHT_WORKLOADS
from cases.grad import GradCase, grad_case

_PREFIXES = ("epilogue_", "activation_", "own_dilation", "range_", "partial_")
_MODES = ("reflect_", "replicate_", "circular_")


def _is_chosen(case: Case) -> bool:
    return case.id.startswith(_PREFIXES + _MODES)


_STRIDED = [
    c
    for c in sliding_conv.CASES
    if c.id.startswith(("stride_", "dilated", "causal", "same_tf", "unbatched", "empty", "no_"))
]
CASES: list[GradCase] = [
    grad_case(c)
    for c in [c for c in sliding_conv.CASES if _is_chosen(c)] + _STRIDED + conv_transpose.CASES
    if int(np.prod(c.x)) * int(np.prod(c.weight or ())) < 40_000_000
]

WORKLOADS: list[Workload] = [
    replace(w, name=w.name.replace("dweight", "dx"), kwargs={**w.kwargs, "needs": ("x",)})
    for w in WEIGHT_WORKLOADS
]
