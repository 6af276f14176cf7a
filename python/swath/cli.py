"""The command line: ``python -m swath info`` and ``python -m swath demo [name] [file]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import swath
from swath._demo import DEMOS, DemoFailure, run_demo


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m swath", description=swath.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    demo = commands.add_parser("demo", help="run an operator family on real input")
    demo.add_argument(
        "name", nargs="?", default="photo", help=f"one of: {', '.join(DEMOS)} (default: photo)"
    )
    demo.add_argument(
        "files", nargs="*", type=Path, help="input to use instead of the built-in one"
    )
    demo.add_argument(
        "--output", type=Path, default=Path("swath-demo.png"), help="the PNG sheet to write"
    )

    commands.add_parser("info", help="show operators, kernels, processor and build")
    return parser


def info_text() -> str:
    """What ``python -m swath info`` prints; plain text, so that it needs no extra package."""
    sections: list[tuple[str, list[tuple[str, str]]]] = [
        ("processor", pairs(swath.info.cpu())),
        ("build", pairs(swath.info.build())),
        (
            "operators",
            [(op, kernel_count(len(swath.info.kernels(op)))) for op in swath.info.operators()],
        ),
    ]
    width = max(len(key) for _, rows in sections for key, _ in rows)
    lines: list[str] = []
    for title, rows in sections:
        lines += [title, *(f"  {key:<{width}}  {value}" for key, value in rows), ""]
    return "\n".join(lines)


def kernel_count(n: int) -> str:
    return f"{n} kernels" if n else "runs on the kernels of other operators"


def pairs(table: Mapping[str, object]) -> list[tuple[str, str]]:
    """One row per entry; a list of words is joined, so no quotes and brackets are shown."""
    return [
        (key, ", ".join(map(str, value)) if isinstance(value, (list, tuple, set)) else str(value))
        for key, value in table.items()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.command == "info":
        sys.stdout.write(info_text())
        return 0
    name, files = args.name, args.files
    if name not in DEMOS and not files and Path(name).is_file():
        name, files = "photo", [Path(name)]  # `demo picture.jpg`: the name may be left out
    try:
        run_demo(name, files, args.output)
    except DemoFailure as failure:
        sys.stderr.write(f"swath demo: {failure}\n")
        return 1
    return 0
