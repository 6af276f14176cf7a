"""swath inside JAX: the functions under jit, grad and vmap.

Every function of `swath.grad` is here under the name of its forward: it takes and gives jax arrays
and has a vector-Jacobian product.
"""

from __future__ import annotations

from typing import Any

from swath.jax._functions import FUNCTIONS

globals().update(FUNCTIONS)
__all__ = sorted(FUNCTIONS)


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"swath.jax has no {name!r}: functions are there if they have a gradient in swath.grad"
    )
