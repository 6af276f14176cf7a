"""swath.torch: the same bits as the NumPy functions, the gradients of swath.grad, torch's ways."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pytest

import swath
from recorded_calls import recorded_calls
from support import Array, assert_same_bits, require

torch = require("torch")
st = require("swath.torch")

CALLS = recorded_calls(st.__all__)


def _tensors(value: Any) -> Any:
    """Float and mask arrays as tensors; integer arrays are tables and stay."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fb":
        return torch.from_numpy(value.copy())
    if isinstance(value, (tuple, list)):
        return type(value)(_tensors(item) for item in value)
    return value


def _floats(values: Any) -> list[Any]:
    found = []
    for value in values:
        if isinstance(value, (tuple, list)):
            found += _floats(value)
        elif isinstance(value, torch.Tensor) and value.dtype.is_floating_point:
            found.append(value)
    return found


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, (tuple, list)) else result


@pytest.mark.parametrize("case", CALLS, ids=str)
def test_same_bits_and_gradients_as_the_numpy_functions(case: str) -> None:
    name, args, options = CALLS[case]
    expected = getattr(swath, name)(*args, **options)
    args, options = _tensors(args), {k: _tensors(v) for k, v in options.items()}
    function = getattr(st, name)
    for got, want in zip(_all(function(*args, **options)), _all(expected), strict=True):
        assert_same_bits(got.numpy(), want)
    inputs = _floats([*args, *options.values()])
    for tensor in inputs:
        tensor.requires_grad_()
    y = _first(function(*args, **options))
    assert_same_bits(y.detach().numpy(), _first(expected))
    dy = torch.from_numpy(np.random.default_rng(1).normal(size=y.shape).astype(np.float32))
    if y.requires_grad:
        found = torch.autograd.grad(y, inputs, dy, allow_unused=True)
        rule = st._functions.RULES[name]
        if rule.cotangents != ("dy",):
            return  # several results: compared in a test of their own
        values = rule.bind(args, options)
        for tensor, gradient in zip(inputs, found, strict=True):
            want = _by_name(name, values, dy, tensor)
            assert (gradient is None) == (want is None)
            if want is not None:
                assert_same_bits(gradient.numpy(), want)


