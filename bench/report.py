"""The table on the terminal and the JSON document."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import swath
from measure import Row
from peaks import Peaks
from peers import Peer

SLOWER = 1.03  # less is noise


def print_table(console: Console, rows: Sequence[Row]) -> None:
    for n_threads in sorted({row.n_threads for row in rows}):
        table = Table(title=f"{n_threads} thread{'s' * (n_threads > 1)}", title_justify="left")
        for heading in ("case", "kernel"):
            table.add_column(heading, overflow="fold")
        for heading in ("swath us", "call us", "best peer us", "ratio", "GFLOP/s", "GB/s", "floor"):
            table.add_column(heading, justify="right")
        for row in rows:
            if row.n_threads == n_threads:
                table.add_row(*cells(row))
        console.print(table)
    print_notes(console, rows)


def cells(row: Row) -> tuple[str, ...]:
    best, ratio, kernel = row.best_peer, row.ratio, row.kernel
    for operator in swath.info.operators():  # said by the case already
        kernel = kernel.removeprefix(f"{operator}_")
    colour = "green" if ratio is not None and ratio >= 1 else "red"
    return (
        row.workload.name,
        kernel,
        f"{row.seconds * 1e6:.1f}",
        f"{row.call_seconds * 1e6:.1f}",
        f"{best[1] * 1e6:.1f} {best[0]}" if best else "-",
        f"[{colour}]{ratio:.2f}[/]" if ratio is not None else "-",
        f"{row.workload.flops / row.seconds / 1e9:.1f}",
        f"{row.workload.n_bytes / row.seconds / 1e9:.1f}",
        f"{row.share_of_floor:.0%}",
    )


def print_notes(console: Console, rows: Sequence[Row]) -> None:
    """What the numbers do not say: unfit machines, slow pairs of threads, wrong peers."""
    console.print(
        "swath: through a plan where there is one, as peers with packed weights are timed; call: "
        "the function;\nfloor: share of what the machine's copy speed and multiply-adds allow",
        style="dim",
    )
    one = {row.workload.name: row for row in rows if row.n_threads == 1}
    for row in rows:
        name = f"{row.workload.name} ({row.n_threads} threads)"
        if not row.counts:
            console.print(f"{name}: does not count, the calibration scaled {row.scaling:.2f}x")
        for peer, timed in row.timings.items():
            alone = one.get(row.workload.name)
            before = alone.timings.get(peer) if alone and row.n_threads > 1 else None
            if before and before.minimum * SLOWER < timed.minimum:
                console.print(f"{name}: {peer} is slower than with one thread")
        for peer, fault in row.wrong.items():
            console.print(f"[red]{row.workload.name}: {peer} {fault}[/]")
        if "reference" in row.kernel:
            console.print(f"[red]{row.workload.name}: served by {row.kernel}[/]")
    skipped: dict[tuple[str, str], int] = {}
    for row in rows:
        for item in row.skipped.items():
            skipped[item] = skipped.get(item, 0) + 1
    for (peer, reason), n in sorted(skipped.items()):
        console.print(f"skipped {peer} in {n} rows: {reason}", style="dim")


def print_checks(console: Console, rows: Sequence[Row]) -> None:
    table = Table("case", "kernel", "agrees with")
    for row in rows:
        table.add_row(row.workload.name, row.kernel, ", ".join(row.checked) or "-")
    console.print(table)
    print_notes(console, rows)


def as_document(
    rows: Sequence[Row], ceilings: Peaks, peers: Sequence[Peer], missing: Mapping[str, str]
) -> dict[str, Any]:
    """Everything measured, as plain data."""
    return {
        "machine": {
            "processor": processor(),
            "system": platform.platform(),
            "python": platform.python_version(),
            **{key: str(value) for key, value in swath.info.cpu().items()},
        },
        "versions": {"swath": swath.__version__, **{peer.name: peer.version for peer in peers}},
        "missing": dict(missing),
        "peaks": {"flops_per_second": ceilings.flops_per_second, "copy": list(ceilings.copy)},
        "rows": [row_document(row) for row in rows],
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def row_document(row: Row) -> dict[str, Any]:
    workload = row.workload
    best = row.best_peer
    return {
        "case": workload.name,
        "op": workload.op,
        "function": workload.function,
        "arrays": {name: [list(shape), dtype] for name, (shape, dtype) in workload.arrays.items()},
        "kwargs": {key: repr(value) for key, value in workload.kwargs.items()},
        "threads": row.n_threads,
        "kernel": row.kernel,
        "flops": workload.flops,
        "bytes": workload.n_bytes,
        "floor_seconds": row.floor,
        "share_of_floor": row.share_of_floor,
        "seconds": {name: timed.as_dict() for name, timed in row.timings.items()},
        "best_peer": best[0] if best else None,
        "ratio": row.ratio,
        "skipped": row.skipped,
        "wrong": row.wrong,
        "calibration_scaling": row.scaling,
        "counts": row.counts,
    }


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")
