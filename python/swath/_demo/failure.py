"""The one exception of the demos, and the import of optional packages that raises it."""

from __future__ import annotations

import importlib
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
