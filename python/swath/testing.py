"""What tests of numerical code need: choose a kernel, know the tolerance, compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from swath import _core
from swath._types import Array

TOLERANCE_FACTORS = {"sum": 4.0}
"""The factor c of `tolerance` for each kind of sum."""

_SHORT_NAMES = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}
# (spacing of numbers at 1, smallest and largest positive number)
_FORMATS = {
    "float16": (2.0**-10, 2.0**-24, 65504.0),
    "bfloat16": (2.0**-7, 2.0**-133, (2 - 2.0**-7) * 2.0**127),
    "float32": (2.0**-23, 2.0**-149, (2 - 2.0**-23) * 2.0**127),
    "float64": (2.0**-52, 2.0**-1074, (2 - 2.0**-52) * 2.0**1023),
}


@contextmanager
def force_kernel(name: str) -> Iterator[None]:
    """Restrict the calls of this thread to a kernel, a variant or an instruction set.

    Parameters
    ----------
    name : str
        A full name as `info.kernels` lists them, which restricts only its own operator; or a
        variant or an instruction-set name such as ``"avx2"``, which restrict all.

    Raises
    ------
    ParamError
        If this machine has no such kernel.
    UnsupportedError
        From the call, if the kernel cannot serve it.
    """
    previous = _core.force_kernel(name)
    try:
        yield
    finally:
        _core.force_kernel(previous)


def tolerance(dtype: Any, terms: int, *, kind: str = "sum") -> float:
    """Return the error allowed to a sum of ``terms`` products, relative to the sum of magnitudes.

    ``c eps sqrt(max(terms, 1))`` with ``c = TOLERANCE_FACTORS[kind]``. eps is that of the dtype
    that sums are accumulated in: float32 for 16-bit data, whose own rounding `assert_close` adds.

    Examples
    --------
    >>> import swath
    >>> swath.testing.tolerance("float32", 9) / 2**-23
    12.0
    """
    if kind not in TOLERANCE_FACTORS:
        raise _bad("kind", kind, TOLERANCE_FACTORS)
    name = dtype_name(dtype)
    eps = _FORMATS["float64" if name == "float64" else "float32"][0]
    return float(TOLERANCE_FACTORS[kind] * eps * max(terms, 1) ** 0.5)


def assert_close(
    actual: Array,
    expected: Array,
    *,
    terms: int = 1,
    magnitude: Array | None = None,
    dtype: Any = None,
) -> None:
    """Assert that sums of ``terms`` products are as exact as their dtype allows.

    Elementwise ``|actual - expected| <= tolerance(dtype, terms) * magnitude``, for 16-bit data plus
    the rounding of the result; NaN and infinities must be in the same places. A result that its
    dtype cannot hold may be infinite.

    Parameters
    ----------
    actual, expected : array
        The second one preferably wider, such as float64 or longdouble.
    terms : int
        Products in the longest sum.
    magnitude : array, optional
        Sum of ``|weight| |x|`` for every element; default ``|expected|``.
    dtype : optional
        Of the computation; default that of ``actual``.

    Raises
    ------
    AssertionError
        Names the worst element.
    """
    name = dtype_name(getattr(actual, "dtype", np.float64) if dtype is None else dtype)
    a, e = _wide(actual), _wide(expected)
    if a.shape != e.shape:
        raise AssertionError(f"shapes differ: {a.shape}, expected {e.shape}")
    scale = np.abs(e) if magnitude is None else np.broadcast_to(_wide(magnitude), e.shape)
    eps, tiny, largest = _FORMATS[name]
    allowed = np.asarray(tolerance(name, terms) * scale + max(terms, 1) * tiny)
    if name in ("float16", "bfloat16"):
        allowed = allowed + eps * np.abs(e)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(a - e)
        overflows = np.isinf(a) & (np.sign(a) == np.sign(e)) & (np.abs(e) + allowed >= largest)
        is_close = (a == e) | (np.isnan(a) & np.isnan(e)) | overflows
        is_close |= np.isfinite(error) & (error <= allowed)
    if not is_close.all():
        raise AssertionError(_describe_worst(a, e, error, allowed, is_close))


def dtype_name(dtype: Any) -> str:
    """Return ``"float32"`` for NumPy's, torch's and jax's dtype, its type, or a name."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if not isinstance(name, str):
        name = getattr(dtype, "__name__", str(dtype))
    name = name.rpartition(".")[2]
    name = _SHORT_NAMES.get(name, name)
    if name not in _FORMATS:
        raise _bad("dtype", dtype, _FORMATS)
    return name


def _bad(arg: str, found: object, known: Iterable[str]) -> _core.ParamError:
    error = _core.ParamError(f"tolerance: {arg} is {found!r}, needed is one of {', '.join(known)}")
    error.op, error.arg = "tolerance", arg
    return error


def _wide(array: Array) -> np.ndarray[Any, np.dtype[np.longdouble]]:
    if not isinstance(array, np.ndarray) and hasattr(type(array), "__dlpack__"):
        array = _core.as_numpy(array)
    return np.asarray(array).astype(np.longdouble)


def _describe_worst(
    actual: np.ndarray[Any, Any],
    expected: np.ndarray[Any, Any],
    error: np.ndarray[Any, Any],
    allowed: np.ndarray[Any, Any],
    is_close: np.ndarray[Any, Any],
) -> str:
    excess = np.where(is_close, -1.0, np.nan_to_num(error / allowed, nan=np.inf, posinf=np.inf))
    at = np.unravel_index(int(np.argmax(excess)), error.shape)
    return (
        f"{int((~is_close).sum())} of {is_close.size} elements are not close; the worst is at "
        f"{tuple(int(i) for i in at)}: {actual[at]:.9g}, expected {expected[at]:.9g}, "
        f"error {error[at]:.3g}, allowed {allowed[at]:.3g}"
    )
