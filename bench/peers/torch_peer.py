"""PyTorch on the CPU, with planar and with channels-last memory; inference mode.

A convolution is tried eagerly and with the weights packed once, as torch.compile does with frozen
weights; the faster one is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from peers import (
    fft_rows,
    torch_attention,
    torch_deform,
    torch_dynamic,
    torch_gates,
    torch_tools,
    transforms,
)
from peers.base import Geometry, Peer, Prepared, Unsupported, fastest, geometry
from workload import GATES, TOOLS, Array, Workload

Tensor = torch.Tensor
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def to_tensor(values: Array) -> Tensor:
    if values.dtype.name == "bfloat16":  # torch reads no foreign bfloat16: the same bits
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def long_rows(workload: Workload, tensors: dict[str, Tensor], *, is_last: bool) -> Prepared:
    if is_last:
        raise Unsupported("layout")
    call = fft_rows.prepare(workload, tensors, torch.fft.rfft, torch.fft.irfft)

    def inference() -> Tensor:
        with torch.inference_mode():
            return call()  # type: ignore[return-value]

    return Prepared(inference, lambda y: np.asarray(y.numpy()))


class TorchPlanar(Peer):
    name = "torch"
    version = torch.__version__
    compositions: ClassVar = {
        **dict.fromkeys(GATES, torch_gates.prepare),
        **dict.fromkeys(TOOLS, torch_tools.prepare),
        **dict.fromkeys(("attention", "attention_backward"), torch_attention.prepare),
        "dynamic_conv": torch_dynamic.prepare,
        "long_conv": long_rows,
        **dict.fromkeys(("deform_conv", "sample_conv"), torch_deform.prepare),
        **dict.fromkeys(("long_conv2d", "band_split"), transforms.prepare_torch),
    }
    is_last = False

    def set_threads(self, n_threads: int) -> None:
        torch.set_num_threads(n_threads)

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        tensors = {name: to_tensor(array) for name, array in values.items()}
        if workload.op in self.compositions:
            return self.compositions[workload.op](workload, tensors, is_last=self.is_last)
        if workload.is_channels_last:
            moved = {k: t.movedim(-1, 1) for k, t in tensors.items() if k in ("dy", "x", "mask")}
            tensors |= moved
        x = tensors.pop("x")
        if workload.in_place:
            x = x.clone()
        x, tensors = self.laid_out(x, tensors, workload.n_spatial)
        shape = self.output_shape

        def bound(operation: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
            def call() -> Tensor:
                with torch.inference_mode():
                    return operation(x)

            return call

        call = fastest([bound(way) for way in self.operations(workload, tensors, x)])

        def as_numpy(y: Tensor) -> Array:
            y = shape(y, workload.n_spatial)
            y = y.float() if y.dtype.itemsize == 2 else y
            is_image = workload.kwargs.get("needs") != ("weight",)
            return (y.movedim(1, -1) if workload.is_channels_last and is_image else y).numpy()

        return Prepared(call, as_numpy)

    def laid_out(
        self, x: Tensor, tensors: dict[str, Tensor], n_spatial: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The layout of this peer, made before timing."""
        del n_spatial
        return x.contiguous(), {name: t.contiguous() for name, t in tensors.items()}

    def output_shape(self, y: Tensor, n_spatial: int) -> Tensor:
        del n_spatial
        return y

    def rank(self, workload: Workload) -> int:
        return workload.n_spatial

    def operations(
        self, workload: Workload, tensors: dict[str, Tensor], x: Tensor
    ) -> list[Callable[[Tensor], Tensor]]:
        """The ways to compute the workload; all give the same result."""
        if workload.op == "space_to_depth":
            return [reorder(workload)]
        g = geometry(workload)
        if workload.is_gradient and "pool" in workload.function:
            return [pool_backward(workload, g, self.rank(workload), tensors["dy"], x)]
        if workload.is_gradient:
            return [gradient(workload, g, tensors)]
        if workload.op == "pooling":
            return [pool(workload, g, self.rank(workload))]
        weight, bias = tensors["weight"], tensors.get("bias")
        if workload.op == "conv_transpose":
            return [transposed(workload, g, self.rank(workload), weight, bias)]
        rank, channels = self.rank(workload), workload.kwargs.get("channels")
        if workload.op == "partial_conv":
            return [masked(workload, g, rank, tensors)]
        convolve = convolution(g, rank, weight, bias)
        if workload.op == "gated_conv":
            if g.groups > 1:  # one grouped convolution would interleave features and gates
                halves = zip(weight.chunk(2), tensors["bias"].chunk(2), strict=True)
                return [gated_halves(*(convolution(g, rank, w, b) for w, b in halves))]
            ways = [convolve, *packed_convolution(g, rank, weight, bias, x)]
            return [gated(way) for way in ways]
        if workload.op != "sliding_conv":
            raise Unsupported("no such operator")
        if channels:
            return [partial_channels(convolve, channels, workload.in_place)]
        return [convolve, *packed_convolution(g, rank, weight, bias, x)]


