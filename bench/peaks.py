"""The ceilings of this machine: copy speed by working set, and multiply-add speed.

    python bench/peaks.py

Copy speed is NumPy's copy, bytes read plus bytes written per second. The multiply-add peak is the
fastest float32 matrix product of NumPy's or torch's BLAS: a stand-in that a few per cent may
exceed, so a share slightly above one is not an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np

from timing import best_of, pin

WORKING_SETS = [2**e for e in range(16, 29)]  # 64 KiB .. 256 MiB, source and target together
PRODUCT_SIZES = (256, 512)


@dataclass(frozen=True)
class Peaks:
    """Ceilings of `n_threads`; `copy` holds (working set in bytes, bytes per second)."""

    n_threads: int
    flops_per_second: float
    copy: tuple[tuple[int, float], ...]

    def copy_speed(self, n_bytes: int) -> float:
        """Bytes per second at this working set, interpolated over its logarithm."""
        sets, speeds = zip(*self.copy, strict=True)
        return float(np.interp(np.log(max(n_bytes, 1)), np.log(sets), speeds))

    def floor(self, flops: int, n_bytes: int) -> float:
        """Seconds that no implementation can undercut."""
        return max(n_bytes / self.copy_speed(n_bytes), flops / self.flops_per_second)


def measure(*, seconds: float = 0.08) -> Peaks:
    """Measure on one pinned thread."""
    return Peaks(1, measure_products(seconds), tuple(measure_copies(seconds)))


def scaled(one: Peaks, n_threads: int) -> Peaks:
    """Upper bound for more threads: every ceiling times their number."""
    copy = tuple((size, speed * n_threads) for size, speed in one.copy)
    return Peaks(n_threads, one.flops_per_second * n_threads, copy)


def measure_copies(seconds: float) -> list[tuple[int, float]]:
    speeds = []
    for n_bytes in WORKING_SETS:
        source = np.ones(n_bytes // 8, np.float32)
        target = np.zeros_like(source)

        def copy(target: np.ndarray = target, source: np.ndarray = source) -> None:
            np.copyto(target, source)

        speeds.append((n_bytes, n_bytes / best_of(copy, seconds)))
    return speeds


def measure_products(seconds: float) -> float:
    best = 0.0
    for n in PRODUCT_SIZES:
        a = np.ones((n, n), np.float32)
        out = np.empty_like(a)
        times = [best_of(lambda a=a, out=out: np.matmul(a, a, out=out), seconds)]
        try:
            import torch
        except ImportError:
            pass
        else:
            torch.set_num_threads(1)
            t, t_out = torch.from_numpy(a), torch.from_numpy(out)
            times.append(best_of(lambda t=t, t_out=t_out: torch.mm(t, t, out=t_out), seconds))
        best = max(best, 2 * n**3 / min(times))
    return best


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    pin(1)
    peaks = measure()
    table = Table("working set", "copy GB/s")
    for n_bytes, speed in peaks.copy:
        table.add_row(f"{n_bytes / 2**20:g} MiB", f"{speed / 1e9:.1f}")
    console = Console()
    console.print(table)
    console.print(f"float32 matrix product: {peaks.flops_per_second / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
