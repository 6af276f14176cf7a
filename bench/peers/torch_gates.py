"""The gates as their published layers have them, in PyTorch's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from peers.base import Prepared, Unsupported
from workload import Array, Workload

Tensor = torch.Tensor


def prepare(workload: Workload, tensors: dict[str, Tensor], *, is_last: bool) -> Prepared:
    if is_last:
        if any(t.ndim > 4 for t in tensors.values()):
            raise Unsupported("memory format")
        tensors = {name: _channels_last(t) for name, t in tensors.items()}
    main = tensors.pop(workload.main)
    operation = _operation(workload, tensors)

    def call() -> Tensor:
        with torch.inference_mode():
            return operation(main)

    def as_numpy(y: Tensor) -> Array:
        return np.asarray((y.float() if y.dtype.itemsize == 2 else y).numpy())

    return Prepared(call, as_numpy)


def _channels_last(t: Tensor) -> Tensor:
    return t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t


def _operation(workload: Workload, given: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    name, options = workload.function, workload.kwargs
    if options.get("layout", "channels_first") != "channels_first":
        raise Unsupported("layout")
    if name == "gate_mul":
        b = given["b"]
        phi: Any = F.elu if options.get("activation") == "elu" else (lambda a: a)
        return lambda a: phi(a) * torch.sigmoid(b)
    if name == "branch_select":
        choice = given["logits"]
        return lambda u: (u * choice.softmax(1).transpose(0, 1)[..., None, None]).sum(0)
    if name == "spatial_gate":
        logits = given["logits"]
        return lambda x: x * torch.sigmoid(logits)
    if name == "spatial_softmax_gate":
        return _softmax_gate(given["logits"])
    return _channel_gate(options["kind"], [given[f"w{i}"] for i in range(len(given))])


def _softmax_gate(logits: Tensor) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        n, c, *spatial = x.shape
        groups = logits.shape[1]
        maps = logits.flatten(2).softmax(2).reshape(n, groups, 1, *spatial)
        parts = x.reshape(n, groups, c // groups, *spatial)
        return (maps * parts + parts).reshape(x.shape)

    return call


def _channel_gate(kind: str, w: list[Tensor]) -> Callable[[Tensor], Tensor]:
    def gate(x: Tensor) -> Tensor:
        mean = x.mean((2, 3))
        if kind == "eca":
            taps = w[0][None, None]
            return torch.sigmoid(F.conv1d(mean[:, None], taps, padding=len(w[0]) // 2)[:, 0])
        if kind == "se":
            return torch.sigmoid(F.linear(F.relu(F.linear(mean, w[0], w[1])), w[2], w[3]))
        if kind == "cca":
            return torch.sigmoid(F.linear(mean, w[0], w[1]))
        both = torch.stack([mean, x.flatten(2).std(2)], -1).flatten(1)
        return F.hardsigmoid(F.linear(both, w[0].flatten(1)) * w[1] + w[2])

    return lambda x: x * gate(x)[..., None, None]
