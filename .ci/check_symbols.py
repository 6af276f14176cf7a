"""Gate: no code of one instruction-set cluster can be linked into another, and operators use no
others than the manifest says.

    python .ci/check_symbols.py build/release

Looks at every object that was compiled with a cluster's flags. A weak symbol would let the linker
keep the wide cluster's copy for a caller of the narrow one, which no test on a new machine sees.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MAY_BE_UNDEFINED = {"memcpy", "memmove", "memset", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
WEAK = set("WwVvu")
FOLDER = re.compile(r"^swath_static_(\w+)\.dir$")


def cluster_objects(build: Path) -> Iterator[tuple[str, Path]]:
    """(cluster, object) of every file compiled with a cluster's flags."""
    for path in sorted(build.rglob("*.o")):
        for part in path.relative_to(build).parts:
            if match := FOLDER.match(part):
                yield match[1], path


def complaint(kind: str, name: str, cluster: str) -> str | None:
    """What is wrong with one symbol as nm lists it, or None."""
    own = re.match(rf"_ZNK?5swath{len(cluster)}{cluster}\d", name)
    if kind in WEAK:
        return "is weak"
    if kind == "U":
        return None if own or name in MAY_BE_UNDEFINED else "is undefined and not allowed"
    if kind.isupper() and not own:
        return f"is defined outside swath::{cluster}"
    return None


def demangled(name: str) -> str:
    run = subprocess.run(["c++filt", name], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def check(cluster: str, path: Path) -> list[str]:
    nm = subprocess.run(["nm", "-P", str(path)], capture_output=True, text=True, check=True)
    rows = (line.split()[:2] for line in nm.stdout.splitlines())
    return [
        f"{path}: {demangled(name)} ({kind}) {text}"
        for name, kind in rows
        if (text := complaint(kind, name, cluster))
    ]


def manifest(root: Path) -> dict[str, set[str]]:
    """Each operator with all that it is composed of, as ops.def says."""
    lines = re.findall(r"^SWATH_OPERATOR\(([^)]*)\)", (root / "cpp/ops/ops.def").read_text(), re.M)
    direct = {}
    for line in lines:
        name, *needed = (part.strip() for part in line.split(","))
        direct[name] = set(needed)
    closed = {}
    for name in direct:
        found, unseen = {name}, [name]
        while unseen:
            more = direct[unseen.pop()] - found
            found |= more
            unseen += more
        closed[name] = found
    return closed


def symbols(path: Path, defined: bool) -> set[str]:
    kind = "--defined-only" if defined else "--undefined-only"
    nm = subprocess.run(["nm", "-P", "-g", kind, path], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in nm.stdout.splitlines()}


def missing_operators(build: Path) -> list[str]:
    """Operators that use another one without ops.def saying so: they would not link alone."""
    needs = manifest(Path(__file__).resolve().parents[1])
    folder = build / "cpp/CMakeFiles/swath_objects.dir/ops"
    owners = {
        symbol: name
        for name in needs
        for path in (folder / name).glob("*.o")
        for symbol in symbols(path, defined=True)
    }
    return [
        f"{path}: uses {demangled(symbol)} of {owners[symbol]}, which ops.def does not name"
        for name in needs
        for path in sorted((folder / name).glob("*.o"))
        for symbol in sorted(symbols(path, defined=False))
        if symbol in owners and owners[symbol] not in needs[name]
    ]


def main(build: Path) -> int:
    objects = list(cluster_objects(build))
    if not objects:
        print(f"no cluster object below {build}")
        return 1
    complaints = [text for cluster, path in objects for text in check(cluster, path)]
    complaints += missing_operators(build)
    print(*complaints, f"{len(objects)} objects, {len(complaints)} complaints", sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
