"""Times every workload of tests/cases beside the installed peers, in one process run.

python bench/run.py                                  # all families, swath alone
python bench/run.py sliding_conv --peers --html report.html
python bench/run.py sliding_conv --filter 'depthwise.*nhwc' --dtypes f32,bf16
python bench/run.py --sweep                          # 2000 random calls against the floor
python bench/run.py --smoothness                     # time per tap for k = 1..63
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

# one thread for the BLAS of NumPy and SciPy; read when they are first imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

from rich.console import Console

import load
import measure
import peaks
import report
import timing
from html_report import write_html
from peers import installed


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("family", nargs="*", help="operator names (default: all)")
    parser.add_argument("--peers", action="store_true", help="time the installed peers as well")
    parser.add_argument("--threads", default="1", help="thread counts, e.g. 1,2 (default: 1)")
    parser.add_argument("--dtypes", default="f32", help="of f32,f64,f16,bf16 (default: f32)")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only matching case names")
    parser.add_argument("--seconds", type=float, default=0.4, help="per case and library")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--html", type=Path, metavar="FILE")
    parser.add_argument("--small", action="store_true", help="tiny sizes, once: a check, no timing")
    parser.add_argument("--sweep", action="store_true", help="random calls against the floor")
    parser.add_argument("--smoothness", action="store_true", help="time per tap for k = 1..63")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    args = parse(argv)
    # a file or pipe has no width of its own; the table needs this much
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
    if args.sweep or args.smoothness:
        import smoothness
        import sweep

        timing.pin(1)
        return sweep.run(console) if args.sweep else smoothness.run(console)

    peers, missing = installed() if args.peers else ([], {})
    for name, reason in missing.items():
        console.print(f"skipped {name}: {reason}")
    workloads = [
        w
        for w in load.load(args.family, args.dtypes.split(","), is_small=args.small)
        if re.search(args.filter, w.name)
    ]
    if args.small:
        rows = measure.check_once(workloads, peers, console)
        report.print_checks(console, rows)
        return measure.exit_code(rows)

    timing.pin(1)
    with console.status("measuring the ceilings"):
        ceilings = peaks.measure()
    rows = []
    for n_threads in map(int, args.threads.split(",")):
        rows += measure.run(
            workloads, peers, peaks.scaled(ceilings, n_threads), args.seconds, console
        )
    report.print_table(console, rows)
    document = report.as_document(rows, ceilings, peers, missing)
    if args.json:
        report.write_json(args.json, document)
    if args.html:
        write_html(args.html, document)
    return measure.exit_code(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
