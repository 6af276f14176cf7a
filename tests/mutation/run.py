"""Breaks one line of a kernel at a time and expects the quick tests to notice.

    python tests/mutation/run.py [--only TEXT] [--keep FOLDER] [--jobs 2]

The tree is copied, built once, and then, mutation by mutation, changed, rebuilt in part and tested.
Prints the survivors and the kill rate; exits 1 if it is below --least.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUICK = [
    "test_matches_oracle.py",
    "test_determinism.py",
    "test_out.py",
    "test_bad_input.py",
    "test_grad_pooling.py",
    "test_long_conv2d.py",
    "test_long_bits.py",
    "test_long_plans.py",
    "test_dynamic_stream.py",
]
NO_TESTS = 5  # pytest's exit code
BUILD_SECONDS, TEST_SECONDS = 900, 900


@dataclass(frozen=True)
class Mutation:
    """Replace the only occurrence of `find` in `file`."""

    file: str
    find: str
    replace: str
    note: str
    tests: str = ""  # pytest -k, where one operator's tests suffice

    def __str__(self) -> str:
        return f"{self.file}: {self.note}"


def load(path: Path) -> list[Mutation]:
    """The list, after checking that each text is there exactly once."""
    mutations = [Mutation(**entry) for entry in tomllib.loads(path.read_text())["mutation"]]
    stale = [m for m in mutations if _occurrences(m) != 1]
    if stale:
        lines = "\n".join(f"  {m}" for m in stale)
        raise SystemExit(f"the text to replace must occur exactly once; it does not in\n{lines}")
    return mutations


def _occurrences(mutation: Mutation) -> int:
    path = ROOT / mutation.file
    return path.read_text().count(mutation.find) if path.exists() else 0


class Sandbox:
    """A copy of the tree with its own build folder."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.tree, self.build = folder / "tree", folder / "build"
        self.package, self.jobs = folder / "package", jobs
        ignore = shutil.ignore_patterns(".git", "build", ".venv", "*.so", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, self.tree, ignore=ignore, dirs_exist_ok=True)

    def configure(self) -> None:
        options = [
            "-DCMAKE_BUILD_TYPE=Release",
            "-DSWATH_BUILD_PYTHON=ON",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={_pybind11_folder()}",
        ]
        command = ["cmake", "-G", "Ninja", "-S", str(self.tree), "-B", str(self.build), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def rebuild(self) -> bool:
        """Whether it compiled; the module is put beside the Python sources."""
        command = ["cmake", "--build", str(self.build), "--target", "_core", "-j", str(self.jobs)]
        if subprocess.run(command, capture_output=True, timeout=BUILD_SECONDS).returncode:
            return False
        (module,) = self.build.rglob("_core*.so")
        shutil.copy2(module, self.tree / "python" / "swath")
        return True

    def passes(self, only: str) -> bool:
        """Whether the quick tests pass. A crash or a hang is a failure, as it should be."""
        tests = [str(self.tree / "tests" / name) for name in QUICK]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", str(self.jobs), *tests]
        paths = os.pathsep.join([str(self.tree / "python"), os.environ.get("PYTHONPATH", "")])
        try:
            run = subprocess.run(
                command + (["-k", only] if only else []),
                cwd=self.tree,
                capture_output=True,
                env={**os.environ, "PYTHONPATH": paths},
                timeout=TEST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False
        if run.returncode == NO_TESTS:
            raise ValueError(f"no quick test matches {only!r}")
        return run.returncode == 0

    @contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        path = self.tree / mutation.file
        original = path.read_text()
        path.write_text(original.replace(mutation.find, mutation.replace))
        try:
            yield
        finally:
            path.write_text(original)


def _pybind11_folder() -> str:
    import pybind11

    return pybind11.get_cmake_dir()


def judge(sandbox: Sandbox, mutation: Mutation) -> str:
    """Killed, survived, or "does not compile", which says nothing about the tests."""
    with sandbox.mutated(mutation):
        if not sandbox.rebuild():
            return "does not compile"
        return "survived" if sandbox.passes(mutation.tests) else "killed"


def run(console: Console, mutations: list[Mutation], folder: Path, jobs: int) -> float:
    """The kill rate over the mutations."""
    sandbox = Sandbox(folder, jobs)
    sandbox.configure()
    if not sandbox.rebuild() or not sandbox.passes(""):
        raise SystemExit("the tree must build and pass before it is mutated")
    verdicts = {}
    for mutation in track(mutations, "mutations", console=console):
        verdicts[mutation] = judge(sandbox, mutation)
        if verdicts[mutation] != "killed":
            console.print(f"{verdicts[mutation]}: {mutation}")
    n_valid = sum(v != "does not compile" for v in verdicts.values())
    n_killed = sum(v == "killed" for v in verdicts.values())
    rate = n_killed / max(n_valid, 1)
    console.print(f"{n_killed} of {n_valid} mutations killed: {100 * rate:.1f} %")
    return rate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutations whose file or note holds this text")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=float, default=0.95, help="the kill rate that is expected")
    options = parser.parse_args()
    mutations = [m for m in load(HERE / "mutations.toml") if options.only in str(m)]
    console = Console()
    if options.keep:
        return int(run(console, mutations, options.keep, options.jobs) < options.least)
    with tempfile.TemporaryDirectory() as folder:
        return int(run(console, mutations, Path(folder), options.jobs) < options.least)


if __name__ == "__main__":
    sys.exit(main())
