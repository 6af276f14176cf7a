"""Attention in PyTorch: its fused kernel, with the pattern as a mask of all pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

from peers.base import Prepared, Unsupported
from workload import Array, Workload

Tensor = torch.Tensor


def prepare(workload: Workload, tensors: Mapping[str, Tensor], *, is_last: bool) -> Prepared:
    if is_last or workload.is_gradient or set(workload.kwargs) - {"pattern", "causal"}:
        raise Unsupported("option")
    shape = tensors["q"].shape
    q, k, v = (tensors[name].flatten(2, -2) for name in "qkv")
    mask = None
    pattern = workload.kwargs.get("pattern")
    if pattern is not None:
        options = {**pattern._options(), "grid": tuple(shape[2:-1])}
        mask = torch.from_numpy(type(pattern)(**options).to_mask())

    def call() -> Tensor:
        with torch.inference_mode():
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=workload.kwargs.get("causal", False)
            )

    def as_numpy(y: Tensor) -> Array:
        y = y.reshape(*shape[:-1], y.shape[-1])
        return np.asarray((y.float() if y.dtype.itemsize == 2 else y).numpy())

    return Prepared(call, as_numpy)
