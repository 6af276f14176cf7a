"""What the directed cases call, for the tests of the adapters."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from cases import ALL_CASES

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


class _Recorder:
    """Stands in for the package and keeps what is called on it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        if name == "grad":
            return _Recorder()  # a gradient's case: nothing to keep

        def record(*args: Any, **options: Any) -> Any:
            self.calls.append((name, args, options))
            raise StopIteration  # the case wants a result

        return record


def recorded_calls(names: Sequence[str]) -> dict[str, Call]:
    """By the case's id: the calls of functions in `names`, on float32 arrays."""
    calls = {}
    for case in ALL_CASES:
        recorder = _Recorder()
        with contextlib.suppress(StopIteration, TypeError, AttributeError):
            case.run(recorder, case.inputs("f32"))
        if recorder.calls and recorder.calls[0][0] in names:
            calls[case.id] = recorder.calls[0]
    return calls
