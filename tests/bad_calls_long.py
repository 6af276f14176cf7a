"""The wrong calls of long convolutions, their gradients and plans."""

from __future__ import annotations

from typing import Any

import numpy as np

from bad_call import BadCall, ones, wrong

_u, _k = ones(2, 4, 30), ones(2, 7)
_read_only = ones(2, 4, 30)
_read_only.flags.writeable = False
_lopsided = np.r_[1.0, 1.0, np.zeros(38)]


def _long(id_: str, error: str, arg: str, u: Any = _u, k: Any = _k, **options: Any) -> BadCall:
    return wrong(f"long_{id_}", "long_conv", error, arg, u, k, **options)


LONG: list[BadCall] = [
    _long("u_rank", "ShapeError", "u", ones(30)),
    _long("u_four_axes", "ShapeError", "u", ones(1, 2, 4, 30)),
    _long("u_integers", "DTypeError", "u", np.ones((2, 4, 30), int)),
    _long("u_complex", "DTypeError", "u", np.ones((2, 4, 30), np.complex64)),
    _long("k_rank", "ShapeError", "k", k=ones(7)),
    _long("k_no_taps", "ShapeError", "k", k=ones(2, 0)),
    _long("k_heads", "ShapeError", "k", k=ones(3, 7)),
    _long("k_dtype", "DTypeError", "k", k=ones(2, 7, dtype=np.float64)),
    _long("k_too_long_for_circular", "ShapeError", "k", k=ones(2, 31), mode="circular"),
    _long("mode", "ParamError", "mode", mode="reflect"),
    _long("method", "ParamError", "method", method="winograd"),
    _long("head_map", "ParamError", "head_map", head_map="grouped"),
    _long("layout", "ParamError", "layout", layout="NCHW"),
    _long("offset_in_causal", "ParamError", "offset", offset=3),
    _long("offset_in_same", "ParamError", "offset", offset=3, mode="same"),
    _long("offset_fraction", "ParamError", "offset", offset=1.5, mode="two_sided"),
    _long("correlate_causal", "ParamError", "correlate", correlate=True),
    _long("correlate_number", "ParamError", "correlate", correlate=2, mode="same"),
    _long("skip_shape", "ShapeError", "skip", skip=ones(2)),
    _long("skip_in_full", "ParamError", "skip", skip=ones(4), mode="full"),
    _long("skip_dtype", "DTypeError", "skip", skip=ones(4, dtype=np.float16)),
    _long("bias_shape", "ShapeError", "bias", bias=ones(4, 1)),
    _long("pre_gate_shape", "ShapeError", "pre_gate", pre_gate=ones(2, 4, 29)),
    _long("pre_gate_dtype", "DTypeError", "pre_gate", pre_gate=ones(2, 4, 30, dtype=np.float64)),
    _long("post_gate_of_u", "ShapeError", "post_gate", post_gate=_u, mode="full"),
    _long("mask_without_period", "ParamError", "n_fft", freq_mask=ones(16)),
    _long("mask_in_same", "ParamError", "freq_mask", freq_mask=ones(21), n_fft=40, mode="same"),
    _long("mask_bins", "ShapeError", "freq_mask", freq_mask=ones(22), n_fft=40),
    _long("mask_rank", "ShapeError", "freq_mask", freq_mask=ones(1, 21), n_fft=40),
    _long("mask_not_symmetric", "ParamError", "freq_mask", freq_mask=_lopsided, n_fft=40),
    _long("mask_complex", "DTypeError", "freq_mask", freq_mask=np.ones(21, complex), n_fft=40),
    _long("mask_text", "DTypeError", "freq_mask", freq_mask="lowpass", n_fft=40),
    _long("n_fft_below_length", "ParamError", "n_fft", n_fft=29),
    _long("n_fft_below_taps", "ParamError", "n_fft", k=ones(2, 50), n_fft=40),
    _long("n_fft_negative", "ParamError", "n_fft", n_fft=-4),
    _long("n_fft_not_length", "ParamError", "n_fft", n_fft=40, mode="circular"),
    _long("out_shape", "ShapeError", "out", out=ones(2, 4, 29)),
    _long("out_dtype", "DTypeError", "out", out=ones(2, 4, 30, dtype=np.float64)),
    _long("out_read_only", "ParamError", "out", out=_read_only),
    _long("out_is_u", "ParamError", "out", out=_u),
    _long("threads", "ParamError", "threads", threads=0),
    wrong("grad_long_dy", "grad.long_conv", "ShapeError", "dy", ones(2, 4, 29), _u, _k),
    wrong("grad_long_dy_of_full", "grad.long_conv", "ShapeError", "dy", _u, _u, _k, mode="full"),
    wrong("grad_long_needs", "grad.long_conv", "ParamError", "needs", _u, _u, _k, needs=("x",)),
    wrong("grad_long_needs_text", "grad.long_conv", "ParamError", "needs", _u, _u, _k, needs="u"),
    wrong(
        "grad_long_dy_dtype",
        "grad.long_conv",
        "DTypeError",
        "dy",
        ones(2, 4, 30, dtype=np.float64),
        _u,
        _k,
    ),
    wrong("plan_long_k", "LongConv", "ShapeError", "k", ones(7)),
    wrong("plan_long_length", "LongConv", "ParamError", "length", _k, length=0),
    wrong("plan_long_skip", "LongConv", "ShapeError", "skip", _k, skip=ones(2, 2)),
    wrong("plan_long_heads", "LongConv", "ShapeError", "k", _k, skip=ones(3)),
    wrong("plan_long_circular", "LongConv", "ShapeError", "k", _k, length=5, mode="circular"),
    wrong("plan_long_mask", "LongConv", "ParamError", "n_fft", _k, freq_mask=ones(9)),
    wrong("spectrum_real", "LongConv.from_spectrum", "DTypeError", "spectrum", ones(2, 9)),
    wrong(
        "spectrum_bins",
        "LongConv.from_spectrum",
        "ShapeError",
        "spectrum",
        np.ones((2, 9), np.complex64),
        n_fft=20,
    ),
    wrong(
        "spectrum_taps",
        "LongConv.from_spectrum",
        "ParamError",
        "taps",
        np.ones((2, 9), np.complex64),
        taps=17,
    ),
]
