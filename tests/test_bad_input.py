"""Every wrong call raises its class, names function and argument, and leaves `out` alone."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

import swath
from bad_call import BadCall, ones
from bad_calls import BAD_CALLS
from bad_calls_deform import DEFORM_GRADIENTS, KERNELS
from bad_calls_grad import GRADIENTS
from bad_calls_tools import TOOLS
from bad_gradient_calls import BAD_GRADIENT_CALLS
from support import IS_SANITIZED, require

BUILTIN = {
    "ShapeError": ValueError,
    "DTypeError": TypeError,
    "ParamError": ValueError,
    "DeviceError": ValueError,
    "LayoutError": ValueError,
    "UnsupportedError": NotImplementedError,
    "OutOfMemoryError": MemoryError,
    "DeviceFailure": RuntimeError,
    "InternalError": RuntimeError,
}


ONE, KERNEL = ones(1, 1, 2, 2), ones(1, 1, 3, 3)


@pytest.mark.parametrize(("name", "base"), BUILTIN.items())
def test_error_classes_are_also_builtin_ones(name: str, base: type[Exception]) -> None:
    assert issubclass(getattr(swath, name), base)
    assert issubclass(getattr(swath, name), swath.Error)


EVERY = [
    *BAD_CALLS,
    *BAD_GRADIENT_CALLS,
    *GRADIENTS,
    *TOOLS,
    *DEFORM_GRADIENTS,
    *KERNELS,
]


@pytest.mark.parametrize("bad", EVERY, ids=str)
def test_bad_call_raises_its_class(bad: BadCall) -> None:
    args, kwargs = bad.call()
    with pytest.raises(getattr(swath, bad.error)) as caught:
        attrgetter(bad.function)(swath)(*args, **kwargs)
    text = str(caught.value)
    assert text.startswith(f"{bad.function}: "), text
    assert re.search(rf"\b{bad.arg}\b", text), text
    assert caught.value.op == bad.function
    assert caught.value.arg == bad.arg


WITHOUT_OUT = [  # gradients and the classes of plans take no `out`
    b
    for b in BAD_CALLS
    if "out" not in b.call()[1] and not b.function.startswith("grad.") and b.function.islower()
]


@pytest.mark.parametrize("bad", WITHOUT_OUT, ids=str)
def test_out_is_untouched_after_an_error(bad: BadCall) -> None:
    args, kwargs = bad.call()
    out = np.full((2, 4, 7, 7), 77, np.float32)
    with pytest.raises(swath.Error):
        getattr(swath, bad.function)(*args, **kwargs, out=out)
    assert (out == 77).all()


def test_the_table_is_long_enough_and_its_ids_are_unique() -> None:
    assert len(BAD_CALLS) >= 70
    assert len({b.id for b in EVERY}) == len(EVERY)


def test_message_says_what_was_found_and_what_is_needed() -> None:
    with pytest.raises(swath.ShapeError, match=r"^conv2d: weight has 3 input channels, x has 8"):
        swath.conv2d(ones(2, 8, 9, 9), ones(4, 3, 3, 3))


def test_uint8_message_says_how_to_convert() -> None:
    with pytest.raises(swath.DTypeError, match=r"astype|float32"):
        swath.conv2d(ones(1, 1, 9, 9, dtype=np.uint8), ones(1, 1, 3, 3))


def test_mistyped_keywords_are_type_errors() -> None:
    with pytest.raises(TypeError, match="paddng"):
        swath.conv2d(ones(1, 1, 9, 9), ones(1, 1, 3, 3), paddng=1)
    with pytest.raises(TypeError):
        swath.conv2d(ones(1, 1, 9, 9))
    with pytest.raises(TypeError):
        swath.conv2d(ones(1, 1, 9, 9), ones(1, 1, 3, 3), None, 2)


class _OnGpu:
    """Claims to live on a CUDA device that this build cannot read."""

    def __dlpack__(self, **kwargs: Any) -> Any:
        raise AssertionError(f"must not be asked for its data ({sorted(kwargs)})")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


def test_an_array_on_another_device_is_a_device_error() -> None:
    with pytest.raises(swath.DeviceError, match=r"conv2d: .*x\b") as caught:
        swath.conv2d(_OnGpu(), ones(1, 1, 3, 3))
    assert caught.value.arg == "x"
    with pytest.raises(swath.DeviceError, match="weight"):
        swath.conv2d(ones(1, 1, 9, 9), _OnGpu())


def test_torch_meta_and_grad_tensors_are_named_errors() -> None:
    torch = require("torch")
    w = torch.ones(1, 1, 3, 3)
    with pytest.raises((swath.Error, BufferError, ValueError, RuntimeError)):
        swath.conv2d(torch.ones(1, 1, 9, 9, device="meta"), w)
    with pytest.raises((swath.Error, BufferError, RuntimeError)):
        swath.conv2d(torch.ones(1, 1, 9, 9, requires_grad=True), w)


HUGE = 2**31 - 1
TOO_LARGE = [
    BadCall("padding", "conv2d", "", "", lambda: ((ONE, KERNEL), {"padding": HUGE})),
    BadCall("pool_padding", "avg_pool2d", "", "", lambda: ((ONE, 3), {"padding": HUGE})),
    BadCall("reduce_padding", "sliding_reduce", "", "", lambda: ((ONE, 3), {"padding": 2**40})),
    BadCall(
        "transposed_stride", "conv_transpose2d", "", "", lambda: ((ONE, KERNEL), {"stride": HUGE})
    ),
    BadCall(
        "batch", "conv2d", "", "", lambda: ((np.broadcast_to(ONE, (2**57, 1, 2, 2)), KERNEL), {})
    ),
]


@pytest.mark.skipif(IS_SANITIZED, reason="the sanitizer's allocator ends the process")
@pytest.mark.parametrize("call", TOO_LARGE, ids=str)
def test_sizes_that_overflow_are_errors_not_crashes(call: BadCall) -> None:
    args, kwargs = call.call()
    with pytest.raises((swath.OutOfMemoryError, swath.ShapeError, swath.ParamError)) as caught:
        getattr(swath, call.function)(*args, **kwargs)
    assert str(caught.value).startswith(f"{call.function}: ")


def test_taps_far_beyond_the_image_count_as_padding() -> None:
    """Only the middle tap meets the image; nothing of the size of the gap is made."""
    x = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    weight = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    for far in (1000, 10**6, HUGE):
        y = swath.conv2d(x, weight, dilation=far, padding=far)
        np.testing.assert_array_equal(y, 4 * x)


def test_plans_check_their_arguments_at_once() -> None:
    with pytest.raises(swath.ParamError, match="stride"):
        swath.Conv2d(ones(4, 3, 3, 3), stride=0)
    with pytest.raises(swath.ShapeError, match="bias"):
        swath.Conv2d(ones(4, 3, 3, 3), ones(3))
    with pytest.raises(swath.ParamError, match="groups"):
        swath.Conv2d(ones(4, 3, 3, 3), groups=3)


@pytest.mark.parametrize("n", [0, -1, 1.5, "two", None])
def test_thread_counts_are_checked(n: Any) -> None:
    with pytest.raises((swath.Error, TypeError)):
        swath.set_num_threads(n)
