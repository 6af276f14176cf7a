"""swath.jax: the same bits as the NumPy functions, the gradients of swath.grad, jax's ways."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

import swath
from recorded_calls import recorded_calls
from support import assert_same_bits, require

jax = require("jax")
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


def test_relative_tables_norms_of_keys_and_points_are_differentiated() -> None:
    rng = np.random.default_rng(0)
    q, table = (jnp.asarray(rng.normal(size=s).astype(np.float32))
                for s in ((1, 2, 4, 5, 8), (2, 5, 5)))  # fmt: skip
    pattern = swath.patterns.Neighborhood(3)

    def total(table: Any) -> Any:
        bias = swath.patterns.RelativeTable(table)
        return sj.attention(q, q, q, pattern=pattern, bias=bias).sum()

    plain, bias = np.asarray(q), swath.patterns.RelativeTable(np.asarray(table))
    o, lse = swath.attention(plain, plain, plain, pattern=pattern, bias=bias, return_lse=True)
    expected = swath.grad.attention(
        np.ones_like(o), plain, plain, plain, o, lse, pattern=pattern, bias=bias
    )
    assert_same_bits(np.asarray(jax.jit(jax.grad(total))(table)), expected.dbias)

    k, v = q[0].reshape(1, 2, 20, 8), q[0].reshape(1, 2, 20, 8) + 1
    found = jax.grad(lambda k: sj.linear_attention(k, k, v, k_norm=jnp.exp).sum())(k)
    dense = jax.grad(lambda k: (jnp.einsum("bhid,bhjd->bhij", k, jnp.exp(k)) / 8**0.5 @ v).sum())(k)
    np.testing.assert_allclose(found, dense, rtol=1e-4, atol=1e-3)
    w, p = q[0, :, :1, 0, :3], q[0, :, :2, 0, :3].swapaxes(0, 1)[:, :, None]
    dw, dp = jax.grad(lambda w, p: sj.from_points(w, p, 5).sum(), (0, 1))(w, p)
    want = swath.grad.from_points(np.ones((2, 1, 5, 5), np.float32), np.asarray(w),
                                  np.asarray(p), 5)  # fmt: skip
    assert_same_bits(np.asarray(dw), want.dweight)
    assert_same_bits(np.asarray(dp), want.dposition)
