"""swath inside PyTorch: the functions with autograd, and layers.

Every function of `swath.grad` is here under the name of its forward: it takes and gives tensors, is
recorded by autograd, works under torch.func, torch.compile, torch.export and autocast, and runs on
as many threads as torch does. Relative tables of attention and what a ``k_norm`` does are
differentiated too; patterns for compiled code are best made outside of it. The layers are torch's
own with another forward, so that their arguments, initialisation and state dicts are torch's.
"""

from __future__ import annotations

from typing import Any

from swath.torch import _conv_modules, _sequence_modules
from swath.torch._functions import FUNCTIONS

_MODULES = {
    name: thing
    for source in (_conv_modules, _sequence_modules)
    for name, thing in vars(source).items()
    if isinstance(thing, type) and thing.__module__ == source.__name__ and name[0] != "_"
}
globals().update(FUNCTIONS)
globals().update(_MODULES)
__all__ = [*sorted(FUNCTIONS), *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"swath.torch has no {name!r}: functions are there if they have a gradient in swath.grad"
    )
