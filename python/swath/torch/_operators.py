"""Custom operators: what torch.compile and torch.export put into their graphs.

A graph holds tensors and plain constants, so an operator takes the arrays of a call and all other
arguments as one string.
"""

from __future__ import annotations

import base64
import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import unset_fake_temporarily

from swath._rules import Rule, Template, rules

_FORWARD = "(Tensor[] arrays, str call) -> Tensor[]"
_BACKWARD = (
    "(Tensor[] cotangents, Tensor[] arrays, Tensor[] results, str call, bool[] wanted) -> Tensor[]"
)


def is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def plain_tensors(tensors: Sequence[Any]) -> list[Any]:
    """The tensors without their history."""
    return [t.detach() if t.requires_grad else t for t in tensors]


def gradients(
    rule: Rule,
    template: Template,
    tensors: Sequence[Any],
    results: Sequence[Any],
    cotangents: Sequence[Any],
    wanted: Sequence[bool],
) -> list[Any]:
    """The gradient of each tensor that is wanted and has one, None for the others."""
    needs = {name for name, want in zip(template.names, wanted, strict=True) if want}
    needs &= set(rule.fields)
    if not needs:
        return [None] * len(tensors)
    values = template.fill(plain_tensors(tensors))
    found = rule.backward(values, plain_tensors(results), plain_tensors(cotangents), sorted(needs))
    grads = template.pick(found, len(tensors))
    return [g if want else None for g, want in zip(grads, wanted, strict=True)]


def _encode(values: Mapping[str, Any], names: Sequence[str]) -> str:
    return base64.b64encode(pickle.dumps((values, names))).decode()


# torch.compiler.assume_constant_result does this, after importing the compiler for two seconds
_encode._dynamo_marked_constant = True  # type: ignore[attr-defined]


class _Decoder(pickle.Unpickler):
    """Reads patterns, arrays of NumPy and plain values only: exported programs come from files."""

    def find_class(self, module: str, name: str) -> Any:
        of_numpy = module.split(".")[0] == "numpy" and name in ("ndarray", "dtype", "_reconstruct")
        if of_numpy or module.startswith("swath.patterns."):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"a call of swath holds {module}.{name}, which it never does")


def _decode(text: str) -> Template:
    template = Template({}, is_tensor, [])
    template.values, template.names = _Decoder(io.BytesIO(base64.b64decode(text))).load()
    return template


def call_operator(rule: Rule, values: Mapping[str, Any]) -> Any:
    """The call as an operator of the graph that is being traced."""
    tensors: list[Any] = []
    template = Template(values, is_tensor, tensors)
    results = OPERATORS[rule.name](tensors, _encode(template.values, template.names))
    return tuple(results) if rule.asks_for_many(values) else results[0]


def _define(rule: Rule) -> Any:
    """Registers the rule's two operators; each has its shapes from a run on zeros."""

    def forward(arrays: Sequence[Any], call: str) -> list[Any]:
        return rule.run(_decode(call).fill(plain_tensors(arrays)))

    def backward(
        cotangents: Sequence[Any],
        arrays: Sequence[Any],
        results: Sequence[Any],
        call: str,
        wanted: Sequence[bool],
    ) -> list[Any]:
        found = gradients(rule, _decode(call), arrays, results, cotangents, wanted)
        return [g for g in found if g is not None]

    def fake_forward(arrays: Sequence[Any], call: str) -> list[Any]:
        with unset_fake_temporarily():
            zeros = [_zeros(a) for a in arrays]
            shapes = [(tuple(y.shape), y.dtype) for y in rule.run(_decode(call).fill(zeros))]
        return [arrays[0].new_empty(shape, dtype=dtype) for shape, dtype in shapes]

    def fake_backward(
        _: Sequence[Any],
        arrays: Sequence[Any],
        __: Sequence[Any],
        call: str,
        wanted: Sequence[bool],
    ) -> list[Any]:
        return [torch.empty_like(arrays[i]) for i in graded(rule, _decode(call), wanted)]

    operator = torch.library.custom_op(
        f"swath::{rule.name}", forward, mutates_args=(), schema=_FORWARD
    )
    operator.register_fake(fake_forward)
    reverse = torch.library.custom_op(
        f"swath::{rule.name}_backward", backward, mutates_args=(), schema=_BACKWARD
    )
    reverse.register_fake(fake_backward)

    def setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        arrays, ctx.call = inputs
        ctx.n_inputs = len(arrays)
        ctx.wanted = [a.requires_grad for a in arrays]
        ctx.save_for_backward(*arrays, *output)

    def differentiate(ctx: Any, grads: Sequence[Any]) -> tuple[Any, None]:
        arrays, results = ctx.saved_tensors[: ctx.n_inputs], ctx.saved_tensors[ctx.n_inputs :]
        dense = [
            torch.zeros_like(y) if g is None else g for g, y in zip(grads, results, strict=True)
        ]
        kept = results if rule.outputs else ()
        found = iter(reverse(dense, arrays, kept, ctx.call, ctx.wanted))
        places = set(graded(rule, _decode(ctx.call), ctx.wanted))
        return [next(found) if i in places else None for i in range(ctx.n_inputs)], None

    operator.register_autograd(differentiate, setup_context=setup)
    return operator


def graded(rule: Rule, template: Template, wanted: Sequence[bool]) -> list[int]:
    """The numbers of the arrays whose gradients are asked for and exist."""
    named = zip(template.names, wanted, strict=True)
    return [i for i, (name, want) in enumerate(named) if want and name in rule.fields]


def _zeros(like: Any) -> Any:
    shape = [int(n) for n in like.shape]
    return torch.zeros((), dtype=like.dtype).expand(shape)


RULES = rules()
OPERATORS = {name: _define(rule) for name, rule in RULES.items()}
