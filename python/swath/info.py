"""What this build has, what this machine can run, and why a call runs as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swath import _core


@dataclass(frozen=True)
class Explanation:
    """How one call would be served.

    Attributes
    ----------
    op : name of the function that was called
    kernel : name of the kernel of its costliest step
    candidates : (kernel, reason) of all kernels for the dtype, best first; the chosen one has ""
    copies : the arguments that had to be copied, each with the reason
    flops, bytes : floating-point operations, and bytes of all arrays
    workspace_bytes : scratch memory, all threads together
    """

    op: str
    kernel: str
    candidates: list[tuple[str, str]]
    copies: list[str]
    flops: int
    bytes: int
    workspace_bytes: int

    def __str__(self) -> str:
        lines = [
            f"{self.op} -> {self.kernel}",
            f"  work       {self.flops:,} flop, {self.bytes:,} bytes",
            f"  workspace  {self.workspace_bytes:,} bytes",
            *(f"  copied     {text}" for text in self.copies),
        ]
        width = max((len(name) for name, _ in self.candidates), default=0)
        for name, reason in self.candidates:
            lines.append(f"  {name:<{width}}  {reason or 'chosen'}")
        return "\n".join(lines)


def operators() -> list[str]:
    """Return the names of the operators in this build.

    Examples
    --------
    >>> import swath
    >>> "sliding_conv" in swath.info.operators()
    True
    """
    return _core.operators()


def kernels(op: str) -> list[str]:
    """Return the kernels of an operator that this machine can run, best first.

    Raises
    ------
    ParamError
        If this build has no such operator.
    """
    return _core.kernels(op)


def explain(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Explanation:
    """Plan the call ``fn(*args, **kwargs)`` without running it and say how it would be served.

    ``fn`` is a function or a plan of this package; nothing is computed or written.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, weight = np.ones((1, 1, 8, 8), np.float32), np.ones((1, 1, 3, 3), np.float32)
    >>> swath.info.explain(swath.conv2d, x, weight).op
    'conv2d'
    """
    return Explanation(**_core.explain(fn, args, kwargs))


def cpu() -> dict[str, Any]:
    """Return facts about the processor: features, usable instruction sets, threads."""
    return _core.cpu()


def build() -> dict[str, Any]:
    """Return facts about this build: version, compiler, instruction sets, CUDA."""
    return _core.build()
