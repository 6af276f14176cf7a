"""Timing on a shared machine: pinned, interleaved in short blocks, order rotated."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Call = Callable[[], Any]

SAMPLE_SECONDS = 30e-6  # shorter calls are timed in batches of about this long
BLOCK_SECONDS = 6e-3
SETTLE_SECONDS = 6e-3  # worker threads of the previous library spin that long at most
MIN_SAMPLES = 3
CALIBRATION_SCALING = 1.8


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: minimum and quartiles over all samples."""

    minimum: float
    q1: float
    median: float
    q3: float
    n_samples: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def pin(n_threads: int) -> list[int]:
    """Restrict this process to the first CPUs that it may use; platforms without it: no CPU."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    cpus = sorted(ALL_CPUS)[:n_threads]
    os.sched_setaffinity(0, cpus)
    return cpus


ALL_CPUS = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()


@contextmanager
def no_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleave(calls: Mapping[str, Call], seconds: float, *, n_threads: int) -> dict[str, Timing]:
    """Time every call for about `seconds`, in blocks that take turns.

    The first sample of a block meets the caches of the library before it and is dropped, unless
    the call is so slow that a block has one sample only.
    """
    seconds_per_call = {name: probe(call) for name, call in calls.items()}
    batch = {name: max(1, round(SAMPLE_SECONDS / s)) for name, s in seconds_per_call.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    spent = dict.fromkeys(calls, 0.0)
    order = list(calls)
    with no_collection():
        while pending := [n for n in order if spent[n] < seconds or len(samples[n]) < MIN_SAMPLES]:
            for name in pending:
                if n_threads > 1:
                    time.sleep(SETTLE_SECONDS)
                block = run_block(calls[name], batch[name])
                samples[name] += block[1:] or block
                spent[name] += sum(block) * batch[name]
            order.append(order.pop(0))
    return {name: summary(values) for name, values in samples.items()}


def probe(call: Call) -> float:
    """A rough time; the first call may build plans and is not counted."""
    call()
    start = time.perf_counter()
    call()
    return max(time.perf_counter() - start, 1e-7)


def run_block(call: Call, n_batch: int) -> list[float]:
    values = []
    repeat = range(n_batch)
    end = time.perf_counter() + BLOCK_SECONDS
    while True:
        start = time.perf_counter()
        for _ in repeat:
            call()
        stop = time.perf_counter()
        values.append((stop - start) / n_batch)
        if stop > end:
            return values


def summary(samples: list[float]) -> Timing:
    q1, median, q3 = np.quantile(samples, [0.25, 0.5, 0.75])
    return Timing(min(samples), float(q1), float(median), float(q3), len(samples))


def best_of(call: Call, seconds: float) -> float:
    """Seconds of the fastest call."""
    return interleave({"only": call}, seconds, n_threads=1)["only"].minimum


def thread_scaling(n_threads: int) -> float:
    """How many times more products `n_threads` finish than one: n_threads on an idle machine."""
    a = np.ones((384, 384), np.float32)

    def work(n_repeats: int = 24) -> None:
        out = np.empty_like(a)
        for _ in range(n_repeats):
            np.matmul(a, a, out=out)  # releases the GIL

    def all_threads() -> None:
        workers = [threading.Thread(target=work) for _ in range(n_threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return n_threads * best_of(work, 0.05) / best_of(all_threads, 0.05)
