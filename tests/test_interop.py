"""Arrays of other libraries in and out, and agreement with PyTorch's results."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import swath
from cases import CASES
from cases.case import Case, numpy_dtype
from support import Array, assert_same_bits, check, require

CASE = Case("interop", "conv2d", (2, 4, 9, 20), (6, 4, 3, 3), {"padding": 1}, ("bias",))


class OnlyDlpack:
    """An array that offers the exchange protocol and nothing else."""

    def __init__(self, array: Array, *, versioned: bool = True) -> None:
        self._array = array
        self._versioned = versioned

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self._versioned:
            return self._array.__dlpack__(**kwargs)
        if kwargs:
            raise TypeError("this producer knows the first protocol only")
        return self._array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "legacy"])
def test_any_dlpack_array_is_read(versioned: bool) -> None:
    arrays = CASE.inputs("f32")
    wrapped = {k: OnlyDlpack(a, versioned=versioned) for k, a in arrays.items()}
    y = CASE.run(swath, wrapped)
    assert_same_bits(np.asarray(y), CASE.run(swath, arrays))


def test_out_of_any_library_is_written() -> None:
    arrays = CASE.inputs("f32")
    expected = CASE.run(swath, arrays)
    target = np.full_like(expected, np.nan)
    out = OnlyDlpack(target)
    assert CASE.run(swath, arrays, out=out) is out
    assert_same_bits(target, expected)


def test_read_only_dlpack_is_read_and_not_written() -> None:
    arrays = CASE.inputs("f32")
    for a in arrays.values():
        a.flags.writeable = False
    expected = CASE.run(swath, arrays)
    y = CASE.run(swath, {k: OnlyDlpack(a) for k, a in arrays.items()})
    assert_same_bits(np.asarray(y), expected)
    expected.flags.writeable = False
    with pytest.raises(swath.Error, match="out"):
        CASE.run(swath, arrays, out=OnlyDlpack(expected))


class _Broken:
    """A producer whose promise is not kept."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __dlpack__(self, **kwargs: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def __dlpack_device__(self) -> Any:
        return (1, 0)


def _used_capsule() -> Any:
    capsule = np.ones((1, 1, 3, 3), np.float32).__dlpack__()
    np.from_dlpack(_Broken(capsule))
    return capsule


@pytest.mark.parametrize(
    "answer",
    [None, 1, "x", object(), RuntimeError("mine"), _used_capsule()],
    ids=["none", "number", "text", "object", "error", "used_capsule"],
)
def test_a_broken_producer_is_an_error(answer: Any) -> None:
    with pytest.raises((swath.Error, TypeError, ValueError, RuntimeError, BufferError)):
        swath.conv2d(np.ones((1, 1, 9, 9), np.float32), _Broken(answer))


def test_read_only_numpy_is_read_and_not_written() -> None:
    arrays = CASE.inputs("f32")
    for a in arrays.values():
        a.flags.writeable = False
    y = CASE.run(swath, arrays)
    assert y.flags.writeable
    y.flags.writeable = False
    with pytest.raises((swath.ParamError, swath.LayoutError), match="out"):
        CASE.run(swath, arrays, out=y)


def test_lists_become_numpy() -> None:
    y = swath.conv1d([[1.0, 2.0, 4.0, 8.0]], [[[1.0, 1.0]]])
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, [[3.0, 6.0, 12.0]])


@pytest.mark.parametrize("kind", ["list", "tuple", "torch"])
def test_own_dilations_are_any_table(kind: str) -> None:
    x, weight = np.ones((2, 3, 9, 9), np.float32), np.ones((3, 3, 3, 3), np.float32)
    rows = [[1, 2], [2, 1], [3, 3]]
    table: Any = rows
    if kind == "tuple":
        table = tuple(map(tuple, rows))
    elif kind == "torch":
        table = require("torch").tensor(rows)
    expected = swath.conv2d(x, weight, padding="same", dilation=np.array(rows))
    assert_same_bits(swath.conv2d(x, weight, padding="same", dilation=table), expected)
    assert_same_bits(swath.Conv2d(weight, padding="same", dilation=table)(x), expected)


def test_bfloat16_of_ml_dtypes() -> None:
    require("ml_dtypes")
    arrays = CASE.inputs("bf16")
    y = CASE.run(swath, arrays)
    assert y.dtype == numpy_dtype("bf16")
    check(CASE, y, arrays)


def test_results_outlive_their_inputs() -> None:
    arrays = CASE.inputs("f32")
    expected = CASE.run(swath, arrays).copy()
    y = CASE.run(swath, {k: OnlyDlpack(a.copy()) for k, a in arrays.items()})
    view = np.asarray(y)[:, 1]
    del y, arrays
    gc.collect()
    assert_same_bits(view, expected[:, 1])


