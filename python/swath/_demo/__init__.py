"""Demos on real input; a new one is a module with ``run(files, output)`` and a line in DEMOS."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from swath._demo.failure import DemoFailure

__all__ = ["DEMOS", "DemoFailure", "run_demo"]

# name -> module, imported only when asked for: `import swath` needs none of the extras
DEMOS = {
    "photo": "swath._demo.photo",
    "inpaint": "swath._demo.inpaint",
    "reverb": "swath._demo.reverb",
    "patterns": "swath._demo.patterns",
    "denoise": "swath._demo.denoise",
}


def run_demo(name: str, files: Sequence[Path], output: Path) -> None:
    """Run the demo `name` on `files` (none: the built-in input) and write its picture to `output`.

    Raises
    ------
    DemoFailure
        With one line for the user: an unknown name, a missing package, an unreadable file, too
        many files, or a result outside its tolerance.
    """
    if name not in DEMOS:
        raise DemoFailure(f"no demo or file is called {name!r}; demos: {', '.join(DEMOS)}")
    importlib.import_module(DEMOS[name]).run(files, output)
