"""swath.torch: what is learned beside plain arrays, and patterns in compiled code."""

from __future__ import annotations

from typing import Any

import pytest

import swath
from support import require

torch = require("torch")
st = require("swath.torch")


def _normal(*shape: int, dtype: Any = None) -> Any:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("kind", ["window", "mask"])
def test_relative_tables_are_learned(kind: str) -> None:
    q, table = _normal(1, 2, 4, 5, 8), _normal(2, 7, 9).requires_grad_()
    pattern = swath.patterns.Neighborhood((3, 5), grid=(4, 5))
    if kind == "mask":  # which has no places: the table is expanded
        pattern = swath.patterns.from_mask(pattern.to_mask(), 4) | swath.patterns.Causal()
        q, table = q.flatten(2, 3), _normal(2, 39).requires_grad_()

    def run(table: Any) -> Any:
        bias = swath.patterns.RelativeTable(table, order="query_minus_key")
        return st.attention(q, q, q, pattern=pattern, bias=bias)

    o = run(table)
    (found,) = torch.autograd.grad(o, table, torch.ones_like(o))
    plain = swath.patterns.RelativeTable(table.detach(), order="query_minus_key")
    again, lse = swath.attention(q, q, q, pattern=pattern, bias=plain, return_lse=True)
    expected = swath.grad.attention(
        torch.ones_like(o), q, q, q, again, lse, pattern=pattern, bias=plain
    )
    assert torch.equal(found, expected.dbias)
    assert torch.equal(run(table.detach()), o)
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")(table)
    assert torch.equal(torch.autograd.grad(compiled.sum(), table)[0], found)
    maps = torch.vmap(run)(torch.stack([table.detach(), 2 * table.detach()]))
    assert torch.equal(maps[0], o)


def test_layers_with_patterns_compile() -> None:
    layer, x = st.Attention(8, 2, swath.patterns.Neighborhood(3)), _normal(1, 5, 5, 8)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), layer(x))
    same, other = swath.patterns.Neighborhood(3), swath.patterns.Neighborhood(3, dilation=2)
    assert layer.pattern == same != other
    assert {same: 1}.get(other) is None


def test_norms_of_keys_are_differentiated() -> None:
    q, k, v = (_normal(1, 2, 5, 3 + i).double().requires_grad_() for i in (0, 0, 1))
    features = torch.nn.Linear(3, 3).double()

    def run(q: Any, k: Any, v: Any, *_: Any) -> Any:
        return st.linear_attention(q, k, v, k_norm=lambda k: torch.exp(features(k)), causal=True)

    assert torch.autograd.gradcheck(run, (q, k, v, *features.parameters()))
    run(*(t.detach() for t in (q, k, v))).sum().backward()
    assert features.weight.grad is not None
    norm = torch.nn.functional.relu
    compiled = torch.compile(st.linear_attention, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(q, k, v, k_norm=norm), st.linear_attention(q, k, v, k_norm=norm))


def test_branches_are_a_list() -> None:
    branches = [_normal(2, 3, 4, 4).double().requires_grad_() for _ in range(2)]
    logits = _normal(2, 2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b, z: st.branch_select([a, b], z),
                                    (*branches, logits))  # fmt: skip
    plain = [b.detach() for b in branches]
    whole = swath.branch_select(torch.stack(plain), logits.detach())
    assert torch.equal(swath.branch_select(plain, logits.detach()), whole)


def test_points_are_learned() -> None:
    w, p = (_normal(*s).double().requires_grad_() for s in ((3, 1, 4), (2, 3, 1, 4)))
    sigma = (_normal(3, 1, 4).double().abs() + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda w, p, s: st.from_points(w, p, 5, basis="gauss", sigma=s), (w, p, sigma)
    )
