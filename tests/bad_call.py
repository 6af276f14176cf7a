"""What a wrong call is: what is called, which class answers, which argument the text names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

F32 = np.float32


@dataclass(frozen=True)
class BadCall:
    """`call` builds (args, kwargs); the error is of class `error` and names `arg`."""

    id: str
    function: str
    error: str
    arg: str
    call: Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]

    def __str__(self) -> str:
        return self.id


def ones(*shape: int, dtype: Any = F32) -> Any:
    return np.ones(shape, dtype)


def wrong(id_: str, function: str, error: str, arg: str, *args: Any, **kwargs: Any) -> BadCall:
    return BadCall(id_, function, error, arg, lambda: (args, kwargs))
