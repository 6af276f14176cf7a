"""What a peer is, and the geometry that the adapters share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from workload import Array, Workload

Pads = list[tuple[int, int]]


class Unsupported(Exception):
    """The peer has no such call; the text is shown in the report."""


@dataclass(frozen=True)
class Prepared:
    """A call with everything set up, and the way from its result to the workload's array."""

    call: Callable[[], Any]
    as_numpy: Callable[[Any], Array]


class Peer(ABC):
    """A library, set up as its users would at their best: prepacked, warm, without copies."""

    name: str
    version: str
    # How it answers the operators that are no windows, by their name: a composition of its calls.
    compositions: ClassVar[Mapping[str, Callable[..., Prepared]]] = {}

    @abstractmethod
    def set_threads(self, n_threads: int) -> None:
        """Applies to the calls prepared after this."""

    @abstractmethod
    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        """Raises Unsupported where the library has no such operation."""


@dataclass(frozen=True)
class Geometry:
    """The window of a convolution or pooling, one entry per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    groups: int

    @property
    def is_symmetric(self) -> bool:
        return all(before == after for before, after in self.pads)

    @property
    def is_plain(self) -> bool:
        """Stride and dilation one."""
        return set(self.stride) | set(self.dilation) == {1}

    @property
    def is_same(self) -> bool:
        """Odd windows, each output at the middle of its own."""
        return all(
            k % 2 == 1 and pair == (k // 2, k // 2)
            for pair, k in zip(self.pads, self.kernel, strict=True)
        )


def geometry(workload: Workload) -> Geometry:
    n = workload.n_spatial
    if workload.kwargs.get("padding_mode", "zeros") != "zeros":
        raise Unsupported("padding mode")
    kernel = (
        workload.shape("weight")[2:]
        if "weight" in workload.arrays
        else per_axis(workload.kwargs["window"], n)
    )
    default_stride = kernel if "pool" in workload.function else 1
    stride = per_axis(workload.kwargs.get("stride", default_stride), n)
    dilation = per_axis(workload.kwargs.get("dilation", 1), n)
    span = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    padding = workload.kwargs.get("padding", 0)
    pads: Pads = [(s // 2, s - s // 2) for s in span]
    if padding == "valid":
        pads = [(0, 0)] * n
    elif padding == "causal":
        pads[0] = (span[0], 0)
    elif padding != "same":
        pads = [p if isinstance(p, tuple) else (p, p) for p in per_axis(padding, n)]
    return Geometry(kernel, stride, dilation, pads, workload.kwargs.get("groups", 1))


def per_axis(value: Any, n: int) -> Any:
    """An int for each axis, or the entries that are there."""
    return (value,) * n if isinstance(value, int) else tuple(value)


def reject(workload: Workload, *names: str) -> None:
    """Unsupported if the workload uses one of these arguments."""
    for name in names:
        if name in workload.kwargs or name in workload.arrays:
            raise Unsupported(name)


def channels_first(workload: Workload, x: Array) -> Array:
    """A contiguous (N, C, *spatial) copy for peers that know no other layout."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1) if workload.is_channels_last else x)


def in_layout(workload: Workload, y: Array) -> Array:
    """(N, C, *spatial) seen in the workload's layout."""
    return np.moveaxis(y, 1, -1) if workload.is_channels_last else y


def single_plane(workload: Workload, values: Mapping[str, Array]) -> Array:
    """The one (*spatial) plane of x; Unsupported if there are more."""
    x = values["x"]
    if x.shape[:2] != (1, 1) or values.get("weight", x).shape[:2] != (1, 1):
        raise Unsupported("one channel only")
    if workload.is_channels_last:
        raise Unsupported("layout")
    return np.ascontiguousarray(x[0, 0])


def fastest(calls: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
    """The library's quickest way to one result, by a short trial."""

    def trial(call: Callable[[], Any]) -> float:
        call()
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return calls[0] if len(calls) == 1 else min(calls, key=trial)
