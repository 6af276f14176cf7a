"""One row per workload: set every library up, compare the results, time them in turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import swath
import timing
from peaks import Peaks
from peers import Peer, Prepared, Unsupported
from workload import Array, Workload, allowed_difference, arguments, find_function, make_arrays

CALL = "swath call"  # the function, beside "swath": the plan where there is one


@dataclass
class Row:
    """What was found out about a workload."""

    workload: Workload
    n_threads: int
    kernel: str
    floor: float = math.nan
    timings: dict[str, timing.Timing] = field(default_factory=dict)  # by library
    skipped: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)
    scaling: float | None = None  # of the calibration, the worse of before and after

    @property
    def seconds(self) -> float:
        return self.timings["swath"].minimum

    @property
    def call_seconds(self) -> float:
        """Of the function, which packs the weights in every call."""
        return self.timings.get(CALL, self.timings["swath"]).minimum

    @property
    def best_peer(self) -> tuple[str, float] | None:
        """Name and seconds of the quickest peer."""
        peers = {k: t.minimum for k, t in self.timings.items() if k not in ("swath", CALL)}
        return min(peers.items(), key=lambda item: item[1]) if peers else None

    @property
    def ratio(self) -> float | None:
        return self.best_peer[1] / self.seconds if self.best_peer else None

    @property
    def share_of_floor(self) -> float:
        return self.floor / self.seconds

    @property
    def counts(self) -> bool:
        """Whether the machine gave the threads that the row claims."""
        needed = timing.CALIBRATION_SCALING * self.n_threads / 2
        return self.scaling is None or self.scaling >= needed


def progress_bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True)


def prepare(
    workload: Workload, peers: Sequence[Peer], n_threads: int
) -> tuple[Row, dict[str, timing.Call]]:
    """Every call that can answer the workload; a result that differs from ours is not timed."""
    values = make_arrays(workload)
    ours, planned = workload.call(values), workload.plan_call(values)
    row = Row(workload, n_threads, kernel_of(workload, values))
    calls: dict[str, timing.Call] = {"swath": planned, CALL: ours} if planned else {"swath": ours}
    expected = np.array(ours(), np.float64)
    allowed = allowed_difference(workload, values, float(np.abs(expected).max(initial=0)))
    for peer in peers:
        if not workload.is_window and workload.op not in peer.compositions:
            row.skipped[peer.name] = "no such operation"
            continue
        peer.set_threads(n_threads)
        try:
            prepared = peer.prepare(workload, values)
        except Unsupported as reason:
            row.skipped[peer.name] = str(reason)
            continue
        if fault := difference(prepared, expected, allowed):
            row.wrong[peer.name] = fault
            continue
        row.checked.append(peer.name)
        calls[peer.name] = prepared.call
    return row, calls


def difference(prepared: Prepared, expected: Array, allowed: float) -> str | None:
    """None where the peer's result agrees with ours."""
    got = np.asarray(prepared.as_numpy(prepared.call()), np.float64)
    if got.shape != expected.shape:
        return f"shape {got.shape}, ours {expected.shape}"
    apart = float(np.abs(got - expected).max(initial=0))
    return None if apart <= allowed else f"differs by {apart:.1e}, allowed {allowed:.1e}"


def kernel_of(workload: Workload, values: dict[str, Array]) -> str:
    positional, named = arguments(values)
    function = find_function(workload.function)
    return str(swath.info.explain(function, *positional, **named, **workload.kwargs).kernel)


def check_once(workloads: Sequence[Workload], peers: Sequence[Peer], console: Console) -> list[Row]:
    """Run and compare without timing."""
    rows = []
    with progress_bar(console) as progress, swath.num_threads(1):
        task = progress.add_task("", total=len(workloads))
        for workload in workloads:
            progress.update(task, description=workload.name)
            rows.append(prepare(workload, peers, 1)[0])
            progress.advance(task)
    return rows


def run(
    workloads: Sequence[Workload],
    peers: Sequence[Peer],
    ceilings: Peaks,
    seconds: float,
    console: Console,
) -> list[Row]:
    n_threads = ceilings.n_threads
    timing.pin(n_threads)
    swath.set_num_threads(n_threads)
    rows = []
    with progress_bar(console) as progress:
        task = progress.add_task("", total=len(workloads))
        for workload in workloads:
            progress.update(task, description=workload.name)
            row, calls = prepare(workload, peers, n_threads)
            row.floor = ceilings.floor(workload.float32_flops, workload.n_bytes)
            before = timing.thread_scaling(n_threads) if n_threads > 1 else None
            row.timings = timing.interleave(calls, seconds, n_threads=n_threads)
            if before is not None:
                row.scaling = min(before, timing.thread_scaling(n_threads))
            rows.append(row)
            progress.advance(task)
    return rows


def exit_code(rows: Sequence[Row]) -> int:
    """1 if a peer disagrees or a workload fell to the reference kernel."""
    return int(any(row.wrong or "reference" in row.kernel for row in rows))