class TorchChannelsLast(TorchPlanar):
    """The same with channels-last memory; one axis becomes two, as torch has none for 1-D."""

    name = "torch channels_last"
    is_last = True

    def laid_out(
        self, x: Tensor, tensors: dict[str, Tensor], n_spatial: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        def last(t: Tensor) -> Tensor:
            if t.ndim < 3:
                return t
            planes = t.unsqueeze(2) if n_spatial == 1 else t
            of_rank = {4: torch.channels_last, 5: torch.channels_last_3d}
            return planes.contiguous(memory_format=of_rank[planes.ndim])

        return last(x), {name: last(t) for name, t in tensors.items()}

    def output_shape(self, y: Tensor, n_spatial: int) -> Tensor:
        return y.squeeze(2) if n_spatial == 1 else y

    def rank(self, workload: Workload) -> int:
        return max(workload.n_spatial, 2)


def widened(values: tuple[int, ...], rank: int, fill: int) -> tuple[int, ...]:
    """One entry more in front where a row is seen as a plane."""
    return (fill,) * (rank - len(values)) + values


def convolution(
    g: Geometry, rank: int, weight: Tensor, bias: Tensor | None
) -> Callable[[Tensor], Tensor]:
    stride, dilation = widened(g.stride, rank, 1), widened(g.dilation, rank, 1)
    function, groups = CONV[rank], g.groups
    if all(before >= after for before, after in g.pads):
        # pad both sides alike and drop the surplus: cheaper for torch than a padded copy
        padding = widened(tuple(before for before, _ in g.pads), rank, 0)
        if g.is_symmetric:
            return lambda x: function(x, weight, bias, stride, padding, dilation, groups)
        surplus = tuple(
            (before - after) // s for (before, after), s in zip(g.pads, g.stride, strict=True)
        )
        keep = (..., *(slice(None, -n if n else None) for n in surplus))
        return lambda x: function(x, weight, bias, stride, padding, dilation, groups)[keep]
    flat = [n for pair in reversed(g.pads) for n in pair]
    return lambda x: function(F.pad(x, flat), weight, bias, stride, 0, dilation, groups)


def packed_convolution(
    g: Geometry, rank: int, weight: Tensor, bias: Tensor | None, x: Tensor
) -> list[Callable[[Tensor], Tensor]]:
    """The convolution with oneDNN's own order of the weights, where this build has it."""
    if not g.is_symmetric:
        return []
    window = (
        widened(tuple(before for before, _ in g.pads), rank, 0),
        widened(g.stride, rank, 1),
        widened(g.dilation, rank, 1),
        g.groups,
    )
    operations = torch.ops.mkldnn
    try:
        packed = operations._reorder_convolution_weight(weight, *window, list(x.shape))
        operations._convolution_pointwise(x, packed, bias, *window, "none", [], "")
    except (AttributeError, NotImplementedError, RuntimeError):
        return []
    return [lambda x: operations._convolution_pointwise(x, packed, bias, *window, "none", [], "")]


def gated(convolve: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The published layer: one convolution, halves, activation and gate."""

    def call(x: Tensor) -> Tensor:
        feature, gate = convolve(x).chunk(2, 1)
        return F.elu(feature, inplace=True).mul_(torch.sigmoid_(gate))

    return call


def gated_halves(
    feature: Callable[[Tensor], Tensor], gate: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    return lambda x: F.elu(feature(x), inplace=True).mul_(torch.sigmoid_(gate(x)))


def masked(
    workload: Workload, g: Geometry, rank: int, tensors: Mapping[str, Tensor]
) -> Callable[[Tensor], Tensor]:
    """The published layers: S3 with its mask update, or the convolution of active sites."""
    mask = tensors["mask"].to(tensors["weight"].dtype)
    ones = torch.ones(1, 1, *tensors["weight"].shape[2:], dtype=mask.dtype)
    single = replace(g, groups=1)
    convolve = convolution(g, rank, tensors["weight"], None)
    count = convolution(single, rank, ones, None)
    window = float(ones.numel())
    column = tensors["bias"].reshape(1, -1, *(1,) * rank)
    if workload.kwargs.get("mask_update") == "same":
        biased = convolution(g, rank, tensors["weight"], tensors["bias"])
        return lambda x: biased(x * mask) * mask

    def call(x: Tensor) -> Tensor:
        s = count(mask)
        new = s.clamp(0, 1)
        ratio = window / (s + 1e-8) * new
        return (convolve(x * mask) * ratio + column) * new

    return call


def gradient(
    workload: Workload, g: Geometry, tensors: Mapping[str, Tensor]
) -> Callable[[Tensor], Tensor]:
    """The one gradient that is wanted, of x or of the weight."""
    needs = workload.kwargs["needs"]
    if not g.is_symmetric or needs not in (("x",), ("weight",)):
        raise Unsupported("padding")
    mask = [name in needs for name in ("x", "weight", "bias")]
    padding, zero = [before for before, _ in g.pads], [0] * len(g.pads)
    dy, weight = tensors["dy"], tensors["weight"]
    backward = torch.ops.aten.convolution_backward

    def call(x: Tensor) -> Tensor:
        grads = backward(
            dy, x, weight, None, g.stride, padding, g.dilation, False, zero, g.groups, mask
        )
        found: Tensor = grads[0 if needs == ("x",) else 1]
        return found

    return call


def partial_channels(
    convolve: Callable[[Tensor], Tensor], channels: tuple[int, int], in_place: bool
) -> Callable[[Tensor], Tensor]:
    start, stop = channels

    def write(x: Tensor) -> Tensor:
        x[:, start:stop] = convolve(x[:, start:stop])
        return x

    if in_place:
        return write
    return lambda x: torch.cat([x[:, :start], convolve(x[:, start:stop]), x[:, stop:]], 1)


def transposed(
    workload: Workload, g: Geometry, rank: int, weight: Tensor, bias: Tensor | None
) -> Callable[[Tensor], Tensor]:
    if not g.is_symmetric or rank != workload.n_spatial:
        raise Unsupported("padding")
    extra, function = workload.kwargs.get("output_padding", 0), CONV_TRANSPOSE[rank]
    padding = tuple(before for before, _ in g.pads)
    return lambda x: function(x, weight, bias, g.stride, padding, extra, g.groups, g.dilation)


def pool(workload: Workload, g: Geometry, rank: int) -> Callable[[Tensor], Tensor]:
    if workload.function == "sliding_reduce" or rank != workload.n_spatial:
        raise Unsupported("no such operation")
    if not g.is_symmetric or any(
        before > k // 2 for (before, _), k in zip(g.pads, g.kernel, strict=True)
    ):
        raise Unsupported("padding above half the window")
    padding: Any = tuple(before for before, _ in g.pads)
    if workload.function.startswith("max"):
        return lambda x: MAX_POOL[rank](x, g.kernel, g.stride, padding, g.dilation)
    include = workload.kwargs.get("count_include_pad", True)
    return lambda x: AVG_POOL[rank](x, g.kernel, g.stride, padding, False, include)


def pool_backward(
    workload: Workload, g: Geometry, rank: int, dy: Tensor, x: Tensor
) -> Callable[[Tensor], Tensor]:
    """The backward alone: it has the indices of the maxima, which the forward call has kept."""
    if rank != 2 or workload.n_spatial != 2 or not g.is_symmetric:
        raise Unsupported("padding or axes")
    window, stride, dilation = list(g.kernel), list(g.stride), list(g.dilation)
    padding = [before for before, _ in g.pads]
    aten = torch.ops.aten
    if workload.function.startswith("grad.max"):
        _, indices = aten.max_pool2d_with_indices(x, window, stride, padding, dilation)
        back = aten.max_pool2d_with_indices_backward
        return lambda x: back(dy, x, window, stride, padding, dilation, False, indices)
    include = workload.kwargs.get("count_include_pad", True)
    back = aten.avg_pool2d_backward
    return lambda x: back(dy, x, window, stride, padding, False, include, None)


def reorder(workload: Workload) -> Callable[[Tensor], Tensor]:
    if workload.kwargs.get("order", "torch") != "torch":
        raise Unsupported("order")
    block = workload.kwargs["block"]
    if workload.function == "space_to_depth":
        return lambda x: F.pixel_unshuffle(x, block)
    return lambda x: F.pixel_shuffle(x, block)
