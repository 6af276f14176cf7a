"""The tools around attention in PyTorch's operations, as published code has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from peers.base import Prepared, Unsupported
from workload import Array, Workload

Tensor = torch.Tensor


def prepare(workload: Workload, tensors: Mapping[str, Tensor], *, is_last: bool) -> Prepared:
    if is_last:
        raise Unsupported("memory format")
    makers = {"linear_attention": _linear, "pool_tokens": _pool}
    if workload.function not in makers:
        raise Unsupported("no such operation")
    operation = makers[workload.function](workload.kwargs, tensors)

    def call() -> Tensor:
        with torch.inference_mode():
            return operation()

    def as_numpy(y: Tensor) -> Array:
        return np.asarray((y.float() if y.dtype.itemsize == 2 else y).numpy())

    return Prepared(call, as_numpy)


def _linear(options: Mapping[str, Any], given: Mapping[str, Tensor]) -> Callable[[], Tensor]:
    q, k, v = (given[name] for name in "qkv")
    scale = q.shape[-1] ** -0.5
    if options.get("causal"):
        return lambda: torch.tril(q @ torch.softmax(k, 2).mT * scale) @ v
    return lambda: (q * scale) @ (torch.softmax(k, 2).mT @ v)


def _pool(options: Mapping[str, Any], given: Mapping[str, Tensor]) -> Callable[[], Tensor]:
    x, grid, factor = given["x"], options["grid"], options["factor"]
    pool = F.max_pool2d if options.get("mode") == "max" else F.avg_pool2d
    if any(n % factor for n in grid):
        raise Unsupported("ragged cells")

    def call() -> Tensor:
        image = x.unflatten(1, grid).permute(0, 3, 1, 2)  # channels last in memory
        return pool(image, factor).permute(0, 2, 3, 1).flatten(1, 2)

    return call
