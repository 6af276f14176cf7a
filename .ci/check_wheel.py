"""Gate: the wheel needs nothing but manylinux system libraries, and its module is below 12 MB."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

# Measured, MB: convolutions and pooling 2.7; with gates and all their gradients 6.2; with long and
# dynamic convolution and attention, for four dtypes and three clusters, 10.3.
MAX_MODULE_BYTES = 12_000_000


def complaints(wheel: Path) -> list[str]:
    found = []
    with zipfile.ZipFile(wheel) as archive:
        modules = [info for info in archive.infolist() if info.filename.endswith(".so")]
    if [Path(info.filename).name.split(".")[0] for info in modules] != ["_core"]:
        found.append(f"expected one module _core, found {[info.filename for info in modules]}")
    for info in modules:
        print(f"{info.filename}: {info.file_size / 1e6:.2f} MB")
        if info.file_size > MAX_MODULE_BYTES:
            found.append(f"{info.filename} is above {MAX_MODULE_BYTES / 1e6:.0f} MB")
    command = [sys.executable, "-m", "auditwheel", "show", "--json", str(wheel)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    audit = json.loads(run.stdout)
    print(audit["overall_tag"], "with the system's", *audit["versioned_symbols"])
    if not audit["overall_tag"].startswith("manylinux_"):
        found.append("auditwheel finds no manylinux tag for it")
    found += [f"it needs {name}" for name in audit["external_libs"]]
    return found


def main(wheel: Path) -> int:
    found = complaints(wheel)
    print(*found, f"{wheel.name}: {len(found)} complaints", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