def _all(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _by_name(name: str, values: dict[str, Any], dy: Any, tensor: Any) -> Array | None:
    """What swath.grad gives for one tensor."""
    rule = st._functions.RULES[name]
    plain = {k: _detached(v) for k, v in values.items() if k in rule.backward_parameters}
    found = rule.gradient(dy, **plain)
    for field, gradient in zip(rule.fields, found, strict=True):
        for leaf, part in zip(_leaves(values.get(field)), _leaves(gradient), strict=False):
            if leaf is tensor and part is not None:
                return np.asarray(part)
    return None


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _detached(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_detached(item) for item in value)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _normal(*shape: int, dtype: Any = None) -> Any:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


LAYER = functools.partial(_normal, 6, 4, 3, 3)


def test_gradcheck() -> None:
    x, w, b = (t.requires_grad_() for t in (_normal(2, 4, 6, 5, dtype=torch.float64),
               LAYER(dtype=torch.float64), _normal(6, dtype=torch.float64)))  # fmt: skip

    def call(*tensors: Any) -> Any:
        return st.conv2d(*tensors, padding=1, activation="gelu")

    assert torch.autograd.gradcheck(call, (x, w, b))
    (dx,) = torch.autograd.grad(call(x, w, b).sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="once, not twice"):
        dx.sum().backward()


def test_torch_func() -> None:
    x, w = _normal(3, 4, 8, 8), LAYER()

    def loss(x: Any, w: Any) -> Any:
        return st.conv2d(x, w, padding=1).square().sum()

    recorded = x.clone().requires_grad_()
    loss(recorded, w).backward()
    assert torch.equal(torch.func.grad(loss)(x, w), recorded.grad)
    assert torch.equal(torch.vmap(lambda a: st.conv2d(a, w))(x), st.conv2d(x, w))
    wide = torch.stack([x, 2 * x], 1)
    rows = torch.vmap(lambda a: st.conv2d(a, w), in_dims=1, out_dims=1)(wide)
    assert torch.equal(rows[:, 1], st.conv2d(2 * x, w))
    weights = torch.stack([w, -w])
    both = torch.vmap(lambda k: st.conv2d(x, k))(weights)
    assert torch.equal(both[1], st.conv2d(x, -w))
    each = torch.vmap(torch.func.grad(loss, argnums=1), in_dims=(0, None))(x, w)
    for i in range(3):
        assert torch.equal(each[i], torch.func.grad(loss, argnums=1)(x[i], w))


def test_compile_has_no_break_and_export_keeps_the_call() -> None:
    x, mask = _normal(2, 4, 8, 8), _normal(2, 1, 8, 8) > 0
    layer = st.PartialConv2d(4, 6, 3, padding=1, return_mask=True)
    expected = layer(x, mask)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")(x, mask)
    exported = torch.export.export(layer, (x, mask)).module()(x, mask)
    for found in (compiled, exported):
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
    compiled[0].sum().backward()
    gradient = layer.weight.grad.clone()
    layer.weight.grad = None
    expected[0].sum().backward()
    assert torch.equal(gradient, layer.weight.grad)


# One call of each family: their operators have all rules in common.
FAMILIES: dict[str, dict[str, Any]] = {
    "conv2d": {"x": (2, 4, 8, 8), "weight": (6, 4, 3, 3), "stride": 2, "activation": ("elu", 0.5)},
    "partial_conv2d": {"x": (2, 4, 5, 5), "weight": (3, 4, 3, 3), "bias": (3,), "padding": 1},
    "gated_conv1d": {"x": (2, 4, 9), "weight": (6, 4, 3), "bias": (6,)},
    "avg_pool2d": {"x": (1, 2, 6, 6), "window": 3, "padding": 1},
    "long_conv": {"u": (2, 3, 16), "k": (3, 16), "skip": (3,)},
    "dynamic_conv1d": {"x": (2, 4, 9), "weight": (2, 2, 3, 9), "softmax": True},
    "deform_conv2d": {
        "x": (1, 2, 6, 6), "weight": (2, 2, 3, 3), "offset": (1, 18, 4, 4),
    },
    "attention": {
        "q": (1, 2, 4, 4, 3), "k": (1, 2, 4, 4, 3), "v": (1, 2, 4, 4, 5),
        "pattern": swath.patterns.Neighborhood(3), "return_lse": True,
    },
    "linear_attention": {"q": (1, 2, 6, 3), "k": (1, 2, 6, 3), "v": (1, 2, 6, 4)},
}  # fmt: skip


def _family_call(name: str, dtype: Any) -> tuple[dict[str, Any], Any, list[Any]]:
    """The arguments of FAMILIES[name], and what a graph holds of them."""
    from swath.torch import _operators

    values = {
        k: _normal(*v, dtype=dtype).requires_grad_()
        if isinstance(v, tuple) and all(isinstance(n, int) for n in v)
        else v
        for k, v in FAMILIES[name].items()
    }
    tensors: list[Any] = []
    return values, _operators.Template(values, _operators.is_tensor, tensors), tensors


@pytest.mark.parametrize("name", FAMILIES)
def test_gradcheck_of_every_family(name: str) -> None:
    _, template, tensors = _family_call(name, torch.float64)
    call = lambda *given: getattr(st, name)(**template.fill(given))  # noqa: E731
    assert torch.autograd.gradcheck(call, tuple(tensors), atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_opcheck(name: str) -> None:
    from swath.torch import _operators

    _, template, tensors = _family_call(name, torch.float32)
    call = _operators._encode(template.values, template.names)
    torch.library.opcheck(_operators.OPERATORS[name]._opoverload, (tensors, call))


def test_a_program_from_a_file_cannot_hold_code() -> None:
    from swath.torch import _operators

    pattern = swath.patterns.Neighborhood(3)
    text = _operators._encode({"pattern": pattern, "at": np.arange(3), "pad": "same"}, [])
    assert repr(_operators._decode(text).values["pattern"]) == repr(pattern)
    with pytest.raises(pickle.UnpicklingError, match="never does"):
        _operators._decode(_operators._encode({"x": functools.partial(print)}, []))


def test_autocast_runs_convolutions_in_its_dtype() -> None:
    x, w = _normal(1, 4, 8, 8), LAYER()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = st.conv2d(x, w)
        pooled = st.avg_pool2d(x, 2)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, st.conv2d(x.bfloat16(), w.bfloat16()))
    assert pooled.dtype == torch.float32


def test_views_are_read_in_place_and_out_is_given_back() -> None:
    x = _normal(2, 8, 8, 4).permute(0, 3, 1, 2)
    w, out = LAYER(), torch.empty(2, 6, 6, 6)
    assert not swath.info.explain(swath.conv2d, x, w).copies
    assert st.conv2d(x, w, out=out) is out
    assert torch.equal(out, st.conv2d(x.contiguous(), w))
    with pytest.raises(swath.ParamError, match="conv2d: out"):
        st.conv2d(x.requires_grad_(), w, out=out)
    with torch.no_grad():
        assert st.conv2d(x, w.requires_grad_(), out=out) is out


def _fake(x: Any) -> Any:
    """A tensor without memory, as tracing makes them."""
    return torch._subclasses.fake_tensor.FakeTensorMode().from_tensor(x)


@pytest.mark.filterwarnings("default")  # torch warns that a fake tensor's memory was asked for
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda x: x.to("meta"), swath.DeviceError),
        (lambda x: x.to_sparse(), swath.LayoutError),
        (lambda x: _fake(x), swath.LayoutError),
        (lambda x: x.int(), swath.DTypeError),
        (lambda x: torch.complex(x, x).conj(), swath.DTypeError),
    ],
)
def test_tensors_that_cannot_be_read_say_why(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="conv2d: x"):
        st.conv2d(make(_normal(1, 4, 8, 8)), LAYER())


def test_negated_views_are_read_as_they_are() -> None:
    z = torch.complex(_normal(1, 4, 8, 8), _normal(1, 4, 8, 8)).conj()
    assert torch.equal(st.conv2d(z.imag, LAYER()), st.conv2d(z.imag.contiguous(), LAYER()))


