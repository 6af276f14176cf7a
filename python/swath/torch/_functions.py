"""The functions of swath with torch's autograd, vmap, autocast and compile."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from swath import ParamError
from swath._rules import Rule, Template
from swath.patterns import RelativeTable
from swath.torch._operators import RULES, call_operator, graded, gradients, is_tensor, plain_tensors


class _Apply(torch.autograd.Function):
    """One call of a function of swath in torch's graph."""

    @staticmethod
    def forward(rule: Rule, template: Template, *tensors: Any) -> Any:
        results = rule.run(template.fill(plain_tensors(tensors)))
        return tuple(results) if len(results) > 1 else results[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.rule, ctx.template, *tensors = inputs
        results = output if isinstance(output, tuple) else (output,)
        ctx.n_inputs = len(tensors)
        kept = results if ctx.rule.outputs else ()
        ctx.save_for_backward(*tensors, *kept)
        if ctx.rule.cotangents != ("dys",):
            ctx.mark_non_differentiable(*results[len(ctx.rule.cotangents) :])

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        saved, wanted = ctx.saved_tensors, ctx.needs_input_grad[2:]
        given = (ctx.rule, ctx.template, ctx.n_inputs, wanted, *cotangents, *saved)
        # recorded only where somebody may go through it: create_graph=True, torch.func
        if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
            found = iter(_Gradients.apply(*given))
        else:
            found = iter(_Gradients.forward(*given))
        places = set(graded(ctx.rule, ctx.template, wanted))
        grads = [next(found) if i in places else None for i in range(ctx.n_inputs)]
        return (None, None, *grads)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], rule: Rule, template: Template, *tensors: Any
    ) -> tuple[Any, Any]:
        dims = in_dims[2:]
        shares = rule.shares_all_but_x(template.names)
        if shares and (folded := _fold(rule, dims, tensors)):
            y = _Apply.apply(rule, template, folded[0], *tensors[1:])
            return y.unflatten(0, folded[1]) if folded[1] else y, 0
        rows = [
            _Apply.apply(rule, template, *_row(tensors, dims, i)) for i in range(info.batch_size)
        ]
        if isinstance(rows[0], tuple):
            return tuple(torch.stack(parts) for parts in zip(*rows, strict=True)), (0,) * len(
                rows[0]
            )
        return torch.stack(rows), 0


class _Recorded(torch.autograd.Function):
    """`_Apply` without torch.func: torch binds the signature of a function that has a
    setup_context anew in each call, which takes 25 microseconds of 50."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, template: Template, *tensors: Any) -> Any:
        output = _Apply.forward(rule, template, *tensors)
        _Apply.setup_context(ctx, (rule, template, *tensors), output)
        return output

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        return _Apply.backward(ctx, *cotangents)


class _Gradients(torch.autograd.Function):
    """The backward of a call, as a function of its own for torch.func."""

    @staticmethod
    def forward(
        rule: Rule, template: Template, n_inputs: int, wanted: Sequence[bool], *tensors: Any
    ) -> tuple[Any, ...]:
        n_results = len(tensors) - n_inputs
        n_kept = len(rule.outputs)
        cotangents, saved = tensors[: n_results - n_kept], tensors[n_results - n_kept :]
        inputs, results = saved[:n_inputs], saved[n_inputs:]
        found = gradients(rule, template, inputs, results, cotangents, wanted)
        return tuple(found[i] for i in graded(rule, template, wanted))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("functions of swath can be differentiated once, not twice")

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], *given: Any
    ) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        options, tensors, dims = given[:4], given[4:], in_dims[4:]
        rows = [_Gradients.apply(*options, *_row(tensors, dims, i)) for i in range(info.batch_size)]
        parts = tuple(torch.stack(part) for part in zip(*rows, strict=True))
        return parts, (0,) * len(parts)


def _fold(rule: Rule, dims: Sequence[int | None], tensors: Sequence[Any]) -> Any:
    """x with the mapped axis as its batch, and the axes to make of it again.

    When x alone is mapped: its samples are rows of their own.
    """
    if dims[0] is None or any(d is not None for d in dims[1:]):
        return None
    x = tensors[0].movedim(dims[0], 0)
    spatial = int(rule.name[-2])
    if x.dim() == spatial + 2:  # one sample each: the mapped axis is the batch
        return x, ()
    if x.dim() == spatial + 3:
        return x.flatten(0, 1), tuple(x.shape[:2])
    return None


def _row(tensors: Sequence[Any], dims: Sequence[int | None], i: int) -> list[Any]:
    return [t if d is None else t.select(d, i) for t, d in zip(tensors, dims, strict=True)]


def _autocast(rule: Rule, tensors: list[Any]) -> list[Any]:
    """As torch's own convolutions and attention: products run in the autocast dtype."""
    if not {"x", "weight"} <= set(rule.parameters) and "q" not in rule.parameters:
        return tensors
    dtype = torch.get_autocast_dtype("cpu")
    return [t.to(dtype) if t.dtype is torch.float32 else t for t in tensors]


def _wants_graph(values: Sequence[Any]) -> bool:
    for value in values:
        if type(value) in (tuple, list):
            if _wants_graph(value):
                return True
        elif isinstance(value, RelativeTable):
            if _wants_graph((value.table,)):
                return True
        elif isinstance(value, torch.Tensor) and value.requires_grad:
            return True
    return False


def _without_history(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach() if value.requires_grad else value
    if type(value) in (tuple, list):
        return type(value)([_without_history(item) for item in value])
    if isinstance(value, RelativeTable):
        return RelativeTable(_without_history(value.table), value.order)
    return value


def make_function(rule: Rule) -> Callable[..., Any]:
    """The rule's function for tensors."""
    plain = rule.function
    takes_threads = "threads" in rule.parameters

    @functools.wraps(plain)
    def function(*args: Any, **options: Any) -> Any:
        if callable(options.get("k_norm")):  # which may have parameters of its own
            args, options = (), rule.bind(args, options)
        if torch.compiler.is_compiling():
            return call_operator(rule, rule.bind(args, options))
        if takes_threads and "threads" not in options:
            options["threads"] = torch.get_num_threads()
        casts = torch.is_autocast_enabled("cpu")
        is_transformed = torch._C._are_functorch_transforms_active()
        if not casts and not is_transformed:
            if not torch.is_grad_enabled():
                return plain(
                    *[_without_history(a) for a in args],
                    **{k: _without_history(v) for k, v in options.items()},
                )
            if not _wants_graph(args) and not _wants_graph(tuple(options.values())):
                return plain(*args, **options)
        if options.get("out") is not None:
            raise ParamError(
                f"{rule.name}: out cannot be written into while torch records gradients"
            )
        tensors: list[Any] = []
        values = rule.bind(args, options)
        template = Template(values, is_tensor, tensors)
        apply = _Apply.apply if is_transformed else _Recorded.apply
        result = apply(rule, template, *(_autocast(rule, tensors) if casts else tensors))
        return result[0] if type(result) is tuple and not rule.asks_for_many(values) else result

    function.__module__ = "swath.torch"
    return function


FUNCTIONS = {name: make_function(rule) for name, rule in RULES.items()}
