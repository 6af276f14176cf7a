"""What a directed case and a bench workload are."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import oracle
import oracle_gradients
import oracle_masked
import oracle_windows

Array = oracle.Array
Shape = tuple[int, ...]

ROWS_OF_OPERATOR = {
    "sliding_conv": ("conv1d", "conv2d", "conv3d"),
    "gated_conv": tuple(f"gated_conv{d}d" for d in (1, 2, 3)),
    "partial_conv": tuple(f"partial_conv{d}d" for d in (1, 2, 3)),
    "conv_transpose": ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "pooling": (
        *(f"{kind}_pool{d}d" for kind in ("avg", "max") for d in (1, 2, 3)),
        "sliding_reduce",
        *(f"grad.avg_pool{d}d" for d in (1, 2, 3)),
        "grad.sliding_reduce",
    ),
    "pooling_backward": tuple(f"grad.max_pool{d}d" for d in (1, 2, 3)),
    "space_to_depth": (
        "space_to_depth",
        "depth_to_space",
        "grad.space_to_depth",
        "grad.depth_to_space",
    ),
}
OPERATOR = {name: op for op, names in ROWS_OF_OPERATOR.items() for name in names}
# Whose kernels serve an operator that has none of its own.
KERNELS_OF = {"gated_conv": "sliding_conv", "partial_conv": "sliding_conv"}
DTYPES = ("f32", "f64", "f16", "bf16")
# A rearrangement moves elements of any kind.
EXACT_DTYPES = (*DTYPES, "u8", "b8", "i32", "i64")
_NUMPY = {
    "f16": np.float16,
    "f32": np.float32,
    "f64": np.float64,
    "u8": np.uint8,
    "b8": np.bool_,
    "i32": np.int32,
    "i64": np.int64,
}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a short name as in kernel names."""
    if name == "bf16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(_NUMPY[name])


@dataclass(frozen=True)
class Workload:
    """One bench shape: what is called on what, and the work it stands for."""

    name: str
    function: str
    shapes: Mapping[str, Shape]
    kwargs: Mapping[str, Any]
    flops: int


