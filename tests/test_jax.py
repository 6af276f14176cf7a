"""swath.jax: the same bits as the NumPy functions, the gradients of swath.grad, jax's ways."""

from __future__ import annotations

import warnings
import zlib
from typing import Any

import numpy as np
import pytest

import swath
from recorded_calls import recorded_calls
from support import IN_CI, assert_same_bits, require

jax = require("jax")
with warnings.catch_warnings():
    if not IN_CI:  # there the handler must have been built
        warnings.simplefilter("ignore", RuntimeWarning)
    sj = require("swath.jax")
jnp = jax.numpy

CALLS = recorded_calls(sj.__all__)
# Each call traces and compiles a program: a sixth of them, and each function's first.
FIRST = {name: case for case, (name, _, _) in reversed(CALLS.items())}
CHOSEN = [c for c in CALLS if zlib.crc32(c.encode()) % 6 == 0 or c in FIRST.values()]


def _arrays(value: Any) -> Any:
    """Float and mask arrays as jax arrays; integer arrays are tables and stay."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fb":
        return jnp.asarray(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_arrays(item) for item in value)
    return value


def _is_arrays(value: Any) -> bool:
    """A float array, or a tuple of such; an optional array that is absent is none."""
    if isinstance(value, tuple):
        return bool(value) and all(_is_arrays(item) for item in value)
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _all(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


@pytest.mark.parametrize("case", CHOSEN, ids=str)
def test_same_bits_and_gradients_as_the_numpy_functions(case: str) -> None:
    name, args, options = CALLS[case]
    expected = _all(getattr(swath, name)(*args, **options))
    rule = sj._functions.RULES[name]
    values = rule.bind(args, options)
    found, reverse = jax.vjp(lambda v: getattr(sj, name)(**{**values, **v}), {
        k: _arrays(values[k]) for k in rule.fields if _is_arrays(values.get(k))
    })  # fmt: skip
    for got, want in zip(_all(found), expected, strict=True):
        assert_same_bits(
            np.asarray(got), want.astype(got.dtype) if want.dtype.kind == "i" else want
        )
    if rule.cotangents != ("dy",):
        return
    rng = np.random.default_rng(1)
    dy = rng.normal(size=expected[0].shape).astype(expected[0].dtype)
    cotangent: Any = jnp.asarray(dy)
    if isinstance(found, tuple):
        rest = [np.zeros(y.shape, jax.dtypes.float0) if y.dtype == bool else jnp.zeros_like(y)
                for y in found[1:]]  # fmt: skip
        cotangent = (cotangent, *rest)
    (gradients,) = reverse(cotangent)
    want = rule.backward(values, expected, [dy], rule.fields)
    for field, gradient in gradients.items():
        for got, exact in zip(_all(gradient), _all(want[field]), strict=True):
            if exact is not None:
                assert_same_bits(np.asarray(got), np.asarray(exact))


def _normal(*shape: int) -> Any:
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def test_jit_grad_and_vmap() -> None:
    x, w = _normal(3, 4, 8, 8), _normal(6, 4, 3, 3)

    def loss(x: Any, w: Any) -> Any:
        return (sj.conv2d(x, w, padding=1, activation="gelu") ** 2).sum()

    def plain(x: Any, w: Any) -> Any:
        y = jax.lax.conv(x, w, (1, 1), "SAME")
        return (jax.nn.gelu(y, approximate=False) ** 2).sum()

    ours = jax.jit(jax.grad(loss, (0, 1)))(x, w)
    for got, want in zip(ours, jax.grad(plain, (0, 1))(x, w), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)
    assert (jax.vmap(lambda a: sj.conv2d(a, w))(x) == sj.conv2d(x, w)).all()
    wide = jnp.stack([x, 2 * x], 1)
    rows = jax.jit(jax.vmap(lambda a: sj.conv2d(a, w), 1, 1))(wide)
    assert (rows[:, 1] == sj.conv2d(2 * x, w)).all()
    both = jax.vmap(lambda k: sj.conv2d(x, k))(jnp.stack([w, -w]))
    assert (both[1] == sj.conv2d(x, -w)).all()
    each = jax.vmap(jax.grad(loss, 1), (0, None))(x, w)
    for i in range(3):
        assert (each[i] == jax.grad(loss, 1)(x[i], w)).all()


def test_a_mask_has_no_gradient() -> None:
    x, w, mask = _normal(2, 4, 8, 8), _normal(6, 4, 3, 3), _normal(2, 1, 8, 8) > 0

    def loss(x: Any, w: Any, mask: Any) -> Any:
        return sj.partial_conv2d(x, w, None, mask, padding=1)[0].sum()

    dx, dw = jax.jit(jax.grad(loss, (0, 1)))(x, w, mask)
    exact = swath.grad.partial_conv2d(
        np.ones((2, 6, 8, 8), np.float32), *map(np.asarray, (x, w)), None, np.asarray(mask),
        padding=1,
    )  # fmt: skip
    assert_same_bits(np.asarray(dx), exact.dx)
    assert_same_bits(np.asarray(dw), exact.dweight)


def test_errors_are_those_of_swath_and_out_is_refused() -> None:
    x = _normal(1, 4, 8, 8)
    with pytest.raises(swath.ShapeError, match="conv2d: weight"):
        sj.conv2d(x, _normal(6, 3, 3, 3))
    with pytest.raises(TypeError, match="out"):
        sj.conv2d(x, _normal(6, 4, 3, 3), out=np.zeros((1, 6, 6, 6), np.float32))


NEEDS_HANDLER = pytest.mark.skipif(not sj._functions.HAS_HANDLER, reason="no handler was built")
LAYER = dict(padding=1, activation="gelu")


def _layer(x: Any, w: Any) -> Any:
    return sj.conv2d(x, w, **LAYER)


@NEEDS_HANDLER
def test_compiled_programs_hold_the_plan_and_do_not_call_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, w = _normal(2, 4, 8, 8), _normal(6, 4, 3, 3)
    step = jax.jit(jax.value_and_grad(lambda x, w: (_layer(x, w) ** 2).sum(), (0, 1)))
    value, gradients = step(x, w)
    assert "callback" not in step.lower(x, w).as_text()
    monkeypatch.setattr(sj._functions._Run, "__call__", None)
    again, others = step(2 * x, w)
    assert value != again
    assert (np.asarray(gradients[0]) != np.asarray(others[0])).any()


@NEEDS_HANDLER
def test_callbacks_give_the_same_as_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = _normal(2, 4, 8, 8), _normal(6, 4, 3, 3)

    def results() -> list[Any]:
        found = jax.vjp(_layer, x, w)
        mapped = jax.vmap(_layer, (None, 0))(x, jnp.stack([w, -w]))
        return [found[0], *found[1](found[0]), mapped, jax.vmap(_layer, (0, None))(x[:, None], w)]

    expected = results()
    monkeypatch.setattr(sj._functions, "HAS_HANDLER", False)
    jax.clear_caches()
    for got, want in zip(results(), expected, strict=True):
        assert_same_bits(np.asarray(got), np.asarray(want))


@NEEDS_HANDLER
def test_errors_of_values_reach_the_caller_of_a_compiled_program() -> None:
    x, w = _normal(1, 4, 8, 8), _normal(6, 4, 3, 3)
    run = jax.jit(lambda x, w, m: sj.partial_conv2d(x, w, None, m)[0])
    run(x, w, jnp.ones((1, 1, 8, 8), jnp.uint8))
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match="partial_conv2d: mask"):
        np.asarray(run(x, w, jnp.full((1, 1, 8, 8), 7, jnp.uint8)))


@NEEDS_HANDLER
def test_a_call_of_another_process_or_of_other_sizes_is_refused() -> None:
    x, w = _normal(1, 4, 8, 8), _normal(6, 4, 3, 3)
    _, number = swath._core.record(lambda x, w: [swath.conv2d(x, w)], (np.array(x), np.array(w)))
    kind = jax.ShapeDtypeStruct((1, 6, 6, 6), jnp.float32)
    call = jax.ffi.ffi_call(sj._functions.TARGET, (kind,))
    assert (call(x, w, id=np.int64(number))[0] == swath.conv2d(np.array(x), np.array(w))).all()
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match="another process"):
        np.asarray(call(x, w, id=np.int64(number + (1 << 40)))[0])
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match="sizes"):
        np.asarray(call(x[:, :, :4], w, id=np.int64(number))[0])


def test_frozen_weights_have_no_gradient_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    rule = sj._functions.RULES["conv2d"]

    def backward(*args: Any) -> Any:
        asked.append(args[-1])
        return type(rule).backward(rule, *args)

    monkeypatch.setitem(rule.__dict__, "backward", backward)
    x, w = _normal(1, 4, 9, 8), _normal(6, 4, 3, 3)
    jax.grad(lambda x: sj.conv2d(x, w).sum())(x)
    assert asked == [("x",)] or asked == [["x"]]


@NEEDS_HANDLER
def test_what_is_more_than_one_plan_is_not_recorded() -> None:
    x = np.ones((1, 4, 8, 8), np.float32)
    w = np.ones((6, 4, 3, 3), np.float32)
    twice = swath._core.record(
        lambda x, w: [swath.conv2d(swath.conv2d(x, w), w[:, :6])], (x, w[:4])
    )
    other = swath._core.record(lambda x: [swath.conv2d(x, w)], (x,))  # w is no argument
    later = swath._core.record(lambda x, w: [swath.conv2d(x, w) + 1], (x, w))
    assert [number for _, number in (twice, other, later)] == [-1, -1, -1]


def test_donated_buffers_and_sharded_programs() -> None:
    x, w = _normal(2, 4, 8, 8), _normal(4, 4, 3, 3)
    expected = np.asarray(_layer(x, w))
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    sharded = jax.jit(jax.shard_map(
        _layer, mesh=mesh, in_specs=(spec("batch"), spec()), out_specs=spec("batch"),
        check_vma=False,
    ))  # fmt: skip
    assert_same_bits(np.asarray(sharded(x, w)), expected)
    donating = jax.jit(_layer, donate_argnums=0)
    assert_same_bits(np.asarray(donating(jnp.array(x), w)), expected)
