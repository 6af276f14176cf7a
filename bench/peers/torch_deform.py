"""Deformable and per-sample convolution as they are composed in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from peers.base import Prepared, Unsupported
from peers.torch_dynamic import gradient
from workload import Array, Workload

Tensor = torch.Tensor


def prepare(workload: Workload, tensors: dict[str, Tensor], *, is_last: bool) -> Prepared:
    if is_last or workload.is_channels_last:
        raise Unsupported("memory format")
    operation = _operation(workload, tensors)

    def forward() -> Tensor:
        with torch.inference_mode():
            return operation()

    call = forward
    if workload.is_gradient:
        call = gradient(operation, tensors, workload.kwargs["needs"])

    def as_numpy(y: Tensor) -> Array:
        return np.asarray((y.float() if y.dtype.itemsize == 2 else y).numpy())

    return Prepared(call, as_numpy)


def _operation(workload: Workload, given: dict[str, Tensor]) -> Callable[[], Tensor]:
    if workload.function == "mix_kernels":
        coeff, experts = given["coeff"], given["experts"]
        return lambda: (coeff @ experts.flatten(1)).view(-1, *experts.shape[1:])
    groups, padding = workload.kwargs.get("groups", 1), workload.kwargs.get("padding", 0)
    x, weight = given["x"], given["weight"]
    if workload.function == "sample_conv2d":
        n = len(x)
        wide, many = x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1)
        return lambda: F.conv2d(wide, many, padding=padding, groups=n * groups).unflatten(
            1, (n, -1)
        )[0]
    if not workload.function.endswith("deform_conv2d") or groups not in (1, x.shape[1]):
        raise Unsupported("function")
    return lambda: gathered(x, weight, given["offset"], given["mask"], padding, groups)


def gathered(
    x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, padding: int, groups: int
) -> Tensor:
    """All samples by grid_sample, then one product."""
    n, c, height, width = x.shape
    kh, kw = weight.shape[2:]
    ho, wo = offset.shape[2:]
    rows, cols = torch.meshgrid(
        torch.arange(ho, dtype=x.dtype), torch.arange(wo, dtype=x.dtype), indexing="ij"
    )
    taps = torch.arange(kh * kw).view(-1, 1, 1)
    moved = offset.view(n, kh * kw, 2, ho, wo)
    h = rows - padding + taps // kw + moved[:, :, 0]
    v = cols - padding + taps % kw + moved[:, :, 1]
    grid = torch.stack([(2 * v + 1) / width - 1, (2 * h + 1) / height - 1], -1)
    samples = F.grid_sample(x, grid.view(n, -1, wo, 2), align_corners=False)
    columns = (samples.view(n, c, kh * kw, ho, wo) * mask[:, None]).flatten(3)
    if groups == 1:
        y = torch.einsum("nckp,ock->nop", columns, weight.flatten(2))
    else:
        y = torch.einsum("nckp,ck->ncp", columns, weight.flatten(1))
    return y.unflatten(2, (ho, wo))
