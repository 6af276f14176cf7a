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
    makers = {
        "linear_attention": _linear,
        "pool_tokens": _pool,
        "merge_attention": _merge,
        "select_blocks": _select,
    }
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


def _merge(_: Mapping[str, Any], given: Mapping[str, Tensor]) -> Callable[[], Tensor]:
    n = len(given) // 2
    o, lse = ([given[f"{name}{t}"] for t in range(n)] for name in ("o", "lse"))

    def call() -> Tensor:
        weights = torch.softmax(torch.stack(lse), 0)[..., None].to(o[0].dtype)
        return sum(w * part for w, part in zip(weights, o, strict=True))  # type: ignore[return-value]

    return call


def _select(options: Mapping[str, Any], given: Mapping[str, Tensor]) -> Callable[[], Tensor]:
    block, q, k = options["block"], given["q"], given["k"]
    if q.shape[2] % block:
        raise Unsupported("ragged blocks")
    if q.dtype.itemsize == 2:
        raise Unsupported("means rounded to 16 bits choose other blocks")

    def call() -> Tensor:
        means = [x.unflatten(2, (-1, block)).mean(3) for x in (q, k)]
        top = torch.topk(means[0] @ means[1].mT, options["top_k"], sorted=False)
        return top.indices.sort(-1).values.int()

    return call
