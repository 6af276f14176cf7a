"""Convolutions with constant weights, packed once."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from swath import _core, info
from swath._types import Activation, Array, Ints, Layout, Padding, PaddingMode, PassThrough
from swath._types import ResidualOrder as Order

_Plan = TypeVar("_Plan", bound="_ConvPlan")

_DEFAULTS: dict[str, Any] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros",
    "layout": "channels_first", "channels": None, "passthrough": "copy", "activation": None,
    "residual_order": "after", "threads": None,
}  # fmt: skip


class _ConvPlan(_core.ConvPlan):
    """What the three plans share; `Conv2d` documents it."""

    __slots__ = ("_options",)
    _ndim: ClassVar[int]
    _options: dict[str, Any]

    def __init__(
        self,
        weight: Array,
        bias: Array | None = None,
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints | Array = 1,
        groups: int = 1,
        padding_mode: PaddingMode = "zeros",
        layout: Layout = "channels_first",
        channels: tuple[int, int] | None = None,
        passthrough: PassThrough = "copy",
        activation: Activation = None,
        scale: Array | None = None,
        shift: Array | None = None,
        residual_order: Order = "after",
        threads: int | None = None,
    ) -> None:
        super().__init__(
            self._ndim, weight, bias, stride, padding, dilation, groups, padding_mode, layout,
            channels, passthrough, activation, scale, shift, residual_order, threads,
        )  # fmt: skip
        values = (
            stride, padding, dilation, groups, padding_mode, layout, channels, passthrough,
            activation, residual_order, threads,
        )  # fmt: skip
        # A copy: what the caller passed may change later.
        self._options = copy.deepcopy(dict(zip(_DEFAULTS, values, strict=True)))

    def explain(self, x: Array, **options: Any) -> info.Explanation:
        """Return how the call ``self(x, **options)`` would be served, without running it."""
        return info.explain(self, x, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._arrays(), self._options)

    def __repr__(self) -> str:
        parts = [
            f"{name}={array.dtype}{list(array.shape)}"
            for name, array in self._arrays().items()
            if array is not None
        ]
        for name, value in self._options.items():
            if type(value) is not type(_DEFAULTS[name]) or value != _DEFAULTS[name]:
                parts.append(f"{name}={' '.join(repr(value).split())}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _rebuild(cls: type[_Plan], arrays: Mapping[str, Any], options: Mapping[str, Any]) -> _Plan:
    return cls(**arrays, **options)


class Conv1d(_ConvPlan):
    """A plan of `conv1d` with constant weights: see `Conv2d`."""

    __slots__ = ()
    _ndim = 1


class Conv2d(_ConvPlan):
    """A plan of `conv2d` with constant weights.

    Holds copies of the arrays, and the weights packed for the last few kinds of x that it met. It
    is immutable, may be called from many threads at once, and can be copied and pickled.

    Parameters
    ----------
    weight, bias, stride, padding, dilation, groups, padding_mode, layout, channels, passthrough, \
activation, scale, shift, residual_order, threads
        As in `conv2d`.

    Notes
    -----
    Calls are ``plan(x, *, residual=None, out=None, threads=None)``, with arrays as in `conv2d`; an
    x of the weights' dtype and any fitting shape. Errors are raised as by `conv2d`; those that
    depend on x by the call. The packed weights take about as much memory as the weights for each
    kind of x, for at most 8 of them.

    Examples
    --------
    >>> import numpy as np, swath
    >>> plan = swath.Conv2d(np.ones((8, 3, 3, 3), np.float32), padding="same")
    >>> plan
    Conv2d(weight=f32[8, 3, 3, 3], padding='same')
    >>> plan(np.ones((1, 3, 32, 32), np.float32)).shape
    (1, 8, 32, 32)
    >>> plan.flops((1, 3, 32, 32))
    442368
    """

    __slots__ = ()
    _ndim = 2


class Conv3d(_ConvPlan):
    """A plan of `conv3d` with constant weights: see `Conv2d`."""

    __slots__ = ()
    _ndim = 3
