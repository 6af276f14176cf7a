"""Attention in PyTorch: the fused kernel, the pattern as a mask of all pairs, or two products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F

from peers.base import Prepared, Unsupported, fastest
from swath.patterns import Blocks
from workload import Array, Workload

Tensor = torch.Tensor


def mask_of(workload: Workload, shape: torch.Size) -> Tensor | None:
    """The pattern as a mask of all pairs."""
    pattern = workload.kwargs.get("pattern")
    if pattern is None:
        return None
    if not (pattern.grid or isinstance(pattern, Blocks)):
        pattern = type(pattern)(**{**pattern._options(), "grid": tuple(shape[2:-1])})
    n = math.prod(shape[2:-1])
    mask = torch.from_numpy(pattern.to_mask(n, n))
    return mask


def as_numpy(y: Tensor) -> Array:
    return np.asarray((y.float() if y.dtype.itemsize == 2 else y).numpy())


def prepare(workload: Workload, tensors: Mapping[str, Tensor], *, is_last: bool) -> Prepared:
    if is_last or set(workload.kwargs) - {"pattern", "causal"}:
        raise Unsupported("option")
    shape = tensors["q"].shape
    q, k, v = (tensors[name].flatten(2, -2) for name in "qkv")
    mask = mask_of(workload, shape)
    is_causal = workload.kwargs.get("causal", False)
    if workload.is_gradient:
        return prepare_gradient(tensors, mask)

    def fused() -> Tensor:
        with torch.inference_mode():
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal)

    def products() -> Tensor:
        with torch.inference_mode():
            return torch.softmax((q * q.shape[-1] ** -0.5) @ k.mT, -1) @ v

    calls = [fused] if mask is not None or is_causal else [fused, products]
    return Prepared(fastest(calls), lambda y: as_numpy(y.reshape(*shape[:-1], y.shape[-1])))


def prepare_gradient(tensors: Mapping[str, Tensor], mask: Tensor | None) -> Prepared:
    """Autograd's backward alone, of the fused kernel and of the products; the forward has been."""
    shape = tensors["q"].shape
    q, k, v = (tensors[name].flatten(2, -2).clone().requires_grad_() for name in "qkv")
    do = tensors["do"].flatten(2, -2)
    logits = (q * q.shape[-1] ** -0.5) @ k.mT
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    results = [
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
        torch.softmax(logits, -1) @ v,
    ]

    def backward(o: Tensor) -> Callable[[], Tensor]:
        return lambda: torch.autograd.grad(o, (q, k, v), do, retain_graph=True)[0]

    call = fastest([backward(o) for o in results])
    return Prepared(call, lambda dq: as_numpy(dq.reshape(shape)))
