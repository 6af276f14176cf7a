"""2000 random legal calls, as users make them, against the floor of this machine.

A call far below the others of its family is a cliff: a shape that fell off its fast kernel. The
20 lowest shares are printed; a call served by `reference` fails the run.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import peaks
import swath
import timing
from measure import progress_bar
from workload import Array, numpy_dtype

N_CALLS = 2000
N_SHOWN = 20
SECONDS_PER_CALL = 2e-3
SECONDS_PER_SECOND_LOOK = 0.1  # an interruption takes longer than SECONDS_PER_CALL
# below, the time is call overhead; above, the sweep takes too long
FLOOR_RANGE = (20e-6, 600e-6)
CLIFF = 0.1  # of the family's median share
DTYPES = {"f32": 10, "f64": 2, "f16": 2, "bf16": 2}


@dataclass(frozen=True)
class Draw:
    """The shapes and options of one call."""

    family: str
    function: str
    x: tuple[int, ...]  # channels first
    weight: tuple[int, ...] | None
    kwargs: dict[str, Any]
    dtype: str
    has_bias: bool = False

    def arrays(self) -> list[Array]:
        dtype, rng = numpy_dtype(self.dtype), np.random.default_rng(0)
        shape = self.x
        if self.kwargs.get("layout") == "channels_last":
            shape = (shape[0], *shape[2:], shape[1])
        arrays = [rng.standard_normal(shape, np.float32).astype(dtype)]
        if self.weight:
            arrays.append(rng.standard_normal(self.weight, np.float32).astype(dtype))
            if self.has_bias:
                arrays.append(rng.standard_normal(self.weight[0], np.float32).astype(dtype))
        return arrays

    def flops(self, n_out: int) -> int:
        if self.weight is None:
            return 0
        if self.function.startswith("conv_transpose"):
            return 2 * math.prod(self.x) * math.prod(self.weight[1:])
        return 2 * n_out * math.prod(self.weight[1:])

    def __str__(self) -> str:
        weight = f" weight {self.weight}" if self.weight else ""
        options = " ".join(f"{k}={v}" for k, v in self.kwargs.items())
        return f"{self.function} x {self.x}{weight} {options} {self.dtype}"


@dataclass(frozen=True)
class Found:
    draw: Draw
    kernel: str
    seconds: float
    share: float


def conv(rng: random.Random, family: str, ndim: int, x_spatial: list[int]) -> Draw:
    """A convolution of one of the common kinds."""
    kind = family.split()[0]
    kernels = {1: [2, 3, 4, 5, 7, 9, 15, 31, 63], 2: [1, 2, 3, 3, 3, 4, 5, 7, 9, 11], 3: [1, 3, 3]}
    k = rng.choice(kernels[ndim])
    channels = rng.choice([3, 8, 16, 24, 32, 48, 64, 67, 96, 128, 192])
    groups, c_out = 1, rng.choice([8, 16, 24, 32, 50, 64, 96, 128])
    if kind == "single":
        channels, c_out = 1, rng.choice([1, 1, 1, 2, 4])
        k = rng.choice([3, 5, 7, 9, 15, 21, 31])
    elif kind == "depthwise":
        groups = channels
        c_out = channels * rng.choice([1, 1, 1, 1, 2])
    elif kind == "grouped":
        groups = rng.choice([2, 4, 8])
        channels, c_out = groups * rng.choice([2, 4, 8, 16]), groups * rng.choice([2, 4, 8, 16])
    kwargs: dict[str, Any] = {"groups": groups} if groups > 1 else {}
    if rng.random() < 0.3:
        kwargs["stride"] = 2
    if rng.random() < 0.15 and k > 1:
        kwargs["dilation"] = rng.choice([2, 3])
    kwargs["padding"] = rng.choice(["same", "same", "valid", k // 2, "causal"])
    if rng.random() < 0.15 and kwargs["padding"] == "same":
        kwargs["padding_mode"] = rng.choice(["reflect", "replicate", "circular"])
    if rng.random() < 0.3:
        kwargs["activation"] = rng.choice(["relu", "silu", "gelu", "hardswish"])
    span = (k - 1) * kwargs.get("dilation", 1) + 2
    x = (1, channels, *(max(n, span) for n in x_spatial))
    weight = (c_out, channels // groups, *[k] * ndim)
    return Draw(family, f"conv{ndim}d", x, weight, kwargs, "f32", rng.random() < 0.5)


def transposed(rng: random.Random, family: str, x_spatial: list[int]) -> Draw:
    k, s = rng.choice([(2, 2), (3, 1), (3, 2), (4, 2), (4, 4)])
    c, c_out = rng.choice([8, 16, 32, 64]), rng.choice([4, 8, 16, 32, 64])
    kwargs = {"stride": s, "padding": rng.choice([0, (k - s + 1) // 2])}
    return Draw(family, "conv_transpose2d", (1, c, *x_spatial), (c, c_out, k, k), kwargs, "f32")


def pooling(rng: random.Random, family: str, x_spatial: list[int]) -> Draw:
    window = rng.choice([2, 2, 3, 3, 5, 7, 13, 31])
    kwargs: dict[str, Any] = {"window": window, "stride": rng.choice([1, 2, window])}
    if rng.random() < 0.5:
        kwargs["padding"] = window // 2
    x = (1, rng.choice([1, 3, 16, 64, 96, 131]), *(max(n, window) for n in x_spatial))
    return Draw(family, rng.choice(["max_pool2d", "avg_pool2d"]), x, None, kwargs, "f32")


def reduction(rng: random.Random, family: str) -> Draw:
    n = rng.choice([1000, 4096, 30_000])
    kwargs = {
        "window": rng.choice([2, 5, 16, 63, 255]),
        "op": rng.choice(["sum", "mean", "max", "min"]),
        "axis": rng.choice([-1, -1, 1]),
    }
    return Draw(family, "sliding_reduce", (1, n, rng.choice([300, 1024])), None, kwargs, "f32")


def reorder(rng: random.Random, family: str) -> Draw:
    block, side = rng.choice([2, 4]), 4 * rng.randrange(6, 40)
    function = rng.choice(["space_to_depth", "depth_to_space"])
    order = rng.choice(["torch", "tf", "spd"])
    x = (1, 16 * rng.choice([1, 2, 4]), side, side)
    return Draw(family, function, x, None, {"block": block, "order": order}, "f32")


def plane(rng: random.Random) -> list[int]:
    side = rng.choice([7, 14, 28, 33, 56, 64, 112, 128, 224])
    return [side, rng.choice([side, side, side + rng.randrange(9)])]


def row(rng: random.Random) -> list[int]:
    return [rng.choice([200, 512, 1000, 2048, 4097, 16_000])]


FAMILIES: dict[str, tuple[int, Callable[[random.Random, str], Draw]]] = {
    "depthwise 2-D": (5, lambda rng, name: conv(rng, name, 2, plane(rng))),
    "dense 2-D": (5, lambda rng, name: conv(rng, name, 2, plane(rng))),
    "single 2-D": (3, lambda rng, name: conv(rng, name, 2, plane(rng))),
    "grouped 2-D": (2, lambda rng, name: conv(rng, name, 2, plane(rng))),
    "depthwise 1-D": (3, lambda rng, name: conv(rng, name, 1, row(rng))),
    "dense 1-D": (3, lambda rng, name: conv(rng, name, 1, row(rng))),
    "single 1-D": (2, lambda rng, name: conv(rng, name, 1, row(rng))),
    "dense 3-D": (1, lambda rng, name: conv(rng, name, 3, [rng.randrange(6, 20), *plane(rng)])),
    "transposed 2-D": (1, lambda rng, name: transposed(rng, name, plane(rng))),
    "pooling 2-D": (4, lambda rng, name: pooling(rng, name, plane(rng))),
    "sliding reduce": (1, reduction),
    "space to depth": (1, reorder),
}


def draw_call(rng: random.Random, ceilings: peaks.Peaks) -> Draw:
    """A call whose floor is neither lost in overhead nor slow."""
    names = list(FAMILIES)
    while True:
        name = rng.choices(names, [weight for weight, _ in FAMILIES.values()])[0]
        draw = FAMILIES[name][1](rng, name)
        kwargs = dict(draw.kwargs)
        if draw.function not in ("sliding_reduce", "space_to_depth", "depth_to_space"):
            if rng.random() < 0.4:
                kwargs["layout"] = "channels_last"
            batch = rng.choice([1, 1, 2, 4, 8])
        else:
            batch = 1
        draw = Draw(
            draw.family,
            draw.function,
            (batch, *draw.x[1:]),
            draw.weight,
            kwargs,
            rng.choices(list(DTYPES), list(DTYPES.values()))[0],
            draw.has_bias,
        )
        # the result is taken to be as large as the input per channel: close enough to choose
        n_x = math.prod(draw.x) / kwargs.get("stride", 1) ** (len(draw.x) - 2)
        n_out = int(n_x / draw.x[1] * draw.weight[0]) if draw.weight else int(n_x)
        guess = ceilings.floor(draw.flops(n_out), 4 * (math.prod(draw.x) + n_out))
        if FLOOR_RANGE[0] <= guess <= FLOOR_RANGE[1]:
            return draw


def measure_call(
    draw: Draw, ceilings: peaks.Peaks, seconds_per_call: float = SECONDS_PER_CALL
) -> Found:
    function = getattr(swath, draw.function)
    arrays = draw.arrays()
    kernel = str(swath.info.explain(function, *arrays, **draw.kwargs).kernel)
    result = function(*arrays, **draw.kwargs)
    n_bytes = sum(a.nbytes for a in arrays) + result.nbytes
    per_flop = 2 if draw.dtype == "f64" else 1  # half the lanes
    floor = ceilings.floor(draw.flops(result.size) * per_flop, n_bytes)
    seconds = timing.best_of(lambda: function(*arrays, **draw.kwargs), seconds_per_call)
    return Found(draw, kernel, seconds, floor / seconds)


def run(console: Console) -> int:
    rng = random.Random(0)
    with console.status("measuring the ceilings"):
        ceilings = peaks.measure()
    found = []
    with progress_bar(console) as progress, swath.num_threads(1):
        task = progress.add_task("sweep", total=N_CALLS)
        for _ in range(N_CALLS):
            found.append(measure_call(draw_call(rng, ceilings), ceilings))
            progress.advance(task)
        found = [second_look(f, family_medians(found), ceilings) for f in found]
    return report(found, console)


def second_look(found: Found, medians: dict[str, float], ceilings: peaks.Peaks) -> Found:
    """What looks like a cliff may have been the machine at other work: it is measured again."""
    if found.share >= 2 * CLIFF * medians[found.draw.family]:
        return found
    again = measure_call(found.draw, ceilings, SECONDS_PER_SECOND_LOOK)
    return max(found, again, key=lambda f: f.share)


def family_medians(found: list[Found]) -> dict[str, float]:
    return {
        family: statistics.median(f.share for f in found if f.draw.family == family)
        for family in FAMILIES
        if any(f.draw.family == family for f in found)
    }


def report(found: list[Found], console: Console) -> int:
    medians = family_medians(found)
    families = Table("family", "calls", "median of floor", "lowest")
    for family, median in medians.items():
        shares = [f.share for f in found if f.draw.family == family]
        families.add_row(family, str(len(shares)), f"{median:.0%}", f"{min(shares):.1%}")
    console.print(families)
    lowest = Table("of floor", "of median", "us", "kernel", "call", title=f"the {N_SHOWN} lowest")
    for f in sorted(found, key=lambda f: f.share)[:N_SHOWN]:
        relative = f.share / medians[f.draw.family]
        microseconds = f"{f.seconds * 1e6:.0f}"
        lowest.add_row(f"{f.share:.1%}", f"{relative:.2f}", microseconds, f.kernel, str(f.draw))
    console.print(lowest)
    cliffs = [f for f in found if f.share < CLIFF * medians[f.draw.family]]
    console.print(f"{len(cliffs)} calls below a tenth of their family's median")
    for f in cliffs:
        console.print(f"  {f.kernel}: {f.draw}")
    references = [f for f in found if "reference" in f.kernel]
    for f in references:
        console.print(f"[red]served by {f.kernel}: {f.draw}[/]")
    return int(bool(references))
