"""Wrong calls of partial and gated convolution, as in `bad_calls`."""

from __future__ import annotations

from typing import Any

import numpy as np

from bad_call import F32, BadCall, ones, wrong


def _partial(id_: str, error: str, arg: str, mask: Any = None, **kwargs: Any) -> BadCall:
    """partial_conv2d on (2, 8, 9, 9) with a mask of ones and one thing wrong."""
    given = ones(2, 1, 9, 9, dtype=bool) if mask is None else mask
    return wrong(
        f"partial_{id_}",
        "partial_conv2d",
        error,
        arg,
        ones(2, 8, 9, 9),
        ones(4, 8, 3, 3),
        mask=given,
        **kwargs,
    )


def _gated(id_: str, error: str, arg: str, w: Any = None, **kwargs: Any) -> BadCall:
    """gated_conv2d on (2, 8, 9, 9) and (8, 8, 3, 3) with one thing wrong."""
    weight = ones(8, 8, 3, 3) if w is None else w
    return wrong(f"gated_{id_}", "gated_conv2d", error, arg, ones(2, 8, 9, 9), weight, **kwargs)


def _holding(value: float, dtype: Any = F32) -> Any:
    mask = ones(2, 1, 9, 9, dtype=dtype)
    mask[1, 0, 8, 8] = value
    return mask


MASKED = [
    _partial("mask_nan", "ParamError", "mask", _holding(np.nan)),
    _partial("mask_above_one", "ParamError", "mask", _holding(1.0001)),
    _partial("mask_negative", "ParamError", "mask", _holding(-1e-6)),
    _partial("mask_inf", "ParamError", "mask", _holding(np.inf)),
    _partial("mask_uint8_255", "ParamError", "mask", _holding(255, np.uint8)),
    _partial("mask_int64", "DTypeError", "mask", _holding(1, np.int64)),
    _partial("mask_int8", "DTypeError", "mask", _holding(1, np.int8)),
    _partial("mask_complex", "DTypeError", "mask", _holding(1, np.complex64)),
    _partial("mask_rank", "ShapeError", "mask", ones(9, 9)),
    _partial("mask_spatial", "ShapeError", "mask", ones(2, 1, 9, 8)),
    _partial("mask_channels", "ShapeError", "mask", ones(2, 4, 9, 9)),
    _partial("mask_batch", "ShapeError", "mask", ones(3, 1, 9, 9)),
    _partial("mask_layout", "ShapeError", "mask", ones(2, 9, 9, 1)),
    _partial("update", "ParamError", "mask_update", mask_update="all"),
    _partial("same_with_channels", "ParamError", "mask_update", ones(2, 8, 9, 9),
             mask_update="same"),
    _partial("renormalize", "ParamError", "renormalize", renormalize="yes"),
    _partial("eps_negative", "ParamError", "eps", eps=-1.0),
    _partial("eps_nan", "ParamError", "eps", eps=float("nan")),
    _partial("dilation_array", "ParamError", "dilation", dilation=np.ones((4, 2), int)),
    _partial("bias_length", "ShapeError", "bias", bias=ones(8)),
    _partial("groups", "ParamError", "groups", groups=3),
    _gated("odd_weight", "ShapeError", "weight", ones(7, 8, 3, 3)),
    _gated("weight_channels", "ShapeError", "weight", ones(8, 4, 3, 3)),
    _gated("bias_of_one_half", "ShapeError", "bias", bias=ones(4)),
    _gated("scale_of_one_half", "ShapeError", "scale", scale=ones(4)),
    _gated("gate", "ParamError", "gate", gate="sigmoidal"),
    _gated("order", "ParamError", "order", order="gate_last"),
    _gated("activation", "ParamError", "activation", activation="swish"),
    _gated("groups_of_a_half", "ParamError", "groups", ones(4, 2, 3, 3), groups=4),
    _gated("range", "ParamError", "channels", channels=(4, 12)),
    _gated("copy_stride", "ParamError", "stride", channels=(0, 8), stride=2,
           w=ones(16, 8, 3, 3), padding=1),
    _gated("residual_of_both", "ShapeError", "residual", residual=ones(2, 8, 7, 7)),
]  # fmt: skip