def _torch(arrays: dict[str, Array]) -> dict[str, Any]:
    torch = require("torch")
    return {k: torch.from_numpy(a) for k, a in arrays.items()}


def test_torch_in_torch_out() -> None:
    torch = require("torch")
    arrays = CASE.inputs("f32")
    tensors = _torch(arrays)
    y = CASE.run(swath, tensors)
    assert isinstance(y, torch.Tensor)
    assert y.dtype == torch.float32
    expected = CASE.run(swath, arrays)
    assert_same_bits(y.numpy(), expected)
    out = torch.full(y.shape, torch.nan)
    assert CASE.run(swath, tensors, out=out) is out
    assert_same_bits(out.numpy(), expected)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float64"])
def test_torch_dtypes(name: str) -> None:
    torch = require("torch")
    x = torch.randn(2, 4, 9, 20).to(getattr(torch, name))
    w = torch.randn(6, 4, 3, 3).to(x.dtype)
    y = swath.conv2d(x, w, padding=1)
    assert y.dtype == x.dtype
    expected = torch.nn.functional.conv2d(x.double(), w.double(), padding=1)
    assert ((y.double() - expected).abs() <= 0.05 * expected.abs() + 0.1).all()


def test_torch_views_are_read_in_place() -> None:
    torch = require("torch")
    x = torch.randn(2, 20, 9, 4).permute(0, 3, 2, 1)
    channels_last = torch.randn(2, 4, 9, 20).contiguous(memory_format=torch.channels_last)
    w = torch.randn(6, 4, 3, 3)
    for view in (x, channels_last, x[:, :, ::2], x[:1].expand(3, -1, -1, -1)):
        y = swath.conv2d(view, w)
        assert_same_bits(y.numpy(), swath.conv2d(view.contiguous(), w).numpy())


def test_plan_of_torch_weights() -> None:
    torch = require("torch")
    x, w = torch.randn(1, 4, 9, 20), torch.randn(6, 4, 3, 3)
    y = swath.Conv2d(w, padding=1)(x)
    assert isinstance(y, torch.Tensor)
    assert_same_bits(y.numpy(), swath.conv2d(x, w, padding=1).numpy())


def test_the_first_array_decides_the_library() -> None:
    torch = require("torch")
    arrays = CASE.inputs("f32")
    y = swath.conv2d(arrays["x"], torch.from_numpy(arrays["weight"]))
    assert isinstance(y, np.ndarray)


def test_jax_in_jax_out() -> None:
    jax = require("jax")
    arrays = CASE.inputs("f32")
    y = CASE.run(swath, {k: jax.numpy.asarray(a) for k, a in arrays.items()})
    assert isinstance(y, jax.Array)
    assert_same_bits(np.asarray(y), CASE.run(swath, arrays))


_KNOWN = {"stride", "padding", "dilation", "groups", "output_padding"}
PARITY = [
    case
    for op in ("sliding_conv", "conv_transpose")
    for case in CASES[op]
    if set(case.kwargs) <= _KNOWN
    and set(case.extras) <= {"bias"}
    and case.fill == "normal"
    and 0 not in case.x
    and case.weight
    and 0 not in case.weight
    and np.ndim(case.kwargs.get("dilation", 1)) < 2
    and (
        isinstance(case.kwargs.get("padding", 0), int)
        or all(isinstance(p, int) for p in case.kwargs["padding"])
    )
    and not (case.ndim == 1 and isinstance(case.kwargs.get("padding", 0), tuple))
]


@pytest.mark.parametrize("case", PARITY, ids=str)
def test_convolutions_agree_with_torch(case: Case) -> None:
    torch = require("torch")
    tensors = _torch(case.inputs("f64"))
    ours = case.run(swath, tensors)
    x, w, b = tensors["x"], tensors["weight"], tensors.get("bias")
    theirs = getattr(torch.nn.functional, case.function)(x, w, b, **case.kwargs)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize(("window", "stride", "padding"), [(2, None, 0), (3, 2, 1), (5, 1, 2)])
def test_pooling_agrees_with_torch(
    kind: str, window: int, stride: int | None, padding: int
) -> None:
    torch = require("torch")
    x = torch.randn(2, 3, 13, 18)
    name = f"{kind}_pool2d"
    ours = getattr(swath, name)(x, window, stride=stride, padding=padding)
    theirs = getattr(torch.nn.functional, name)(x, window, stride=stride, padding=padding)
    torch.testing.assert_close(ours, theirs)


def test_pixel_unshuffle_agrees_with_torch() -> None:
    torch = require("torch")
    x = torch.randn(2, 3, 8, 12)
    y = swath.space_to_depth(x, 2)
    assert torch.equal(y, torch.nn.functional.pixel_unshuffle(x, 2))
    assert torch.equal(swath.depth_to_space(y, 2), x)
