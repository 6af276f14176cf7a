"""Gate: a source file above 800 lines fails; one above 400 is listed, to be split or justified.

A stub is as long as its module has names, so stubs are not counted.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LISTED, FORBIDDEN = 400, 800
SUFFIXES = {".cc", ".cmake", ".cu", ".def", ".h", ".hpp", ".md", ".py", ".sh", ".txt", ""}


def tracked_files(root: Path) -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return [root / name for name in run.stdout.split("\0") if name]


def main(root: Path) -> int:
    too_long = 0
    for path in tracked_files(root):
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        if n_lines > LISTED:
            too_long += n_lines > FORBIDDEN
            verdict = "too long" if n_lines > FORBIDDEN else "long"
            print(f"{path.relative_to(root)}: {n_lines} lines, {verdict}")
    print(f"{too_long} files above {FORBIDDEN} lines")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