@dataclass(frozen=True)
class Case:
    """One call chosen for the reason that its id names.

    `extras` names the optional arrays: bias, scale, shift, residual. `fill` is "normal",
    "constant" (shows the drift of long sequential sums), "few" (x of few values, so that maxima are
    equal) or "peak" (a constant with one element that is both above and, for a minimum, below).
    A function of swath.grad takes dy, of the shape that its forward gives, before x.
    `mask` is the dtype ("x": that of x) and shape of a mask; under its holes x is NaN.
    """

    id: str
    function: str
    x: Shape
    weight: Shape | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    extras: tuple[str, ...] = ()
    fill: str = "normal"
    mask: tuple[str, Shape] | None = None

    def __str__(self) -> str:
        return self.id

    @property
    def op(self) -> str:
        if self.function == "grad.sliding_reduce" and self.kwargs.get("op") in ("max", "min"):
            return "pooling_backward"
        return OPERATOR[self.function]

    @property
    def is_gradient(self) -> bool:
        return self.function.startswith("grad.")

    @property
    def forward(self) -> Case:
        """The call that a gradient belongs to."""
        return replace(self, function=self.function.removeprefix("grad."))

    @property
    def kernel_op(self) -> str:
        return KERNELS_OF.get(self.op, self.op)

    @property
    def has_out(self) -> bool:
        return True

    @property
    def dtypes(self) -> tuple[str, ...]:
        return EXACT_DTYPES if self.op == "space_to_depth" else DTYPES

    @property
    def ndim(self) -> int:
        return 2 if self.op == "space_to_depth" else int(self.function[-2])

    @property
    def n_out_channels(self) -> int:
        assert self.weight is not None
        if self.op == "conv_transpose":
            return self.weight[1] * int(self.kwargs.get("groups", 1))
        return self.weight[0] // 2 if self.op == "gated_conv" else self.weight[0]

    @property
    def weight_channels(self) -> int:
        """Values of bias, scale and shift: both halves of a gated convolution have them."""
        return self.n_out_channels * (2 if self.op == "gated_conv" else 1)

    def inputs(self, dtype: str) -> dict[str, Array]:
        """Arrays of the call by argument name, the same on every machine."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))

        def draw(shape: Shape, constant: float) -> Array:
            if dtype not in DTYPES:
                return rng.integers(0, 2 if dtype == "b8" else 200, shape).astype(_NUMPY[dtype])
            if self.fill in ("constant", "peak"):
                values = np.full(shape, constant)
            elif self.fill == "few":
                values = rng.integers(0, 3, shape).astype(np.float64)
            else:
                values = rng.normal(size=shape)
            return values.astype(numpy_dtype(dtype))

        arrays = {"x": draw(self.x, 0.7)}
        if self.weight is not None:
            arrays["weight"] = draw(self.weight, 0.3)
            for name in ("bias", "scale", "shift"):
                if name in self.extras:
                    arrays[name] = draw((self.weight_channels,), 0.5)
        if self.mask is not None:
            arrays["mask"] = oracle_masked.draw_mask(rng, *self.mask, like=arrays["x"].dtype)
            oracle_masked.poison_holes(arrays["x"], arrays["mask"])
        if "residual" in self.extras:
            arrays["residual"] = draw(self._plain(arrays).value.shape, 0.9)
        if self.is_gradient:
            if self.fill == "peak":
                arrays["x"][..., self.x[-1] // 2] = -9 if self.kwargs.get("op") == "min" else 9
            arrays = {"dy": draw(self.forward.oracle(arrays).value.shape, 0.3), **arrays}
        return arrays

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        """The library's answer. `more` adds or replaces keyword arguments."""
        keywords = {**self.kwargs, **more}
        named = {k: v for k, v in arrays.items() if k not in ("x", "weight", "bias")}
        first = [arrays["x"], *([arrays["weight"]] if self.weight is not None else [])]
        if "bias" in arrays:
            first.append(arrays["bias"])
        if self.is_gradient:
            gradients = getattr(swath.grad, self.forward.function)
            return gradients(named.pop("dy"), *first, **named, **keywords).dx
        y = getattr(swath, self.function)(*first, **named, **keywords)
        return y[0] if self.op == "partial_conv" and isinstance(y, tuple) else y

    def oracle(self, arrays: Mapping[str, Array]) -> oracle.Result:
        """The exact answer. float64 data is summed in long double."""
        wide = np.asarray(arrays["x"]).dtype == np.float64
        accumulate = np.longdouble if wide else np.float64
        if self.is_gradient:
            return self._gradient_oracle(arrays, accumulate)
        if self.op == "space_to_depth":
            value = getattr(oracle_windows, self.function)(arrays["x"], **self.kwargs)
            return oracle.Result(value, np.zeros(value.shape), 1)
        if self.function == "sliding_reduce":
            return oracle_windows.sliding_reduce(arrays["x"], **self.kwargs, accumulate=accumulate)
        if self.op == "pooling":
            return oracle_windows.pool(
                arrays["x"],
                kind=self.function[:3],
                ndim=self.ndim,
                **self.kwargs,
                accumulate=accumulate,
            )
        function = {
            "sliding_conv": oracle.conv,
            "conv_transpose": oracle.conv_transpose,
            "gated_conv": oracle_masked.gated_conv,
            "partial_conv": oracle_masked.partial_conv,
        }[self.op]
        return function(**arrays, **self.kwargs, accumulate=accumulate)

    def _gradient_oracle(self, arrays: Mapping[str, Array], accumulate: Any) -> oracle.Result:
        dy, x, name = arrays["dy"], arrays["x"], self.forward.function
        if self.op == "space_to_depth":
            inverse = {
                "space_to_depth": oracle_windows.depth_to_space,
                "depth_to_space": oracle_windows.space_to_depth,
            }[name]
            value = inverse(dy, **self.kwargs)
            return oracle.Result(value, np.zeros(value.shape), 1)
        more = {**self.kwargs, "accumulate": accumulate}
        if name == "sliding_reduce":
            return oracle_gradients.sliding_reduce(dy, x, **more)
        return oracle_gradients.pool(dy, x, kind=name[:3], ndim=self.ndim, **more)

    def _plain(self, arrays: Mapping[str, Array]) -> oracle.Result:
        return replace(self, extras=()).oracle({k: arrays[k] for k in ("x", "weight")})


def _mask_last(mask: tuple[str, Shape] | None, axis: int) -> tuple[str, Shape] | None:
    if mask is None:
        return None
    dtype, shape = mask
    return dtype, (*shape[:axis], *shape[axis + 1 :], shape[axis])


def channels_last(case: Case) -> Case:
    """The same case with the channels moved to the end."""
    unbatched = case.op != "space_to_depth" and len(case.x) == case.ndim + 1
    axis = 0 if unbatched else 1
    spatial = case.x[:axis] + case.x[axis + 1 :]
    return replace(
        case,
        id=f"{case.id}_channels_last",
        x=(*spatial, case.x[axis]),
        mask=_mask_last(case.mask, axis),
        kwargs={**case.kwargs, "layout": "channels_last"},
    )


def both_layouts(cases: list[Case]) -> list[Case]:
    """Each case, then its twin with the channels last."""
    return [twin for case in cases for twin in (case, channels_last(case))]


def conv_flops(n: int, weight: Shape, out: Shape) -> int:
    """Two per multiply-add."""
    return 2 * n * math.prod(weight) * math.prod(out)