def test_attention_and_its_merge_are_differentiated_through_both_results() -> None:
    q, k, v = (_normal(1, 2, 6, 5, 8 + i).requires_grad_() for i in (0, 0, 1))
    options = {"pattern": swath.patterns.Neighborhood(3), "scale": 0.5}
    o, lse = st.attention(q, k, v, return_lse=True, **options)
    alone = st.attention(q, k, v, **options)
    assert torch.equal(alone, o)
    do, dlse = _normal(*o.shape), _normal(*lse.shape)
    plain = [t.detach() for t in (q, k, v, o, lse)]
    found = torch.autograd.grad((o, lse), (q, k, v), (do, dlse))
    for got, want in zip(
        found, swath.grad.attention(do, *plain, dlse=dlse, **options)[:3], strict=True
    ):
        assert torch.equal(got, want)
    (dq,) = torch.autograd.grad(alone, q, do)
    assert torch.equal(dq, swath.grad.attention(do, *plain, **options).dq)

    parts = [(_normal(2, 4, 3).requires_grad_(), _normal(2, 4).requires_grad_()) for _ in range(2)]
    o, lse = st.merge_attention(parts)
    leaves = [t for part in parts for t in part]
    found = torch.autograd.grad((o, lse), leaves, (_normal(*o.shape), _normal(*lse.shape)))
    whole = torch.stack([lse.detach() for _, lse in parts])
    share = torch.softmax(whole, 0)
    torch.testing.assert_close(found[0], share[0][..., None] * _normal(*o.shape))


def test_layers_load_torch_weights() -> None:
    x = _normal(2, 4, 9, 9)
    theirs = torch.nn.Conv2d(4, 6, 3, padding="same", padding_mode="reflect", dilation=2)
    ours = st.Conv2d(4, 6, 3, padding="same", padding_mode="reflect", dilation=2)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))
    faster = st.PartialChannelConv2d(4, 2)
    assert list(faster.state_dict()) == ["partial_conv3.weight"]
    y = faster(x)
    assert torch.equal(y[:, 2:], x[:, 2:])
    torch.testing.assert_close(y[:, :2], faster.partial_conv3(x[:, :2]))
    slicing = st.PartialChannelConv2d(4, 2, "slicing")
    slicing.load_state_dict(faster.state_dict())
    with torch.no_grad():
        z = x.clone()
        assert slicing(z) is z
    assert torch.equal(z, y)


def test_sequence_layers_are_what_they_stand_for() -> None:
    torch.manual_seed(0)
    conv1d = torch.nn.functional.conv1d
    x = _normal(2, 6, 20)
    long = st.LongConv(6, 20, bias=True)
    taps = long.k.flip(1)[:, None]
    causal = conv1d(x, taps, padding=19, groups=6)[..., :20]
    expected = causal + long.skip[:, None] * x + long.bias[:, None]
    torch.testing.assert_close(long(x), expected, rtol=1e-4, atol=1e-5)

    light = st.LightweightConv1d(6, 3, 1, 2, weight_softmax=True, bias=True)
    taps = light.weight.softmax(2).repeat(3, 1, 1)  # head of channel c is c % 2
    torch.testing.assert_close(light(x), conv1d(x, taps, light.bias, padding=1, groups=6))

    dynamic = st.DynamicConv1d(6, 3, num_heads=2, weight_softmax=True)
    t = x.permute(2, 0, 1)  # (T, B, C)
    w = dynamic.weight_linear(t).view(20, 2, 2, 3).softmax(3)
    past = torch.nn.functional.pad(t, (0, 0, 0, 0, 2, 0)).unfold(0, 3, 1).view(20, 2, 2, 3, 3)
    expected = torch.einsum("tbhck,tbhk->tbhc", past, w).reshape(20, 2, 6)
    torch.testing.assert_close(dynamic(t), expected)
    assert list(dynamic.state_dict()) == ["weight_linear.weight"]

    layer = st.Attention(12, 3)
    tokens = _normal(2, 4, 5, 12)
    q, k, v = layer.qkv(tokens).view(2, 20, 3, 3, 4).permute(2, 0, 3, 1, 4)
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    expected = layer.proj(y.transpose(1, 2).reshape(2, 4, 5, 12))
    torch.testing.assert_close(layer(tokens), expected)
    near = st.Attention(12, 3, swath.patterns.Neighborhood(3))
    near.load_state_dict(layer.state_dict())
    near(tokens).sum().backward()
    assert near.qkv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_subnormals_are_kept_whatever_the_callers_mode(threads: int) -> None:
    """Else a result would depend on the thread that a task runs on."""
    x = np.full((2, 64, 40, 40), 1e-39, np.float32)
    w = np.full((64, 64, 3, 3), 0.25, np.float32)
    expected = swath.conv2d(x, w, threads=threads)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush")
    try:
        found = swath.conv2d(x, w, threads=threads)
    finally:
        torch.set_flush_denormal(False)
    assert expected.all()
    assert_same_bits(found, expected)
