"""Convolutions with constant weights, packed once."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from swath import _core, info
from swath._types import (
    Activation,
    Array,
    GateOrder,
    Ints,
    Layout,
    MaskUpdate,
    Padding,
    PaddingMode,
    PassThrough,
)
from swath._types import ResidualOrder as Order

_Plan = TypeVar("_Plan", bound="_PlanTools")

_CONV: dict[str, Any] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros",
    "layout": "channels_first", "channels": None, "passthrough": "copy", "activation": None,
    "residual_order": "after", "threads": None,
}  # fmt: skip
_GATED: dict[str, Any] = {
    "activation": "elu", "gate": "sigmoid", "order": "feature_first", "stride": 1, "padding": 0,
    "dilation": 1, "groups": 1, "padding_mode": "zeros", "layout": "channels_first",
    "channels": None, "passthrough": "copy", "threads": None,
}  # fmt: skip
_PARTIAL: dict[str, Any] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "renormalize": True,
    "mask_update": "any", "eps": 1e-8, "layout": "channels_first", "activation": None,
    "threads": None,
}  # fmt: skip


class _PlanTools:
    """What all plans share: what they were made of, pickling, repr and explain."""

    __slots__ = ()
    _ndim: ClassVar[int]
    _defaults: ClassVar[dict[str, Any]]
    _options: dict[str, Any]

    def _kept(self, *values: Any) -> dict[str, Any]:
        # A copy: what the caller passed may change later.
        return copy.deepcopy(dict(zip(self._defaults, values, strict=True)))

    def explain(self, x: Array, *args: Any, **options: Any) -> info.Explanation:
        """Return how the call ``self(x, ...)`` would be served, without running it."""
        plan: Any = self  # what can be called are the classes below
        return info.explain(plan, x, *args, **options)

    def _arrays(self) -> dict[str, Any]:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._arrays(), self._options)

    def __repr__(self) -> str:
        parts = [
            f"{name}={array.dtype}{list(array.shape)}"
            for name, array in self._arrays().items()
            if array is not None
        ]
        for name, value in self._options.items():
            default = self._defaults[name]
            if type(value) is not type(default) or value != default:
                parts.append(f"{name}={' '.join(repr(value).split())}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _rebuild(cls: type[_Plan], arrays: Mapping[str, Any], options: Mapping[str, Any]) -> _Plan:
    given = {name: array for name, array in arrays.items() if array is not None}
    return cls(**given, **options)


class _ConvPlan(_core.ConvPlan, _PlanTools):
    """`Conv2d` documents it."""

    __slots__ = ("_options",)
    _defaults = _CONV
    _arrays = _core.ConvPlan._arrays
    __reduce__ = _PlanTools.__reduce__
    __repr__ = _PlanTools.__repr__

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
        self._options = self._kept(
            stride, padding, dilation, groups, padding_mode, layout, channels, passthrough,
            activation, residual_order, threads,
        )  # fmt: skip


class _GatedConvPlan(_core.GatedConvPlan, _PlanTools):
    """`GatedConv2d` documents it."""

    __slots__ = ("_options",)
    _defaults = _GATED
    _arrays = _core.GatedConvPlan._arrays
    __reduce__ = _PlanTools.__reduce__
    __repr__ = _PlanTools.__repr__

    def __init__(
        self,
        weight: Array,
        bias: Array | None = None,
        *,
        activation: Activation = "elu",
        gate: Activation = "sigmoid",
        order: GateOrder = "feature_first",
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints | Array = 1,
        groups: int = 1,
        padding_mode: PaddingMode = "zeros",
        layout: Layout = "channels_first",
        channels: tuple[int, int] | None = None,
        passthrough: PassThrough = "copy",
        scale: Array | None = None,
        shift: Array | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            self._ndim, weight, bias, activation, gate, order, stride, padding, dilation, groups,
            padding_mode, layout, channels, passthrough, scale, shift, threads,
        )  # fmt: skip
        self._options = self._kept(
            activation, gate, order, stride, padding, dilation, groups, padding_mode, layout,
            channels, passthrough, threads,
        )  # fmt: skip


class _PartialConvPlan(_core.PartialConvPlan, _PlanTools):
    """`PartialConv2d` documents it."""

    __slots__ = ("_options",)
    _defaults = _PARTIAL
    _arrays = _core.PartialConvPlan._arrays
    __reduce__ = _PlanTools.__reduce__
    __repr__ = _PlanTools.__repr__

    def __init__(
        self,
        weight: Array,
        bias: Array | None = None,
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        renormalize: bool = True,
        mask_update: MaskUpdate = "any",
        eps: float = 1e-8,
        layout: Layout = "channels_first",
        activation: Activation = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            self._ndim, weight, bias, stride, padding, dilation, groups, renormalize, mask_update,
            eps, layout, activation, threads,
        )  # fmt: skip
        self._options = self._kept(
            stride, padding, dilation, groups, renormalize, mask_update, eps, layout, activation,
            threads,
        )  # fmt: skip


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


class GatedConv1d(_GatedConvPlan):
    """A plan of `gated_conv1d` with constant weights: see `GatedConv2d`."""

    __slots__ = ()
    _ndim = 1


class GatedConv2d(_GatedConvPlan):
    """A plan of `gated_conv2d` with constant weights.

    What `Conv2d` is to `conv2d`: immutable, packed once, callable from many threads.

    Parameters
    ----------
    weight, bias, activation, gate, order, stride, padding, dilation, groups, padding_mode, \
layout, channels, passthrough, scale, shift, threads
        As in `gated_conv2d`.

    Notes
    -----
    Calls are ``plan(x, *, residual=None, out=None, threads=None)``.

    Examples
    --------
    >>> import numpy as np, swath
    >>> plan = swath.GatedConv2d(np.ones((8, 3, 3, 3), np.float32), padding="same")
    >>> plan
    GatedConv2d(weight=f32[8, 3, 3, 3], padding='same')
    >>> plan(np.ones((1, 3, 32, 32), np.float32)).shape
    (1, 4, 32, 32)
    """

    __slots__ = ()
    _ndim = 2


class GatedConv3d(_GatedConvPlan):
    """A plan of `gated_conv3d` with constant weights: see `GatedConv2d`."""

    __slots__ = ()
    _ndim = 3


class PartialConv1d(_PartialConvPlan):
    """A plan of `partial_conv1d` with constant weights: see `PartialConv2d`."""

    __slots__ = ()
    _ndim = 1


class PartialConv2d(_PartialConvPlan):
    """A plan of `partial_conv2d` with constant weights.

    What `Conv2d` is to `conv2d`: immutable, packed once, callable from many threads.

    Parameters
    ----------
    weight, bias, stride, padding, dilation, groups, renormalize, mask_update, eps, layout, \
activation, threads
        As in `partial_conv2d`.

    Notes
    -----
    Calls are ``y, mask_out = plan(x, mask=None, *, out=None, threads=None)``.

    Examples
    --------
    >>> import numpy as np, swath
    >>> plan = swath.PartialConv2d(np.ones((8, 3, 3, 3), np.float32), padding=1)
    >>> mask = np.zeros((1, 1, 32, 32), bool)
    >>> mask[..., 16:] = True
    >>> y, new_mask = plan(np.ones((1, 3, 32, 32), np.float32), mask)
    >>> y.shape, int(new_mask[0, 0, 0].sum())
    ((1, 8, 32, 32), 17)
    """

    __slots__ = ()
    _ndim = 2


class PartialConv3d(_PartialConvPlan):
    """A plan of `partial_conv3d` with constant weights: see `PartialConv2d`."""

    __slots__ = ()
    _ndim = 3
