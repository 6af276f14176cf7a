"""The one exception of the demos, and what raises it: optional packages, too many files."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class DemoFailure(Exception):
    """Ends a demo; its text is one line for the user."""


def optional(module: str) -> Any:
    """Import a module of the extra ``demo``, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise DemoFailure(
            f"needs the package {error.name}; install the demo's packages with: "
            "pip install 'swath[demo]'"
        ) from None


def one_file(files: Sequence[Path]) -> Path | None:
    """The file of a demo that takes at most one."""
    if len(files) > 1:
        raise DemoFailure(
            f"this demo takes one file, not {len(files)}: {', '.join(map(str, files))}"
        )
    return files[0] if files else None
