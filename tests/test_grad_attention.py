"""Gradients of attention: differences, autograd of the dense composition, threads, views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oracle_attention_grad
import swath
from attention_draw import Draw
from cases.attention_grad import CASES, AttentionGradCase, flatten
from oracle_attention import flat_tokens
from support import Array, assert_same_bits, between_forbidden_pages, check, require
from swath import patterns as P

RNG = np.random.default_rng(11)


def _draw(*shape: int, dtype: str = "float64") -> Array:
    return np.asarray(RNG.standard_normal(shape)).astype(dtype)


DIFFERENCES: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "softcap_bias": ({"softcap": 1.3, "causal": True}, {"bias": (2, 6, 6)}),
    "sink_key_bias": ({"pattern": P.Window1D(2, 1)}, {"key_bias": (1, 6), "sink": (2,)}),
    "low_rank": ({"scale": 0.3}, {"low_a": (1, 1, 6, 2), "low_b": (1, 2, 6, 2)}),
    "table": ({"pattern": P.Neighborhood(3)}, {"table": (2, 5)}),
    "extra": ({"causal": True}, {"xk": (1, 1, 3, 4), "xv": (1, 1, 3, 5), "xw": (1, 3)}),
    "levels": (
        {
            "pattern": P.Blocks(
                np.array([[[[0, 1], [1, 0]]]], np.int32), np.array([[[2, 1]]], np.int32), (3, 3),
                np.array([[[[1, 2], [3, 1]]]], np.int32),
            )
        },
        {},
    ),
}  # fmt: skip


def _keywords(arrays: dict[str, Array]) -> dict[str, Any]:
    given = {n: arrays[n] for n in ("bias", "key_bias", "sink") if n in arrays}
    if "table" in arrays:
        given["bias"] = P.RelativeTable(arrays["table"])
    if "low_a" in arrays:
        given["bias_lowrank"] = (arrays["low_a"], arrays["low_b"])
    if "xk" in arrays:
        given["extra_kv"] = [(arrays["xk"], arrays["xv"], arrays["xw"], "all")]
    return given


@pytest.mark.parametrize("name", DIFFERENCES)
def test_gradients_are_differences(name: str) -> None:
    options, shapes = DIFFERENCES[name]
    arrays = {"q": _draw(1, 2, 6, 4), "k": _draw(1, 1, 6, 4), "v": _draw(1, 1, 6, 5)}
    arrays |= {n: _draw(*shape) for n, shape in shapes.items()}

    def forward() -> tuple[Array, Array]:
        o, lse = swath.attention(
            arrays["q"], arrays["k"], arrays["v"], return_lse=True, **options, **_keywords(arrays)
        )
        return o, lse

    o, lse = forward()
    do, dlse = _draw(*o.shape), _draw(*lse.shape)
    found = flatten(
        swath.grad.attention(
            do, arrays["q"], arrays["k"], arrays["v"], o, lse, dlse=dlse, **options,
            **_keywords(arrays),
        )
    )  # fmt: skip
    expected = []
    for array in arrays.values():
        for at in np.ndindex(array.shape):
            value, step, sides = array[at], 1e-6, []
            for sign in (1, -1):
                array[at] = value + sign * step
                above, statistic = forward()
                sides.append((do * above).sum() + (dlse * statistic).sum())
            array[at] = value
            expected.append((sides[0] - sides[1]) / (2 * step))
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-8)


@pytest.mark.parametrize("n_kv", [4, 2])
def test_gradients_are_autograd_of_the_dense_formula(n_kv: int) -> None:
    torch = require("torch")
    pattern = P.Neighborhood(3, grid=(5, 6))
    arrays = [_draw(2, 4, 30, 8), _draw(2, n_kv, 30, 8), _draw(2, n_kv, 30, 6), _draw(4, 30, 30)]
    q, k, v, bias = (torch.tensor(a, requires_grad=True) for a in arrays)
    mask = torch.tensor(pattern.to_mask(30, 30))
    keys, values = (x.repeat_interleave(4 // n_kv, 1) for x in (k, v))
    s = (q @ keys.mT) * 8**-0.5 + bias
    s = s.masked_fill(~mask, -torch.inf)
    o, lse = torch.softmax(s, -1) @ values, torch.logsumexp(s, -1)
    do, dlse = _draw(*o.shape), _draw(*lse.shape)
    expected = torch.autograd.grad(
        (o, lse), (q, k, v, bias), (torch.tensor(do), torch.tensor(dlse))
    )
    found = swath.grad.attention(
        do, *arrays[:3], o.detach().numpy(), lse.detach().numpy(), dlse=dlse, pattern=pattern,
        bias=arrays[3],
    )  # fmt: skip
    for mine, theirs in zip(found, expected, strict=False):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", CASES[::4], ids=str)
def test_results_do_not_depend_on_threads(case: AttentionGradCase) -> None:
    arrays = case.inputs("f32")
    one = case.run(swath, arrays, threads=1)
    for n in (2, 3, 7):
        assert_same_bits(one, case.run(swath, arrays, threads=n))


def test_a_sample_does_not_depend_on_others() -> None:
    q, k, v = (_draw(5, 2, 150, 8, dtype="float32") for _ in "qkv")
    bias = _draw(2, 150, 150, dtype="float32")
    o, lse = swath.attention(q, k, v, bias=bias, return_lse=True)
    do = _draw(*o.shape, dtype="float32")
    whole = swath.grad.attention(do, q, k, v, o, lse, bias=bias)
    for i in (0, 4):
        at = slice(i, i + 1)
        one = swath.grad.attention(do[at], q[at], k[at], v[at], o[at], lse[at], bias=bias)
        for mine, all_of_them in zip(one[:3], whole[:3], strict=True):
            assert_same_bits(mine, all_of_them[at])


@pytest.mark.parametrize("case", CASES[1::7], ids=str)
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_views_give_the_same_bits(case: AttentionGradCase, dtype: str) -> None:
    arrays = case.inputs(dtype)
    expected = case.run(swath, arrays)

    def spread(x: Array) -> Array:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
        view = wide[..., 1::2][..., : x.shape[-1]]
        view[...] = x
        return view

    def reverse(x: Array) -> Array:
        return np.ascontiguousarray(x[::-1])[::-1]

    for change in (spread, reverse):
        check(case, case.run(swath, {n: change(a) for n, a in arrays.items()}), arrays)
    assert expected.size


def test_needs_gives_only_what_is_asked_for() -> None:
    q, k, v = (_draw(1, 2, 20, 8) for _ in "qkv")
    sink = _draw(2)
    o, lse = swath.attention(q, k, v, sink=sink, return_lse=True)
    everything = swath.grad.attention(o, q, k, v, o, lse, sink=sink)
    for i, name in enumerate(("dq", "dk", "dv", "dbias", "dbias_lowrank", "dkey_bias", "dsink")):
        found = swath.grad.attention(o, q, k, v, o, lse, sink=sink, needs=[name])
        for j, x in enumerate(found):
            if i == j and everything[i] is not None:
                np.testing.assert_array_equal(x, everything[i])
            else:
                assert x is None
    assert all(x is None for x in swath.grad.attention(o, q, k, v, o, lse, needs=()))


def test_bad_rows_stay_alone() -> None:
    """NaN in a query, an infinite value: only what sees them."""
    q, k, v = (_draw(1, 1, 40, 8, dtype="float32") for _ in "qkv")
    do = _draw(1, 1, 40, 8, dtype="float32")
    pattern = P.Window1D(2, 2)
    o, lse = swath.attention(q, k, v, pattern=pattern, return_lse=True)
    good = swath.grad.attention(do, q, k, v, o, lse, pattern=pattern)
    for name in ("q", "k", "v", "do"):
        arrays = {"q": q, "k": k, "v": v, "do": do}
        arrays[name] = arrays[name].copy()
        arrays[name][0, 0, 20] = np.inf if name == "v" else np.nan
        o, lse = swath.attention(
            arrays["q"], arrays["k"], arrays["v"], pattern=pattern, return_lse=True
        )
        found = swath.grad.attention(
            arrays["do"], arrays["q"], arrays["k"], arrays["v"], o, lse, pattern=pattern
        )
        for mine, theirs in zip(found[:3], good[:3], strict=True):
            far = np.r_[0:16, 25:40]
            np.testing.assert_allclose(mine[0, 0, far], theirs[0, 0, far], rtol=1e-4, atol=1e-5)


def test_a_query_without_keys_gets_zeros() -> None:
    q, k, v = (_draw(1, 1, 9, 4) for _ in "qkv")
    mask = np.zeros((9, 9), bool)
    mask[3:, 2] = True
    pattern = P.from_mask(mask)
    o, lse = swath.attention(q, k, v, pattern=pattern, return_lse=True)
    found = swath.grad.attention(np.ones_like(o), q, k, v, o, lse, pattern=pattern)
    assert (found.dq[0, 0, :3] == 0).all()
    assert (np.delete(found.dv[0, 0], 2, 0) == 0).all()
    np.testing.assert_allclose(found.dv[0, 0, 2], 6)


def test_a_table_of_a_pattern_without_places() -> None:
    """It is expanded for the kernels, its gradient still has the table's shape."""
    q, k, v = (_draw(1, 2, 12, 4) for _ in "qkv")
    table = _draw(2, 23)
    pattern = P.Segments((5, 7), np.ones((2, 2), bool))
    o, lse = swath.attention(q, k, v, bias=P.RelativeTable(table), return_lse=True)
    do = _draw(*o.shape)
    a = swath.grad.attention(do, q, k, v, o, lse, bias=P.RelativeTable(table))
    b = swath.grad.attention(do, q, k, v, o, lse, bias=P.RelativeTable(table), pattern=pattern)
    np.testing.assert_allclose(a.dbias, b.dbias, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("flush", ["start", "end"])
@pytest.mark.parametrize("case", CASES[2::4], ids=str)
def test_nothing_outside_the_inputs_is_read(case: AttentionGradCase, flush: str) -> None:
    arrays = case.inputs("f32")
    with between_forbidden_pages(arrays, flush=flush) as guarded:
        assert_same_bits(case.run(swath, guarded), case.run(swath, arrays))


@pytest.mark.parametrize("seed", range(150))
def test_random_calls_match_the_dense_formulas(seed: int) -> None:
    call = Draw(seed)
    q = call.array(call.heads, call.q_tokens, call.d)
    k = call.array(call.kv_heads, call.k_tokens, call.d)
    v = call.array(call.kv_heads, call.k_tokens, call.d_v)
    do = call.array(call.heads, call.q_tokens, call.d_v)
    wide = np.longdouble if call.dtype == np.float64 else np.float64
    options = {**call.options, "pattern": call.pattern, "layout": call.layout}
    o, lse = swath.attention(q, k, v, return_lse=True, **options)
    if seed % 2:
        options["dlse"] = np.random.default_rng(seed).standard_normal(lse.shape).astype(lse.dtype)
    expected = oracle_attention_grad.attention(do, q, k, v, o, lse, wide=wide, **options)
    found = swath.grad.attention(do, q, k, v, o, lse, **options)
    actual = {n: flat_tokens(getattr(found, n), call.layout) for n in ("dq", "dk", "dv")}
    actual |= {n: getattr(found, n) for n in ("dbias", "dkey_bias", "dsink")}
    actual |= dict(zip(("da", "db"), found.dbias_lowrank or (None, None), strict=True))
    for i, (dk, dv, dw) in enumerate(found.dextra_kv or ()):
        actual |= {f"dk{i}": flat_tokens(dk, call.layout), f"dv{i}": flat_tokens(dv, call.layout)}
        actual[f"dw{i}"] = dw
    assert {n for n, x in actual.items() if x is not None} == set(expected)
    for name, result in expected.items():
        swath.testing.assert_close(
            actual[name], result.value, terms=result.terms, magnitude=result.magnitude
        )


BAD: list[tuple[str, str, str, dict[str, Any]]] = [
    ("do_shape", "ShapeError", "do", {"do": np.ones((1, 2, 8, 4))}),
    ("do_dtype", "DTypeError", "do", {"do": np.ones((1, 2, 9, 4), np.float32)}),
    ("o_shape", "ShapeError", "o", {"o": np.ones((1, 2, 9, 5))}),
    ("o_rank", "ShapeError", "o", {"o": np.ones((2, 9, 4))}),
    ("o_dtype", "DTypeError", "o", {"o": np.ones((1, 2, 9, 4), np.float16)}),
    ("lse_shape", "ShapeError", "lse", {"lse": np.ones((1, 2, 9, 1))}),
    ("lse_tokens", "ShapeError", "lse", {"lse": np.ones((1, 2, 8))}),
    ("lse_dtype", "DTypeError", "lse", {"lse": np.ones((1, 2, 9), np.float32)}),
    ("dlse_shape", "ShapeError", "dlse", {"dlse": np.ones((2, 9))}),
    ("dlse_dtype", "DTypeError", "dlse", {"dlse": np.ones((1, 2, 9), np.float16)}),
    ("k_heads", "ShapeError", "k", {"k": np.ones((1, 3, 9, 4))}),
    ("bias_shape", "ShapeError", "bias", {"bias": np.ones((3, 9, 9))}),
    ("sink_shape", "ShapeError", "sink", {"sink": np.ones(3)}),
    ("needs_unknown", "ParamError", "needs", {"needs": ["dw"]}),
    ("needs_text", "ParamError", "needs", {"needs": "dq"}),
    ("softcap", "ParamError", "softcap", {"softcap": -1.0}),
    ("pattern", "ParamError", "pattern", {"pattern": 3}),
    ("layout", "ParamError", "layout", {"layout": "first"}),
]


@pytest.mark.parametrize(
    ("error", "argument", "change"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
def test_wrong_calls_name_the_argument(error: str, argument: str, change: dict[str, Any]) -> None:
    x = np.ones((1, 2, 9, 4))
    given = {"do": x, "q": x, "k": x, "v": x, "o": x, "lse": np.ones((1, 2, 9))} | change
    args = [given.pop(n) for n in ("do", "q", "k", "v", "o", "lse")]
    with pytest.raises(getattr(swath, error)) as caught:
        swath.grad.attention(*args, **given)
    assert "grad.attention" in str(caught.value)
    assert argument in str(caught.value)
