"""What the adapters know of each function: which arguments have gradients, and from what.

Nothing is listed by hand: a function of `swath.grad` is the rule of the function of its name.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import swath
import swath.grad
import swath.kernels
from swath.patterns import RelativeTable

_WINDOWS = ("conv", "conv_transpose", "gated_conv", "avg_pool", "max_pool")
_SHARED = frozenset(("weight", "bias", "scale", "shift"))


@dataclass(frozen=True)
class Rule:
    """A function with a backward.

    Attributes
    ----------
    parameters : names of the function's parameters, in order
    fields : the parameters that have gradients, in the order of the backward's results
    cotangents : the backward's names of the gradients of the results: dy, or do and dlse, ...
    outputs : results of the function that the backward takes as well
    """

    name: str
    function: Callable[..., Any]
    gradient: Callable[..., Any]
    parameters: tuple[str, ...]
    fields: tuple[str, ...]
    cotangents: tuple[str, ...]
    outputs: tuple[str, ...]
    backward_parameters: frozenset[str]
    gives_many: bool | None  # results are a tuple or list; None: if the call asks for it

    def shares_all_but_x(self, names: Sequence[str]) -> bool:
        """Whether samples of x are rows of their own for these arrays: none goes with a sample."""
        stem = self.name[:-2]
        return stem in _WINDOWS and names[0] == "x" and set(names[1:]) <= _SHARED

    def asks_for_many(self, values: Mapping[str, Any]) -> bool:
        """Whether the call gives more than one result."""
        return bool(values.get("return_lse")) if self.gives_many is None else self.gives_many

    def run(self, values: Mapping[str, Any]) -> list[Any]:
        """The function's results, with those that only the backward needs."""
        more = {"return_lse": True} if self.gives_many is None else {}
        found = self.function(**{**values, **more})
        return list(found) if isinstance(found, (tuple, list)) else [found]

    def bind(self, args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name."""
        values = dict(zip(self.parameters, args, strict=False))
        n_given = len(values) + len(options)
        values.update(options)
        if len(args) > len(self.parameters) or len(values) != n_given:
            inspect.signature(self.function).bind(*args, **options)  # raises the usual TypeError
        if callable(values.get("k_norm")):  # its own gradient is the library's to take
            values["k"] = values["k_norm"](values["k"])
            values["k_norm"] = as_given
        return values

    def backward(
        self,
        values: Mapping[str, Any],
        results: Sequence[Any],
        cotangents: Sequence[Any],
        needs: Sequence[str],
    ) -> dict[str, Any]:
        """The gradients of the parameters in `needs`, by name.

        ``results`` are what the function gave, ``cotangents`` their gradients; a list that the
        function gave counts as its elements.
        """
        given = {k: v for k, v in values.items() if k in self.backward_parameters}
        given.update(zip(self.outputs, results, strict=False))
        if self.cotangents == ("dys",):
            given["dys"] = list(cotangents)
        else:
            given.update(zip(self.cotangents, cotangents, strict=False))
        if "needs" in self.backward_parameters:
            given["needs"] = tuple(needs)
        found = self.gradient(**given)
        if len(self.fields) == 1 and not hasattr(found, "_fields"):
            return {self.fields[0]: found}
        return dict(zip(self.fields, found, strict=True))


def rules() -> dict[str, Rule]:
    """The rules of all functions that have a backward, by name."""
    found = {name: _rule(name) for name in swath.grad.__all__}
    return {name: rule for name, rule in found.items() if rule is not None}


def _rule(name: str) -> Rule | None:
    """None for a name that is no function's: the gradients' types."""
    function = getattr(swath, name, getattr(swath.kernels, name, None))
    if function is None:
        return None
    gradient = getattr(swath.grad, name)
    parameters = tuple(inspect.signature(function).parameters)
    backward = tuple(inspect.signature(gradient).parameters)
    cotangents = tuple(p for p in backward if p.startswith("d") and p not in parameters)
    outputs = tuple(
        p for p in backward if p not in parameters and p not in cotangents and p != "needs"
    )
    result = typing.get_type_hints(gradient).get("return")
    fields = tuple(field.removeprefix("d") for field in getattr(result, "_fields", ()))
    if not fields:  # a list of gradients, in the shape of the one array argument
        fields = tuple(p for p in backward if p in parameters)[:1]
    many = None if "return_lse" in parameters else _is_many(function)
    return Rule(
        name, function, gradient, parameters, fields, cotangents, outputs, frozenset(backward), many
    )


def _is_many(function: Callable[..., Any]) -> bool:
    result = typing.get_type_hints(function).get("return")
    kind = typing.get_origin(result) or result
    return isinstance(kind, type) and issubclass(kind, (tuple, list))


def as_given(k: Any) -> Any:
    """The k_norm of keys that went through theirs."""
    return k


class _TableParts(NamedTuple):
    """A relative table with its array taken out."""

    table: Any
    order: str


_HOLE = "\0"  # then the number of the array that was here; a plain string, so that it can be traced


class Template:
    """Arguments with the arrays taken out, so that they can travel apart from the rest.

    Arrays may be arguments, or elements of arguments that are tuples or lists of any depth, or in
    relative tables.
    """

    def __init__(
        self, values: Mapping[str, Any], is_array: Callable[[Any], bool], arrays: list[Any]
    ) -> None:
        self.names: list[str] = []  # the argument that each array belongs to

        def strip(value: Any, name: str) -> Any:
            if is_array(value):
                arrays.append(value)
                self.names.append(name)
                return f"{_HOLE}{len(arrays) - 1}"
            if type(value) is tuple:
                return tuple([strip(item, name) for item in value])
            if type(value) is list:
                return [strip(item, name) for item in value]
            if isinstance(value, RelativeTable):
                return _TableParts(strip(value.table, name), value.order)
            return value

        self.values = {name: strip(value, name) for name, value in values.items()}

    def fill(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """The arguments with `arrays` put back."""

        def put(value: Any) -> Any:
            if type(value) is str and value.startswith(_HOLE):
                return arrays[int(value[1:])]
            if type(value) in (tuple, list):
                return type(value)(put(item) for item in value)
            if type(value) is _TableParts:
                return RelativeTable(put(value.table), value.order)
            return value

        return {name: put(value) for name, value in self.values.items()}

    def pick(self, gradients: Mapping[str, Any], n: int) -> list[Any]:
        """What `gradients`, by argument and of its shape, holds in the place of each array."""
        found: list[Any] = [None] * n

        def collect(value: Any, gradient: Any) -> None:
            if gradient is None:
                return
            if type(value) is str and value.startswith(_HOLE):
                found[int(value[1:])] = gradient
            elif type(value) in (tuple, list):
                # options may follow the arrays: extra keys end in "all" or "grid"
                for item, part in zip(value, gradient, strict=False):
                    collect(item, part)
            elif type(value) is _TableParts:
                collect(value.table, gradient)

        for name, gradient in gradients.items():
            if name in self.values:
                collect(self.values[name], gradient)
        return found
