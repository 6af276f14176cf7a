"""What several tests share: required packages, array variants, guarded memory."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import math
import mmap
import os
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import oracle
import swath
from cases.case import Case, numpy_dtype

Array = NDArray[Any]
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
IS_SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")


def require(name: str) -> ModuleType:
    """Import an optional package; its absence skips at home and fails in CI."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if IN_CI:
            pytest.fail(f"{name} must be installed where CI=true")
        pytest.skip(f"{name} is not installed", allow_module_level=True)


def split_kernel(op: str, kernel: str) -> tuple[str, str]:
    """(dtype, isa) of a kernel name `<op>_<dtype>_<isa>[_<variant>]`."""
    dtype, isa, *_ = kernel.removeprefix(f"{op}_").split("_")
    return dtype, isa


def kernels(op: str) -> list[str]:
    """Kernels of the operator that this machine can run, the reference last."""
    return [str(k) for k in swath.info.kernels(op)]


def clusters() -> list[str]:
    """The instruction-set clusters of this machine, and the reference."""
    return sorted({split_kernel("sliding_conv", k)[1] for k in kernels("sliding_conv")})


def assert_close_to(expected: oracle.Result, actual: Any, dtype: np.dtype[Any]) -> None:
    """Shape, dtype and values agree with an oracle's result."""
    assert actual.shape == expected.value.shape
    assert actual.dtype == dtype
    if dtype.kind in "biu":
        assert_same_bits(actual, expected.value)
        return
    swath.testing.assert_close(
        actual, expected.value, terms=expected.terms, magnitude=expected.magnitude
    )


def check(case: Case, actual: Any, arrays: Mapping[str, Array]) -> None:
    """The result agrees with the oracle within the published rule."""
    assert_close_to(case.oracle(arrays), actual, next(iter(arrays.values())).dtype)


def bits(a: Any) -> bytes:
    """The raw bytes in C order, so that NaN equals NaN and -0 differs from 0."""
    return np.ascontiguousarray(a).tobytes()


def assert_same_bits(a: Any, b: Any) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    if bits(a) != bits(b):
        different = a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}")
        first = tuple(int(i[0]) for i in np.nonzero(different))
        values = f"{a[first]} against {b[first]}"
        pytest.fail(f"{different.sum()} of {a.size} differ, first at {first}: {values}")


def _poison(dtype: np.dtype[Any]) -> float:
    return 99 if dtype.kind in "biu" else np.nan


def _poisoned_around(a: Array) -> Array:
    """`a` inside a larger array whose other elements are NaN."""
    big = np.full([n + 6 for n in a.shape], _poison(a.dtype), a.dtype)
    inner = big[tuple(slice(3, 3 + n) for n in a.shape)]
    inner[...] = a
    return inner


def _every_second(a: Array) -> Array:
    big = np.full([*a.shape[:-1], 2 * a.shape[-1] + 1], _poison(a.dtype), a.dtype)
    view = big[..., 1::2]
    view[...] = a
    return view


def _reversed_axes(a: Array) -> Array:
    flip = tuple(slice(None, None, -1) for _ in a.shape)
    return np.ascontiguousarray(a[flip])[flip]


def _transposed(a: Array) -> Array:
    return np.ascontiguousarray(a.T).T


def _swapped_batch(a: Array) -> Array:
    second = min(1, a.ndim - 1)
    return np.ascontiguousarray(np.swapaxes(a, 0, second)).swapaxes(0, second)


def _misaligned(a: Array) -> Array:
    raw = np.zeros(a.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64 + a.itemsize
    view: Array = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _unaligned(a: Array) -> Array:
    """At an odd address: no vector and no scalar load may assume more than bytes."""
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view: Array = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _field_of_records(a: Array) -> Array:
    """Strides that are no multiple of the item."""
    records = np.zeros(a.shape, np.dtype([("flag", np.uint8), ("value", a.dtype)]))
    records["value"] = a
    return records["value"]


def _read_only(a: Array) -> Array:
    copy = a.copy()
    copy.flags.writeable = False
    return copy


VIEWS: dict[str, Callable[[Array], Array]] = {
    "poisoned_around": _poisoned_around,
    "every_second": _every_second,
    "reversed": _reversed_axes,
    "transposed": _transposed,
    "swapped_batch": _swapped_batch,
    "misaligned": _misaligned,
    "unaligned": _unaligned,
    "field_of_records": _field_of_records,
    "read_only": _read_only,
}


def _protect(address: int, n_bytes: int, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    status = libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(n_bytes), ctypes.c_int(flags))
    assert status == 0, os.strerror(ctypes.get_errno())


@contextlib.contextmanager
def between_forbidden_pages(
    arrays: Mapping[str, Array], *, flush: str
) -> Iterator[dict[str, Array]]:
    """Copies that touch a forbidden page: `flush` is "end" or "start".

    A read one element past the array then ends the process instead of going unnoticed.
    """
    page = mmap.PAGESIZE
    readable = mmap.PROT_READ | mmap.PROT_WRITE
    opened: list[tuple[mmap.mmap, int, int]] = []
    copies: dict[str, Array] = {}
    try:
        for name, a in arrays.items():
            n_pages = max(1, -(-a.nbytes // page))
            memory = mmap.mmap(-1, (n_pages + 2) * page)
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            opened.append((memory, address, n_pages))
            _protect(address, page, 0)
            _protect(address + (n_pages + 1) * page, page, 0)
            start = page if flush == "start" else (n_pages + 1) * page - a.nbytes
            flat = np.frombuffer(memory, np.uint8, a.nbytes, start)
            copies[name] = flat.view(a.dtype).reshape(a.shape)
            copies[name][...] = a
        yield copies
    finally:
        copies.clear()
        for _, address, n_pages in opened:
            _protect(address, (n_pages + 2) * page, readable)


def guarded(shape: tuple[int, ...], dtype: str, *, gap: int = 0) -> tuple[Array, Array]:
    """(out, whole): a NaN-filled view, and the array around it, filled with a pattern.

    The view is contiguous with gap 0; else its last axis has that stride, and rows lie apart.
    """
    n = math.prod(shape)
    padded = [m * gap + 4 for m in shape] if gap else [n + 64]
    whole = np.full(padded, 77, numpy_dtype(dtype))
    if gap:
        out = whole[tuple(slice(2, 2 + m * gap, gap) for m in shape)]
    else:
        out = whole[32 : 32 + n].reshape(shape)
    out[...] = np.nan
    return out, whole


def outside_untouched(out: Array, whole: Array) -> bool:
    """The pattern around the view is intact. Overwrites `out`."""
    out[...] = 77
    return bool((whole == 77).all())
