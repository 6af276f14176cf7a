"""Time per tap for k = 1..63: a user who adds one tap must not fall off a cliff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import swath
import timing
from measure import progress_bar

SIZES = range(1, 64)
WORST_ALLOWED = 1.6
FIRST_COUNTED = 3  # one and two taps are bound by memory, not by taps
SECONDS_PER_CALL = 8e-3


@dataclass(frozen=True)
class Curve:
    """A family of calls that differ in k only."""

    name: str
    x: tuple[int, ...]
    n_channels: int
    n_kernel_axes: int
    layout: str = "channels_first"


CURVES = (
    Curve("row", (1, 1, 100_000), 1, 1),
    Curve("depthwise rows", (1, 64, 2048), 64, 1),
    Curve("depthwise rows, channels last", (1, 2048, 64), 64, 1, "channels_last"),
    Curve("picture", (1, 1, 160, 160), 1, 2),
    Curve("depthwise planes", (1, 16, 80, 80), 16, 2),
    Curve("depthwise planes, channels last", (1, 80, 80, 16), 16, 2, "channels_last"),
)


def seconds_per_tap(curve: Curve, k: int) -> float:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(curve.x, np.float32)
    weight = rng.standard_normal((curve.n_channels, 1, *[k] * curve.n_kernel_axes), np.float32)
    options: dict[str, Any] = {
        "groups": curve.n_channels,
        "padding": "same",
        "layout": curve.layout,
    }
    function = swath.conv1d if curve.n_kernel_axes == 1 else swath.conv2d
    seconds = timing.best_of(lambda: function(x, weight, **options), SECONDS_PER_CALL)
    return seconds / k**curve.n_kernel_axes


def run(console: Console) -> int:
    """1 if two neighbours differ by more than the rule allows."""
    table = Table("calls", "worst step", "between", "ns per tap, k = 3, 7, 15, 31, 63")
    failed = False
    with progress_bar(console) as progress, swath.num_threads(1):
        task = progress.add_task("", total=len(CURVES) * len(SIZES))
        for curve in CURVES:
            times = {}
            for k in SIZES:
                progress.update(task, advance=1, description=f"{curve.name} {k}")
                times[k] = seconds_per_tap(curve, k)
            ratios = {
                k: max(times[k + 1] / times[k], times[k] / times[k + 1])
                for k in SIZES[:-1]
                if k >= FIRST_COUNTED
            }
            worst = max(ratios, key=ratios.__getitem__)
            failed |= ratios[worst] > WORST_ALLOWED
            shown = ", ".join(f"{times[k] * 1e9:,.0f}" for k in (3, 7, 15, 31, 63))
            table.add_row(curve.name, f"{ratios[worst]:.2f}", f"{worst} and {worst + 1}", shown)
    console.print(table)
    return int(failed)
