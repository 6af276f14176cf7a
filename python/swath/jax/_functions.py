"""The functions of swath under jit, grad and vmap: callbacks with a rule for their gradient."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from swath._rules import Rule, Template, rules

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
        self, arrays: Sequence[Any], results: Sequence[Any], cotangents: Sequence[Any]
    ) -> tuple[Any, ...]:
        """Gradients of the float arrays that have one, in their order."""
        names = self.template.names
        needs = sorted({names[i] for i in self.graded(arrays)})
        kept = results if self.rule.outputs else ()
        used = cotangents
        if self.rule.cotangents != ("dys",):
            used = cotangents[: len(self.rule.cotangents)]
        found = self.rule.backward(self.template.fill(arrays), kept, used, needs)
        picked = self.template.pick(found, len(arrays))
        return tuple(picked[i] for i in self.graded(arrays))

    def graded(self, arrays: Sequence[Any]) -> list[int]:
        return [
            i
            for i, (name, a) in enumerate(zip(self.template.names, arrays, strict=True))
            if name in self.rule.fields and jax.numpy.issubdtype(a.dtype, jax.numpy.floating)
        ]


@functools.lru_cache(maxsize=1024)
def _result_types(call: _Call, types: tuple[tuple[tuple[int, ...], Any], ...]) -> tuple[Any, ...]:
    """Shapes and dtypes of the results: those of a run on zeros without memory."""
    zeros = [np.broadcast_to(np.zeros((), dtype), shape) for shape, dtype in types]
    # 64-bit integers are 32-bit ones unless jax is told otherwise
    as_jax = jax.dtypes.canonicalize_dtype
    return tuple(jax.ShapeDtypeStruct(y.shape, as_jax(y.dtype)) for y in call.run(*zeros))


def _types(arrays: Sequence[Any]) -> tuple[tuple[tuple[int, ...], Any], ...]:
    return tuple((tuple(a.shape), np.dtype(a.dtype)) for a in arrays)


def _callback(
    run: Callable[..., tuple[Any, ...]], types: Sequence[Any], ranks: Sequence[int], fold: bool,
    arrays: Sequence[Any],
) -> tuple[Any, ...]:  # fmt: skip
    """`run` as a function of the compiled program, with its rule for vmap."""

    def host(*given: Any) -> tuple[Any, ...]:
        plain = [np.asarray(a) for a in given]
        n_mapped = plain[0].ndim - ranks[0] if plain else 0
        results = _over_rows(run, plain, n_mapped, fold) if n_mapped else run(*plain)
        return tuple(np.asarray(y, t.dtype) for y, t in zip(results, types, strict=True))

    return tuple(jax.pure_callback(host, tuple(types), *arrays, vmap_method="expand_dims"))


def _over_rows(
    run: Callable[..., tuple[Any, ...]], arrays: list[Any], n_mapped: int,
    fold: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """`run` for each index of the leading axes, which have extent 1 where an array has no map."""
    lead = np.broadcast_shapes(*(a.shape[:n_mapped] for a in arrays))
    shared = [a.shape[:n_mapped] == (1,) * n_mapped for a in arrays]
    if fold and not shared[0] and all(shared[1:]) and arrays[0].shape[:n_mapped] == lead:
        x = arrays[0]
        rest = [a.reshape(a.shape[n_mapped:]) for a in arrays[1:]]
        found = run(x.reshape(-1, *x.shape[n_mapped + 1 :]), *rest)
        return tuple(y.reshape(*lead, -1, *y.shape[1:]) for y in found)
    full = [np.broadcast_to(a, lead + a.shape[n_mapped:]) for a in arrays]
    rows = [run(*(a[index] for a in full)) for index in np.ndindex(*lead)]
    stacked = (np.stack([np.asarray(y) for y in part]) for part in zip(*rows, strict=True))
    return tuple(y.reshape(*lead, *y.shape[1:]) for y in stacked)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _apply(call: _Call, *arrays: Any) -> tuple[Any, ...]:
    types = _result_types(call, _types(arrays))
    shares = call.rule.shares_all_but_x(call.template.names)
    fold = shares and arrays[0].ndim == int(call.rule.name[-2]) + 2
    return _callback(call.run, types, [a.ndim for a in arrays], fold, arrays)


def _forward(call: _Call, *arrays: Any) -> tuple[Any, Any]:
    results = _apply(call, *arrays)
    return results, (arrays, results)


def _backward(call: _Call, saved: Any, cotangents: tuple[Any, ...]) -> tuple[Any, ...]:
    arrays, results = saved
    places = call.graded(arrays)
    n, m = len(arrays), len(results)
    # a mask has no gradient, and jax gives none a dtype that arrays cannot have
    dense = [
        jax.numpy.zeros(y.shape, y.dtype) if c.dtype == jax.dtypes.float0 else c
        for c, y in zip(cotangents, results, strict=True)
    ]

    def run(*given: Any) -> tuple[Any, ...]:
        return call.backward(given[:n], given[n : n + m], given[n + m :])

    given = (*arrays, *results, *dense)
    types = [jax.ShapeDtypeStruct(arrays[i].shape, arrays[i].dtype) for i in places]
    found = iter(_callback(run, types, [a.ndim for a in given], False, given) if places else ())
    return tuple(next(found) if i in places else _no_gradient(a) for i, a in enumerate(arrays))


def _no_gradient(a: Any) -> Any:
    if jax.numpy.issubdtype(a.dtype, jax.numpy.floating):
        return jax.numpy.zeros(a.shape, a.dtype)
    return np.zeros(a.shape, jax.dtypes.float0)


_apply.defvjp(_forward, _backward)


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array)


def make_function(rule: Rule) -> Callable[..., Any]:
    """The rule's function for jax arrays."""

    @functools.wraps(rule.function)
    def function(*args: Any, **options: Any) -> Any:
        if options.get("out") is not None:
            raise TypeError(f"{rule.name}: out is given, but arrays of jax cannot be written into")
        values = rule.bind(args, options)
        arrays: list[Any] = []
        call = _Call(rule, Template(values, _is_array, arrays))
        results = _apply(call, *arrays)
        return results if rule.asks_for_many(values) else results[0]

    function.__module__ = "swath.jax"
    return function


FUNCTIONS = {name: make_function(rule) for name, rule in RULES.items()}
