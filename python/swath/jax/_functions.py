"""The functions of swath under jit, grad and vmap, each with a rule for its gradient.

While a program is traced the function runs once, on zeros. If that was one plan from arguments to
results, the compiled program holds the plan's number and runs it without Python; the few functions
that are more than one plan, and calls with integer arrays, call back into Python.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from swath import _core
from swath._rules import Rule, Template, rules
from swath.jax._handler import HAS_HANDLER, TARGET

RULES = rules()


class _Call:
    """A function and all its arguments but the arrays; equal calls share one compiled program."""

    def __init__(self, rule: Rule, template: Template) -> None:
        self.rule, self.template = rule, template
        self._key = pickle.dumps((rule.name, template.names, template.values))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self._key == other._key

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        return tuple(self.rule.run(self.template.fill(arrays)))

    def backward(
        self, arrays: Sequence[Any], results: Sequence[Any], cotangents: Sequence[Any],
        places: Sequence[int],
    ) -> tuple[Any, ...]:  # fmt: skip
        """Gradients of the arrays at `places`."""
        names = self.template.names
        needs = sorted({names[i] for i in places})
        kept = results if self.rule.outputs else ()
        used = cotangents
        if self.rule.cotangents != ("dys",):
            used = cotangents[: len(self.rule.cotangents)]
        found = self.rule.backward(self.template.fill(arrays), kept, used, needs)
        picked = self.template.pick(found, len(arrays))
        return tuple(picked[i] for i in places)

    def graded(self, arrays: Sequence[Any]) -> list[int]:
        return [
            i
            for i, (name, a) in enumerate(zip(self.template.names, arrays, strict=True))
            if name in self.rule.fields and jax.numpy.issubdtype(a.dtype, jax.numpy.floating)
        ]


@dataclass(frozen=True)
class _Run:
    """A call on NumPy arrays, or its backward on arguments, results and their cotangents."""

    call: _Call
    places: tuple[int, ...] = ()  # backward: of the arrays whose gradients it gives
    n_results: int = 0

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        if not self.places:
            return self.call.run(*given)
        n, m = len(self.call.template.names), self.n_results
        return self.call.backward(given[:n], given[n : n + m], given[n + m :], self.places)


class Program(NamedTuple):
    results: tuple[Any, ...]
    number: int | None  # of the recorded call


@functools.lru_cache(maxsize=1024)
def _program(run: _Run, types: tuple[tuple[tuple[int, ...], Any], ...]) -> Program:
    """Result types and, if it is one, the plan of a run on zeros."""
    zeros = [np.zeros(shape, dtype) for shape, dtype in types]
    found, number = _core.record(run, tuple(zeros))
    # 64-bit integers are 32-bit ones unless jax is told otherwise
    as_jax = jax.dtypes.canonicalize_dtype
    results = tuple(jax.ShapeDtypeStruct(y.shape, as_jax(y.dtype)) for y in found)
    is_exact = all(t.dtype == y.dtype for t, y in zip(results, found, strict=True))
    # values of integers may have shaped the plan
    is_plain = all(a.dtype.kind != "i" and a.size > 0 for a in (*zeros, *found))
    return Program(results, number if is_exact and is_plain and number >= 0 else None)


def _invoke(run: _Run, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The run as a part of the compiled program: its plan if there is one, or a callback."""
    program = _program(run, tuple((tuple(a.shape), np.dtype(a.dtype)) for a in arrays))
    if program.number is not None and HAS_HANDLER and jax.default_backend() == "cpu":
        call = jax.ffi.ffi_call(TARGET, program.results, vmap_method="sequential")
        return tuple(call(*arrays, id=np.int64(program.number)))

    def host(*given: Any) -> tuple[Any, ...]:
        found = run(*map(np.asarray, given))
        return tuple(np.asarray(y, t.dtype) for y, t in zip(found, program.results, strict=True))

    return tuple(jax.pure_callback(host, program.results, *arrays, vmap_method="sequential"))


