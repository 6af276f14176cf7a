"""Dynamic convolution as its published modules have it on a CPU: unfold, or a banded matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from peers.base import Prepared, Unsupported, fastest
from workload import Array, Workload

Tensor = torch.Tensor


def prepare(workload: Workload, tensors: dict[str, Tensor], *, is_last: bool) -> Prepared:
    if is_last or workload.is_channels_last:
        raise Unsupported("memory format")
    x, w = tensors["x"], tensors["weight"]
    if workload.kwargs.get("softmax", workload.function == "lightweight_conv1d"):
        soften: Callable[[Tensor], Tensor] = lambda t: t.softmax(1 if t.ndim == 2 else 2)  # noqa: E731
    else:
        soften = lambda t: t  # noqa: E731
    if w.ndim == 2:
        ways = [depthwise]
    elif x.ndim == 3:
        ways = [unfold_row, banded]
    elif workload.function.endswith("small_kernel_aggregation2d"):
        ways = [unfold_interleaved]
    else:
        ways = [unfold_blocked]

    def bound(way: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], Tensor]:
        if workload.is_gradient:
            return gradient(lambda: way(x, soften(w)), tensors, workload.kwargs["needs"])

        def call() -> Tensor:
            with torch.inference_mode():
                return way(x, soften(w))

        return call

    def as_numpy(y: Tensor) -> Array:
        return np.asarray((y.float() if y.dtype.itemsize == 2 else y).numpy())

    return Prepared(fastest([bound(way) for way in ways]), as_numpy)


def gradient(
    forward: Callable[[], Tensor], tensors: dict[str, Tensor], needs: tuple[str]
) -> Callable[[], Tensor]:
    """Forward and backward of a composition, for one input: what is saved between them is built in
    both."""
    wanted = tensors[needs[0]].requires_grad_()

    def call() -> Tensor:
        (found,) = torch.autograd.grad(forward(), wanted, tensors["dy"])
        return found

    return call


def depthwise(x: Tensor, w: Tensor) -> Tensor:
    """The same taps everywhere: a grouped convolution with the taps repeated."""
    c, (h, k) = x.shape[1], w.shape
    return F.conv1d(F.pad(x, (k - 1, 0)), w.repeat_interleave(c // h, 0)[:, None], groups=c)


def unfold_row(x: Tensor, w: Tensor) -> Tensor:
    b, c, t = x.shape
    h, k = w.shape[1:3]
    pieces = F.pad(x, (k - 1, 0)).unfold(2, k, 1).reshape(b, h, c // h, t, k)
    return torch.einsum("bhctk,bhkt->bhct", pieces, w).reshape(b, c, t)


def banded(x: Tensor, w: Tensor) -> Tensor:
    """The taps as the band of a (T, T) matrix for each head."""
    b, c, t = x.shape
    h, k = w.shape[1:3]
    wide = t + k - 1
    band = torch.zeros(b * h, t, wide, dtype=x.dtype)
    taps = w.transpose(2, 3).reshape(b * h, t, k)
    band.as_strided((b * h, t, k), (t * wide, wide + 1, 1)).copy_(taps)
    y = torch.bmm(x.reshape(b * h, c // h, t), band[:, :, k - 1 :].transpose(1, 2))
    return y.reshape(b, c, t)


def unfold_blocked(x: Tensor, w: Tensor) -> Tensor:
    n, c, rows, cols = x.shape
    g, taps = w.shape[1:3]
    k = round(taps**0.5)
    pieces = F.unfold(x, k, padding=k // 2).view(n, g, c // g, taps, rows, cols)
    return (w[:, :, None] * pieces).sum(3).view(x.shape)


def unfold_interleaved(x: Tensor, w: Tensor) -> Tensor:
    n, c, rows, cols = x.shape
    g, taps = w.shape[1:3]
    k = round(taps**0.5)
    pieces = F.unfold(x, k, padding=k // 2).view(n, c // g, g, taps, rows, cols)
    return (w[:, None] * pieces).sum(3).view(x.shape)
