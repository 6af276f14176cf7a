"""FlexAttention of PyTorch: the pattern as a function of indices, compiled for each shape.

A compilation takes half a minute, so it is asked for: SWATH_BENCH_FLEX=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import ClassVar

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no pool beside what is timed

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from peers.base import Peer, Prepared, Unsupported
from peers.torch_attention import as_numpy
from peers.torch_peer import to_tensor
from swath.patterns import Disk, Neighborhood
from workload import Array, Workload

Tensor = torch.Tensor
Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def neighborhood(size: int, height: int, width: int) -> Rule:
    def near(query: Tensor, key: Tensor, n: int) -> Tensor:
        first = torch.clamp(query - size // 2, 0, n - size)
        return (key >= first) & (key < first + size)

    def sees(_b: Tensor, _h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        rows = near(query // width, key // width, height)
        return rows & near(query % width, key % width, width)

    return sees


def disk(radius: float, width: int, n_prefix: int) -> Rule:
    def sees(_b: Tensor, _h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        i, j = query - n_prefix, key - n_prefix
        y, x = i // width - j // width, i % width - j % width
        return (i < 0) | (j < 0) | (x * x + y * y < radius * radius)

    return sees


def rule_of(workload: Workload) -> Rule:
    pattern, tokens = workload.kwargs.get("pattern"), workload.shape("q")[2:-1]
    if isinstance(pattern, Neighborhood) and len(tokens) == 2:
        return neighborhood(pattern.kernel_size, *tokens)
    if isinstance(pattern, Disk) and pattern.grid is not None and len(pattern.grid) == 2:
        return disk(pattern.radius, pattern.grid[1], pattern.n_prefix)
    raise Unsupported("pattern")


def prepare(workload: Workload, values: Mapping[str, Array]) -> Prepared:
    if os.environ.get("SWATH_BENCH_FLEX") != "1":
        raise Unsupported("half a minute to compile a shape: SWATH_BENCH_FLEX=1 asks for it")
    sees = rule_of(workload)
    shape = workload.shape("q")
    q, k, v = (to_tensor(values[name]).flatten(2, -2) for name in "qkv")
    mask = create_block_mask(sees, 1, 1, q.shape[2], k.shape[2], device="cpu")
    attend = torch.compile(flex_attention, dynamic=False)

    def call() -> Tensor:
        with torch.inference_mode():
            return attend(q, k, v, block_mask=mask)

    try:
        call()
    except (RuntimeError, torch._dynamo.exc.TorchDynamoException) as error:
        raise Unsupported(f"does not compile here: {str(error)[:60]}") from error
    return Prepared(call, lambda y: as_numpy(y.reshape(shape)))


class TorchFlex(Peer):
    name = "torch flex"
    version = torch.__version__
    compositions: ClassVar = {"attention": prepare}

    def set_threads(self, n_threads: int) -> None:
        torch.set_num_threads(n_threads)

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        if workload.op not in self.compositions:
            raise Unsupported("no such operation")
        return prepare(workload, values)