@functools.lru_cache(maxsize=1024)
def _folded(call: _Call) -> Callable[..., tuple[Any, ...]]:
    """The call with a rule for vmap over x alone: the mapped axis joins the batch."""

    def invoke(*arrays: Any) -> tuple[Any, ...]:
        return _invoke(_Run(call), arrays)

    folded: Any = jax.custom_batching.custom_vmap(invoke)

    def rule(n: int, is_mapped: Sequence[bool], *arrays: Any) -> tuple[Any, Any]:
        if is_mapped[0] and not any(is_mapped[1:]):
            x = arrays[0]
            found = folded(x.reshape(-1, *x.shape[2:]), *arrays[1:])
            results = tuple(y.reshape(n, -1, *y.shape[1:]) for y in found)
        else:
            axes = tuple(0 if mapped else None for mapped in is_mapped)
            results = jax.vmap(invoke, axes, axis_size=n)(*arrays)
        return results, (True,) * len(results)

    folded.def_vmap(rule)
    return cast(Callable[..., tuple[Any, ...]], folded)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _apply(call: _Call, *arrays: Any) -> tuple[Any, ...]:
    shares = call.rule.shares_all_but_x(call.template.names)
    if shares and arrays[0].ndim == int(call.rule.name[-2]) + 2:
        return _folded(call)(*arrays)
    return _invoke(_Run(call), arrays)


def _forward(call: _Call, *given: Any) -> tuple[Any, Any]:
    arrays = [a.value for a in given]
    results = _apply(call, *arrays)
    places = [i for i in call.graded(arrays) if given[i].perturbed]
    return results, (arrays, results, _Places(tuple(places)))


@jax.tree_util.register_static
@dataclass(frozen=True)
class _Places:
    """Which arrays need a gradient."""

    places: tuple[int, ...]


def _backward(call: _Call, saved: Any, cotangents: tuple[Any, ...]) -> tuple[Any, ...]:
    arrays, results, needed = saved
    # a mask has no gradient, and jax gives none a dtype that arrays cannot have
    dense = [
        jax.numpy.zeros(y.shape, y.dtype) if _is_no_gradient(c) else c
        for c, y in zip(cotangents, results, strict=True)
    ]
    run = _Run(call, needed.places, len(results))
    found = iter(_invoke(run, (*arrays, *results, *dense)) if needed.places else ())
    return tuple(
        next(found) if i in needed.places else _no_gradient(a) for i, a in enumerate(arrays)
    )


def _is_no_gradient(cotangent: Any) -> bool:
    symbolic = isinstance(cotangent, jax.custom_derivatives.SymbolicZero)
    return symbolic or cotangent.dtype == jax.dtypes.float0


def _no_gradient(a: Any) -> Any:
    if jax.numpy.issubdtype(a.dtype, jax.numpy.floating):
        return jax.numpy.zeros(a.shape, a.dtype)
    return np.zeros(a.shape, jax.dtypes.float0)


_apply.defvjp(_forward, _backward, symbolic_zeros=True)


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array)


def _as_jax(value: Any) -> Any:
    """Float arrays of NumPy as arrays of jax, where that keeps their dtype."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_as_jax, value))
    if isinstance(value, np.ndarray) and jax.numpy.issubdtype(value.dtype, jax.numpy.floating):
        return jax.numpy.asarray(value) if _keeps_dtype(value) else value
    return value


def _keeps_dtype(array: Any) -> bool:
    return bool(jax.dtypes.canonicalize_dtype(array.dtype) == array.dtype)


def make_function(rule: Rule) -> Callable[..., Any]:
    """The rule's function for jax arrays."""

    @functools.wraps(rule.function)
    def function(*args: Any, **options: Any) -> Any:
        if options.get("out") is not None:
            raise TypeError(f"{rule.name}: out is given, but arrays of jax cannot be written into")
        values = rule.bind(args, options)
        # others, such as a mask, may set shapes and stay constants
        values.update({name: _as_jax(values[name]) for name in rule.fields if name in values})
        arrays: list[Any] = []
        call = _Call(rule, Template(values, _is_array, arrays))
        results = _apply(call, *arrays)
        return results if rule.asks_for_many(values) else results[0]

    function.__module__ = "swath.jax"
    return function


FUNCTIONS = {name: make_function(rule) for name, rule in RULES.items()}
