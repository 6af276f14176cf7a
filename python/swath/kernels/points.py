"""Kernels made of points at real positions: learnable spacings and self-moving points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from swath._types import Array
from swath.kernels._arrays import Given, Wide

Basis: TypeAlias = Literal["bilinear", "triangle", "gauss", "l1"]
AxisOrder: TypeAlias = Literal["ij", "ji"]
BASES = ("bilinear", "triangle", "gauss", "l1")
# Of the published code, so that a footprint that misses the grid is 0 and not NaN.
FOOTPRINT_EPS, COUNT_EPS = 1e-7, 1e-6
WIDTHS = {"triangle": 1.0, "gauss": 0.5}


class PointCall:
    """The arguments of from_points, read and brought to one form.

    `position` and `width` have shape (axes, ..., points), where ... broadcasts against the weight's
    leading axes; the first axis is the kernel's first one.
    """

    def __init__(
        self,
        op: str,
        weight: Array,
        position: Array,
        size: int | Sequence[int],
        options: dict[str, Any],
        first: Array | None = None,
    ) -> None:
        self.given = given = Given(op)
        self.first = None if first is None else given.read(first, "dw")
        self.basis = options["basis"]
        if self.basis not in BASES:
            given.bad_value("basis", self.basis, " or ".join(map(repr, BASES)))
        if options["axis_order"] not in ("ij", "ji"):
            given.bad_value("axis_order", options["axis_order"], "'ij' or 'ji'")
        self.is_reversed = options["axis_order"] == "ji"
        self.weight = given.read(weight, "weight")
        if self.weight.ndim < 1:
            given.bad_shape("weight", self.weight, "(..., points)")
        self.raw_position = given.read(position, "position")
        self.position, self.is_grouped = self._canonical(self.raw_position, "position")
        self.size = given.ints(size, len(self.position), "size")
        self.width = self._read_width(options["sigma"], options["radius"])
        self.average = bool(options["average"])
        if self.average and self.basis != "l1":
            given.bad_value("average", True, "False for this basis")
        normalize = options["normalize"]
        if normalize is not None and not isinstance(normalize, bool | np.bool_):
            given.bad_value("normalize", normalize, "None, True or False")
        self.normalize = bool(self.basis in WIDTHS if normalize is None else normalize)

    @property
    def ndim(self) -> int:
        return len(self.size)

    def _canonical(self, array: Wide, arg: str) -> tuple[Wide, bool]:
        """(axes, *weight.shape), or groups of points (G, M, axes)."""
        shape = self.weight.shape
        if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
            return (array[::-1] if self.is_reversed else array), False
        if array.ndim == 3 and array.shape[1] == shape[-1] and len(shape) > 1:
            groups = array.shape[0]
            if groups in (1, shape[0]):
                middle = [1] * (len(shape) - 2)
                moved = np.moveaxis(array, -1, 0).reshape(-1, groups, *middle, shape[-1])
                return (moved[::-1] if self.is_reversed else moved), True
        needed = f"(axes, *weight.shape) or (G, {shape[-1]}, axes), G = 1 or {shape[0]}"
        self.given.bad_shape(arg, array, f"{needed} for weight.shape={shape}")

    def _read_width(self, sigma: Any, radius: Any) -> Wide:
        given, name = self.given, "radius" if self.basis == "l1" else "sigma"
        for arg, value in (("sigma", sigma), ("radius", radius)):
            if value is not None and (arg != name or self.basis == "bilinear"):
                given.bad_value(arg, value, f"None for basis={self.basis!r}")
        value = radius if self.basis == "l1" else sigma
        self.raw_width: Wide | None = None
        if value is None:
            default = 4 / max(self.size) if self.basis == "l1" else WIDTHS.get(self.basis, 1.0)
            return np.full((1,) * self.position.ndim, default)
        is_number = isinstance(value, int | float | np.number)
        raw = np.asarray(float(value)) if is_number else given.read(value, name)
        if not (raw > 0).all():
            given.bad_value(name, value, "positive numbers")
        self.raw_width = raw
        self.is_number = is_number
        return self._spread_width(raw, name)

    def _spread_width(self, raw: Wide, name: str) -> Wide:
        """As (axes or 1, ..., points)."""
        shape, full = self.weight.shape, self.position.ndim
        if raw.ndim == 0:
            return raw.reshape((1,) * full)
        if raw.ndim == 2 and self.is_grouped and raw.shape == self.raw_position.shape[:2]:
            return raw.reshape(1, raw.shape[0], *[1] * (full - 3), raw.shape[1])
        if raw.shape == shape:
            return raw[None]
        if raw.shape == (len(self.position), *shape) and self.basis != "l1":
            return raw[::-1] if self.is_reversed else raw
        self.given.bad_shape(name, raw, f"a number, {shape} or (axes, *{shape}); (G, M) for groups")

    def unspread(self, wide: Wide, like: Wide) -> Wide:
        """The sum of a gradient (axes, *weight.shape) over what was broadcast, as `like` lies."""
        shape = self.weight.shape
        if like.ndim == 0:
            return np.asarray(wide.sum())
        if like.ndim == len(shape) + 1 and like.shape[1:] == shape:
            return wide[::-1] if self.is_reversed else wide
        if like.shape == shape and not (like.ndim == 2 and self.is_grouped):
            return np.asarray(wide.sum(0))
        by_group = wide.sum(tuple(range(2, wide.ndim - 1)))
        if like.shape[0] == 1:
            by_group = by_group.sum(1, keepdims=True)
        if like.ndim == 2:
            return np.asarray(by_group.sum(0))
        return np.moveaxis(by_group[::-1] if self.is_reversed else by_group, 0, -1)


def line_basis(call: PointCall, axis: int) -> tuple[Wide, Wide, Wide]:
    """One axis' factor (..., points, size) of a footprint, and its slopes by position and width."""
    n = call.size[axis]
    centre = (call.position[axis] + n // 2)[..., None]
    grid = np.arange(n, dtype=np.float64)
    if call.basis == "bilinear":
        low = np.floor(centre)
        value = np.maximum(1 - np.abs(grid - centre), 0)
        # To the right of an integer, as the published code interpolates.
        slope = (grid == low + 1).astype(np.float64) - (grid == low)
        return value, slope, np.zeros_like(value)
    width = np.broadcast_to(call.width, (call.ndim, *call.width.shape[1:]))[axis][..., None]
    t = (grid - centre) / width
    if call.basis == "triangle":
        value = np.maximum(1 - np.abs(t), 0)
        is_inside = value > 0
        return value, is_inside * np.sign(t) / width, is_inside * np.abs(t) / width
    value = np.exp(-0.5 * t * t)
    return value, value * t / width, value * t * t / width


def with_axes(array: Wide, n: int) -> Wide:
    """With n more axes of one element."""
    return array.reshape(*array.shape, *[1] * n)


def diamonds(call: PointCall) -> tuple[Wide, Wide, Wide]:
    """The L1 footprints (..., points, *size), offsets to the grid (axes, ...) and distances."""
    offsets = []
    for axis, n in enumerate(call.size):
        shape = [1] * call.ndim
        shape[axis] = n
        grid = np.linspace(-1, 1, n).reshape(shape)
        offsets.append(grid - with_axes(call.position[axis], call.ndim))
    offset = np.stack(np.broadcast_arrays(*offsets))
    distance = np.abs(offset).sum(0)
    radius = with_axes(call.width[0], call.ndim)
    return np.maximum(1 - distance / radius, 0), offset, distance


def letters(call: PointCall) -> str:
    return "ijklmopqr"[: call.ndim]


def separable(call: PointCall, weight: Wide, factors: list[Wide]) -> Wide:
    """The sum over points of weight times the product of the factors."""
    axes = letters(call)
    terms = ",".join(f"...n{i}" for i in axes)
    return np.asarray(np.einsum(f"...n,{terms}->...{axes}", weight, *factors, optimize=True))


def make_kernel(call: PointCall) -> Wide:
    if call.basis != "l1":
        lines = [line_basis(call, axis)[0] for axis in range(call.ndim)]
        weight = call.weight
        if call.normalize:
            total = math.prod(line.sum(-1) for line in lines)
            weight = weight / (total + FOOTPRINT_EPS)
        return separable(call, weight, lines)
    footprint = diamonds(call)[0]
    axes = letters(call)
    if call.normalize:
        spatial = tuple(range(-call.ndim, 0))
        footprint = footprint / (footprint.sum(spatial, keepdims=True) + FOOTPRINT_EPS)
    kernel = np.asarray(np.einsum(f"...n,...n{axes}->...{axes}", call.weight, footprint))
    return kernel * share(call, footprint)


def share(call: PointCall, footprint: Wide) -> Wide | float:
    """What averaging over the points that reach an element multiplies it by."""
    if not call.average:
        return 1.0
    reached = np.count_nonzero(footprint, axis=-call.ndim - 1)
    return np.asarray(1 / (reached + COUNT_EPS))


def from_points(
    weight: Array,
    position: Array,
    size: int | Sequence[int],
    *,
    basis: Basis = "bilinear",
    sigma: Array | float | None = None,
    radius: Array | float | None = None,
    normalize: bool | None = None,
    average: bool = False,
    axis_order: AxisOrder = "ij",
) -> Any:
    """Make dense kernels of weighted points at real positions.

    ::

        kernel[..., i] = sum over points m of weight[..., m] * footprint(i; position[..., m])

    ``"bilinear"``, ``"triangle"`` and ``"gauss"``: products over the axes of ``max(1 - |t|, 0)``,
    ``max(1 - |t| / sigma, 0)`` and ``exp(-(t / sigma)**2 / 2)`` with t = i - size//2 - position.
    ``"l1"``: ``max(1 - ||x - position||_1 / radius, 0)`` for x on ``linspace(-1, 1, size)``.

    Parameters
    ----------
    weight : array, shape (O, C/groups, M), float32 | float64 | float16 | bfloat16
        Any leading axes.
    position : array, shape (axes, O, C/groups, M) or (G, M, axes), dtype of weight
        In taps from the tap size//2, for "l1" in [-1, 1] over the grid. The second form shares the
        points of a group: G is O or 1. Not clamped: what leaves the grid fades out.
    size : int or sequence of int
        Of the kernel, one or one per axis.
    basis : "bilinear" | "triangle" | "gauss" | "l1"
    sigma : float or array, shape (axes, O, C/groups, M) or (O, C/groups, M), optional
        The effective width of "triangle" (published: \\|SIG\\| + 1; default 1) and "gauss"
        (\\|SIG\\| + 0.27; default 0.5).
    radius : float or array, shape (G, M) or (O, C/groups, M), optional
        Of "l1"; default 4 / size, as published.
    normalize : bool, optional
        Divide each point's footprint by its sum over the grid + 1e-7. Default as published: True
        for "triangle" and "gauss". (True for "bilinear" is version 1 of DCLS.)
    average : bool
        Of "l1": divide by the number of points that reach an element + 1e-6.
    axis_order : "ij" | "ji"
        "ji": the position's first axis is the kernel's last one (columns), as in DCLS but for its
        version 0. SMPConv's images: "ji", and rows upside down, ``kernel[..., ::-1, :]``.

    Returns
    -------
    array, shape (O, C/groups, *size)

    Raises
    ------
    ShapeError, DTypeError, ParamError
        If an argument does not fit, or does not belong to the basis.

    Notes
    -----
    Computed in float64. For `swath.conv2d`; large kernels for `swath.conv2d` with groups.

    Khalfaoui-Hassani et al., "Dilated convolution with learnable spacings", 2023; Kim and Park,
    "SMPConv: self-moving point representations for continuous convolution", 2023.

    Examples
    --------
    >>> import numpy as np, swath
    >>> weight, position = np.array([[[4.0]]]), np.array([[[[0.25]]], [[[-1]]]])
    >>> swath.kernels.from_points(weight, position, 3)[0, 0]
    array([[0., 0., 0.],
           [3., 0., 0.],
           [1., 0., 0.]])
    """
    options = {
        "basis": basis, "sigma": sigma, "radius": radius, "normalize": normalize,
        "average": average, "axis_order": axis_order,
    }  # fmt: skip
    call = PointCall("kernels.from_points", weight, position, size, options)
    return call.given.result(make_kernel(call))
