"""Masks over frequencies, as the impulse responses that the compiled part takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from swath import _core
from swath._types import Array


def resolve(
    op: str, freq_mask: Any, n_fft: int | None, u: Array | None, mode: str, layout: str
) -> tuple[Array | None, int | None]:
    """Return the float64 response of a mask and its period, both None where there is none."""
    if freq_mask is None and n_fft is None:
        return None, None
    if n_fft is None and mode == "circular" and u is not None:
        n_fft = _length(u, layout)
    if n_fft is None:
        raise refuse(_core.ParamError, op, "n_fft", "n_fft is None, needed is the mask's period")
    if isinstance(n_fft, bool) or not hasattr(n_fft, "__index__") or int(n_fft) < 0:
        raise refuse(
            _core.ParamError, op, "n_fft", f"n_fft is {n_fft!r}, needed is a positive integer"
        )
    n_fft = int(n_fft)
    if n_fft == 0:
        return None, None  # an empty row
    if freq_mask is None:
        return np.eye(1, n_fft)[0], n_fft
    return np.fft.irfft(half(op, freq_mask, n_fft), n_fft), n_fft


def half(op: str, freq_mask: Any, n_fft: int) -> Array:
    """Return the float64 bins of rfft: the first half of a mask over all, if symmetric."""
    n_bins = n_fft // 2 + 1
    if _is_lowpass(freq_mask):
        return (np.arange(n_bins) <= float(freq_mask[1]) * n_fft).astype(np.float64)
    try:
        mask = np.asarray(freq_mask)
        if mask.dtype.kind not in "biuf":
            mask = mask.astype(np.float64, casting="same_kind")
    except (TypeError, ValueError, RuntimeError):
        found = getattr(freq_mask, "dtype", type(freq_mask).__name__)
        raise refuse(
            _core.DTypeError, op, "freq_mask",
            f"freq_mask is of {found}, needed are bool or real numbers",
        ) from None  # fmt: skip
    mask = mask.astype(np.float64)
    if mask.shape == (n_fft,) and n_bins != n_fft:
        if not np.array_equal(mask[1:], mask[:0:-1], equal_nan=True):
            raise refuse(
                _core.ParamError, op, "freq_mask",
                f"freq_mask has all {n_fft} bins but is not symmetric, so its result is not real",
            )  # fmt: skip
        return mask[:n_bins]
    if mask.shape != (n_bins,):
        raise refuse(
            _core.ShapeError, op, "freq_mask",
            f"freq_mask has shape {mask.shape}, needed is ({n_bins},) for n_fft={n_fft}",
        )  # fmt: skip
    return mask


def _is_lowpass(mask: Any) -> bool:
    return isinstance(mask, tuple) and len(mask) == 2 and mask[0] == "lowpass"


def _length(u: Array, layout: str) -> int | None:
    shape = getattr(u, "shape", None) or np.shape(u)
    if len(shape) < 2:
        return None
    return int(shape[-2] if layout == "channels_last" else shape[-1])


def refuse(cls: type[_core.Error], op: str, arg: str, text: str) -> _core.Error:
    """Return the error of an argument that this side reads."""
    error = cls(f"{op}: {text}")
    error.op, error.arg = op, arg
    return error
