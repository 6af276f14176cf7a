"""Extra memory: two row blocks a thread and packed weights, never a copy of the image."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

import swath
from cases import WORKLOADS
from cases.case import Workload
from support import IS_SANITIZED

# Two row blocks a thread: what an algorithm without im2col needs, whatever the image.
PER_THREAD = 1_500_000
SLACK = 64 * 1024


def _packed_bytes(weight: tuple[int, ...], itemsize: int) -> int:
    """Weights with the output channels rounded up to a block of 32."""
    per_group = math.prod(weight[1:])
    return (weight[0] + 31) // 32 * 32 * per_group * itemsize


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("work", WORKLOADS["sliding_conv"], ids=lambda w: w.name)
def test_workspace_stays_below_two_row_blocks_a_thread(work: Workload, layout: str) -> None:
    weight = np.ones(work.shapes["weight"], np.float32)
    shape = work.shapes["x"]
    if layout == "channels_last":
        shape = (shape[0], *shape[2:], shape[1])
    plan = getattr(swath, f"C{work.function[1:]}")(weight, layout=layout, **work.kwargs)
    with swath.num_threads(2):
        used = plan.workspace_bytes(shape)
    assert used <= 2 * PER_THREAD + 2 * _packed_bytes(weight.shape, 4) + SLACK


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_workspace_does_not_grow_with_batch_or_height(layout: str) -> None:
    plan = swath.Conv2d(np.ones((48, 40, 3, 3), np.float32), padding=1, layout=layout)

    def used(n: int, height: int) -> int:
        spatial = (height, 60)
        shape = (n, *spatial, 40) if layout == "channels_last" else (n, 40, *spatial)
        return int(plan.workspace_bytes(shape))

    base = used(1, 64)
    assert used(64, 64) == base
    assert used(1, 4096) <= base + SLACK


_CEILING = """
import resource, sys
import numpy as np
import swath
x = np.ones((1, 8, 1500, 1500), np.float32)
w = np.ones({weight}, np.float32)
out = np.empty_like(x)
kwargs = dict(padding={pad}, groups={groups}, padding_mode={mode!r}, threads=2)
swath.conv2d(x[:, :, :64, :64], w, **kwargs)
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
ceiling = pages + {slack}
resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
swath.conv2d(x, w, out=out, **kwargs)
try:
    np.empty({slack} + 2**22, np.uint8)
except MemoryError:
    sys.exit(0)
sys.exit("the ceiling did not hold")
"""


@pytest.mark.skipif(sys.platform != "linux" or IS_SANITIZED, reason="limits the address space")
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize(("weight", "groups"), [((8, 8, 3, 3), 1), ((8, 1, 31, 31), 8)])
def test_a_large_image_runs_in_little_more_memory(
    weight: tuple[int, ...], groups: int, mode: str
) -> None:
    """The image has 72 MB and its im2col form 648 MB: a ceiling of 24 MB admits neither."""
    script = _CEILING.format(
        weight=weight, groups=groups, mode=mode, pad=weight[-1] // 2, slack=24 * 2**20
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
