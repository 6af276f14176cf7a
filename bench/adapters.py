"""Microseconds of one tiny call through each front door; `python bench/adapters.py`."""

from __future__ import annotations

import importlib
import sys
import timeit
from collections.abc import Callable
from typing import Any

import torch

import swath
import swath.torch

CALLS, REPEATS = 1000, 15


class Nothing(torch.autograd.Function):
    """The least that a recorded function can cost."""

    @staticmethod
    def forward(x: Any, _: Any) -> Any:
        return x.new_empty(1, 1, 6, 6)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, _: Any) -> None:
        ctx.save_for_backward(*inputs)


@torch.library.custom_op("swath_bench::nothing", mutates_args=())
def nothing(x: torch.Tensor, _weight: torch.Tensor) -> torch.Tensor:
    return x.new_empty(1, 1, 6, 6)


def jax_doors(x: Any, weight: Any) -> dict[str, Callable[[], Any]]:
    """Jitted calls on arrays of jax, if it is installed."""
    try:
        jax = importlib.import_module("jax")
    except ImportError:
        sys.stdout.write("jax is not installed: its calls are left out\n")
        return {}
    functions = importlib.import_module("swath.jax")
    a, b = jax.numpy.asarray(x), jax.numpy.asarray(weight)
    ours = jax.jit(lambda x, w: functions.conv2d(x, w))
    empty = jax.jit(lambda x, w: x[:, :, :6, :6] + w[0, 0, 0, 0])
    own = jax.jit(lambda x, w: jax.lax.conv(x, w, (1, 1), "VALID"))
    return {
        "swath.jax.conv2d, jitted": lambda: ours(a, b).block_until_ready(),
        "jax.lax.conv, jitted": lambda: own(a, b).block_until_ready(),
        "empty jitted program": lambda: empty(a, b).block_until_ready(),
    }


def main() -> None:
    torch.set_num_threads(1)
    x, weight = torch.randn(1, 1, 8, 8), torch.randn(1, 1, 3, 3)
    recorded = weight.clone().requires_grad_()
    plain = x.numpy(), weight.numpy()
    doors: dict[str, Callable[[], Any]] = {
        "swath.conv2d, NumPy": lambda: swath.conv2d(*plain),
        "swath.conv2d, tensors": lambda: swath.conv2d(x, weight),
        "swath.torch.conv2d": lambda: swath.torch.conv2d(x, weight),
        "swath.torch.conv2d, recorded": lambda: swath.torch.conv2d(x, recorded),
        "torch.conv2d": lambda: torch.conv2d(x, weight),
        "torch.conv2d, recorded": lambda: torch.conv2d(x, recorded),
        "empty autograd.Function": lambda: Nothing.apply(x, recorded),
        "empty custom operator": lambda: nothing(x, weight),
    }
    doors.update(jax_doors(*plain))
    best = dict.fromkeys(doors, float("inf"))
    for _ in range(REPEATS):  # in turn, so that a slow moment hits all
        for name, call in doors.items():
            best[name] = min(best[name], timeit.timeit(call, number=CALLS) / CALLS)
    for name, seconds in best.items():
        sys.stdout.write(f"{name:30} {seconds * 1e6:6.1f} us\n")


if __name__ == "__main__":
    main()
