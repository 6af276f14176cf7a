"""The XLA handler that runs recorded calls, where swath was built beside jaxlib."""

from __future__ import annotations

import importlib
import warnings

import jax

TARGET = "swath_recorded_call"


def _register() -> bool:
    try:
        module = importlib.import_module("swath._jax")
    except ImportError as error:
        warnings.warn(
            f"swath.jax calls back into Python, hundreds of microseconds a call: {error}. "
            "Building swath where jaxlib is installed (SWATH_JAX=1 pip install ...) mends this.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    jax.ffi.register_ffi_target(TARGET, module.handler, platform="cpu")
    return True


HAS_HANDLER = _register()
