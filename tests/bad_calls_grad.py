"""Wrong calls of the gradients, as in `bad_calls`."""

from __future__ import annotations

from typing import Any

import numpy as np

from bad_call import BadCall, ones
from bad_calls_long2d import LONG2D_OTHERS


def _grad(id_: str, error: str, arg: str, dy: Any = None, x: Any = None, **kwargs: Any) -> BadCall:
    """grad.conv2d with dy (2, 4, 7, 7), x (2, 8, 9, 9) and weight (4, 8, 3, 3), one thing wrong."""
    weight = kwargs.pop("weight", None)

    def call() -> tuple[tuple[Any, ...], dict[str, Any]]:
        first = ones(2, 4, 7, 7) if dy is None else dy
        second = ones(2, 8, 9, 9) if x is None else x
        return (first, second, ones(4, 8, 3, 3) if weight is None else weight), kwargs

    return BadCall(f"grad_conv_{id_}", "grad.conv2d", error, arg, call)


def _up(id_: str, error: str, arg: str, *args: Any, **kwargs: Any) -> BadCall:
    return BadCall(f"grad_up_{id_}", "grad.conv_transpose2d", error, arg, lambda: (args, kwargs))


GRADIENTS: list[BadCall] = [
    _grad("dy_shape", "ShapeError", "dy", dy=ones(2, 4, 9, 9)),
    _grad("dy_batch", "ShapeError", "dy", dy=ones(1, 4, 7, 7)),
    _grad("dy_rank", "ShapeError", "dy", dy=ones(4, 7, 7)),
    _grad("dy_layout", "ShapeError", "dy", dy=ones(2, 7, 7, 4)),
    _grad("dy_dtype", "DTypeError", "dy", dy=ones(2, 4, 7, 7, dtype=np.float64)),
    _grad("dy_integers", "DTypeError", "dy", dy=ones(2, 4, 7, 7, dtype=np.int64)),
    _grad("x_dtype", "DTypeError", "dy", x=ones(2, 8, 9, 9, dtype=np.float64),
          weight=ones(4, 8, 3, 3, dtype=np.float64)),
    _grad("weight_channels", "ShapeError", "weight", weight=ones(4, 3, 3, 3)),
    _grad("bias_length", "ShapeError", "bias", bias=ones(8)),
    _grad("scale_length", "ShapeError", "scale", scale=ones(3)),
    _grad("residual_shape", "ShapeError", "residual", residual=ones(2, 4, 9, 9)),
    _grad("unknown_need", "ParamError", "needs", needs=("dy",)),
    _grad("need_of_part_of_a_name", "ParamError", "needs", needs=("eight",)),
    _grad("need_as_text", "ParamError", "needs", needs="x"),
    _grad("need_number", "ParamError", "needs", needs=3),
    _grad("zero_stride", "ParamError", "stride", stride=0),
    _grad("unknown_activation", "ParamError", "activation", activation="swish7"),
    _grad("range_dy", "ShapeError", "dy", weight=ones(4, 4, 3, 3), padding=1, channels=(0, 4)),
    _grad("zero_threads", "ParamError", "threads", threads=0),
    _up("dy_shape", "ShapeError", "dy", ones(1, 4, 9, 9), ones(1, 8, 5, 5), ones(8, 4, 3, 3)),
    _up("need_of_a_convolution", "ParamError", "needs", ones(1, 4, 7, 7), ones(1, 8, 5, 5),
        ones(8, 4, 3, 3), needs=("scale",)),
    _up("weight_channels", "ShapeError", "weight", ones(1, 4, 7, 7), ones(1, 8, 5, 5),
        ones(4, 4, 3, 3)),
    _up("padding_rule", "ParamError", "padding", ones(1, 4, 7, 7), ones(1, 8, 5, 5),
        ones(8, 4, 3, 3), padding="sideways"),
    *LONG2D_OTHERS,
]  # fmt: skip
