"""The libraries that swath is compared with; a module each, loaded only where installed."""

from __future__ import annotations

import importlib

from peers.base import Peer, Prepared, Unsupported

__all__ = ["Peer", "Prepared", "Unsupported", "installed"]

# class -> module; each module imports its library at the top
MODULES = {
    "TorchPlanar": "peers.torch_peer",
    "TorchChannelsLast": "peers.torch_peer",
    "TorchFlex": "peers.torch_flex",
    "OnnxRuntime": "peers.onnxruntime_peer",
    "OpenCV": "peers.opencv_peer",
    "SciPy": "peers.scipy_peer",
    "NumPy": "peers.numpy_peer",
    "Jax": "peers.jax_peer",
    "MklFft": "peers.mkl_fft_peer",
}


def installed() -> tuple[list[Peer], dict[str, str]]:
    """The peers of this environment, and the missing ones with the package they lack."""
    found: list[Peer] = []
    missing: dict[str, str] = {}
    for name, module in MODULES.items():
        try:
            found.append(getattr(importlib.import_module(module), name)())
        except ModuleNotFoundError as error:
            missing[name] = f"{error.name} is not installed"
        except ImportError as error:
            missing[name] = f"cannot be loaded: {error}"
    return found, missing
