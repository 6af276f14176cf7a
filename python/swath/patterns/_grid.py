"""Patterns on grids of tokens: neighbourhoods, disks and windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from swath import _core
from swath._arguments import error_of
from swath.patterns._base import (
    Index,
    Ints,
    Mask,
    Pattern,
    one_length,
    per_axis,
    read_ints,
)

_BORDERS = ("shift", "clip", "wrap")


class _Grid(Pattern):
    """A product of one mask for each axis."""

    __slots__ = ()

    def _known_grid(self, n: int) -> tuple[int, ...]:
        return (n,) if self.grid is None else self.grid

    def _check(self, op: str, n_q: int, n_k: int) -> None:
        super()._check(op, n_q, n_k)
        axes = self._n_axes()
        if self.grid is None and axes not in (None, 1):
            text = f"pattern {self!r} has {axes} axes and no grid, needed is grid=(...)"
            raise error_of(_core.ParamError, op, "pattern", text)
        grid = self._known_grid(n_q - self.n_prefix)
        n = math.prod(grid) + self.n_prefix
        if n_q != n or n_k != n:
            text = f"pattern {self!r} is about {n} tokens, there are {n_q} queries and {n_k} keys"
            raise error_of(_core.ShapeError, op, "pattern", text)
        for axis, length in enumerate(grid):
            self._check_axis(op, axis, length)

    def _check_axis(self, op: str, axis: int, length: int) -> None:
        pass

    def _axis_mask(self, axis: int, i: Index, length: int) -> Mask:
        """Return (len(i), length): which keys of one axis the places ``i`` see."""
        raise NotImplementedError

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:  # noqa: ARG002
        grid = self._known_grid(n_q)
        mask = np.ones((len(i), 1), bool)
        for axis, (at, length) in enumerate(zip(np.unravel_index(i, grid), grid, strict=True)):
            one = self._axis_mask(axis, at, length)
            mask = (mask[:, :, None] & one[:, None, :]).reshape(len(i), -1)
        return mask


class Neighborhood(_Grid):
    """A window of ``kernel_size`` keys around each query, on 1 to 3 axes.

    On each axis of length L, with ``dilation`` d and inside each class of places with the same
    ``i mod d`` (p counts places of a class, L_c of them), the leader of a query is
    ``g = min(p // stride * stride + stride // 2, L_c - 1)``: queries of one stride share a window.

    ================  ==========================================================================
    border="shift"    K keys from ``clamp(g - K//2, 0, L_c - K)`` on: always exactly K
    border="clip"     K keys from ``g - K//2`` on, cut to the grid
    border="wrap"     the same around the end; d must divide L
    causal=True       leader ``min(p//s*s + s - 1, L_c - 1)``, keys from ``max(leader - K + 1, 0)``
                      to p, on this axis
    ================  ==========================================================================

    Parameters
    ----------
    kernel_size, dilation, stride : int or one per axis
        ``kernel_size * dilation <= L`` and ``stride <= kernel_size``.
    causal : bool or one per axis
    border : "shift" | "clip" | "wrap"
        "shift" is that of NATTEN.
    grid, n_prefix
        See `Pattern`.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Neighborhood(3).to_mask(5).astype(int)
    array([[1, 1, 1, 0, 0],
           [1, 1, 1, 0, 0],
           [0, 1, 1, 1, 0],
           [0, 0, 1, 1, 1],
           [0, 0, 1, 1, 1]])
    >>> patterns.Neighborhood((7, 7), grid=(28, 28)).density()
    0.0625
    """

    __slots__ = ("border", "causal", "dilation", "kernel_size", "stride")
    kind = "neighborhood"
    kernel_size: int | tuple[int, ...]
    dilation: int | tuple[int, ...]
    stride: int | tuple[int, ...]
    causal: bool | tuple[bool, ...]
    border: str

    def __init__(
        self,
        kernel_size: Ints,
        dilation: Ints = 1,
        stride: Ints = 1,
        causal: bool | Sequence[bool] = False,
        border: str = "shift",
        *,
        grid: Ints | None = None,
        n_prefix: int = 0,
    ) -> None:
        op = self._op()
        flags = causal if isinstance(causal, bool | np.bool_) else tuple(causal)
        for flag in per_axis(flags, 1):
            if not isinstance(flag, bool | np.bool_):
                text = f"causal is {causal!r}, needed is True or False, or one per axis"
                raise error_of(_core.ParamError, op, "causal", text)
        if border not in _BORDERS:
            text = f"border is {border!r}, needed is one of {_BORDERS}"
            raise error_of(_core.ParamError, op, "border", text)
        self._set(
            kernel_size=read_ints(op, "kernel_size", kernel_size, 1),
            dilation=read_ints(op, "dilation", dilation, 1),
            stride=read_ints(op, "stride", stride, 1),
            causal=tuple(map(bool, flags)) if isinstance(flags, tuple) else bool(flags),
            border=border,
        )
        n = self._n_axes() or 1
        sizes = zip(per_axis(self.kernel_size, n), per_axis(self.stride, n), strict=True)
        for k, s in sizes:
            if s > k:
                text = f"stride is {stride!r}, needed is at most kernel_size={kernel_size!r}"
                raise error_of(_core.ParamError, op, "stride", text)
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        names = ("kernel_size", "dilation", "stride", "causal", "border")
        return {name: getattr(self, name) for name in names}

    def _n_axes(self) -> int | None:
        return one_length(
            self._op(),
            kernel_size=self.kernel_size,
            dilation=self.dilation,
            stride=self.stride,
            causal=self.causal,
        )

    def _axis(self, axis: int) -> tuple[int, int, int, bool]:
        n = self._n_axes() or axis + 1
        values = (self.kernel_size, self.dilation, self.stride, self.causal)
        k, d, s, c = (per_axis(v, n)[axis] for v in values)
        return k, d, s, c

    def _check_axis(self, op: str, axis: int, length: int) -> None:
        k, d, _, causal = self._axis(axis)
        if length and k * d > length:
            text = (
                f"pattern has kernel_size {k} with dilation {d} on axis {axis} of length {length}"
            )
            raise error_of(_core.ParamError, op, "pattern", f"{text}, needed is at most its length")
        if self.border == "wrap" and not causal and length % d:
            text = f"pattern has dilation {d} on axis {axis} of {length} tokens and border='wrap'"
            raise error_of(_core.ParamError, op, "pattern", f"{text}, needed is a divisor")

    def _axis_mask(self, axis: int, i: Index, length: int) -> Mask:
        k, d, s, causal = self._axis(axis)
        j = np.arange(length)
        same_class = i[:, None] % d == j % d
        p, key = i[:, None] // d, j // d
        n = (length - i[:, None] % d + d - 1) // d  # tokens of the class
        if causal:
            leader = np.minimum(p // s * s + s - 1, n - 1)
            return np.asarray(same_class & (key >= leader - k + 1) & (key <= p))
        first = np.minimum(p // s * s + s // 2, n - 1) - k // 2
        if self.border == "wrap":
            return np.asarray(same_class & ((key - first) % n < k))
        if self.border == "shift":
            first = np.minimum(np.maximum(first, 0), n - k)
        return np.asarray(same_class & (key >= first) & (key < first + k))

    def _parameters(self) -> tuple[Any, ...]:
        border = _BORDERS.index(self.border)
        return self.kernel_size, self.dilation, self.stride, self.causal, border


class Disk(_Grid):
    """Keys at a Euclidean distance below ``radius``: ``dy**2 + dx**2 < radius**2`` (CLEAR).

    On 1 to 3 axes; cut at the grid's border.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Disk(2, grid=(3, 4)).to_mask()[0].reshape(3, 4).astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0],
           [0, 0, 0, 0]])
    """

    __slots__ = ("radius",)
    kind = "disk"
    radius: float

    def __init__(self, radius: float, *, grid: Ints | None = None, n_prefix: int = 0) -> None:
        op = self._op()
        is_number = isinstance(radius, int | float | np.integer | np.floating)
        is_usable = is_number and not isinstance(radius, bool)
        if not is_usable or not 0 < radius <= 1 << 20:
            text = f"radius is {radius!r}, needed is a positive number up to 2**20"
            raise error_of(_core.ParamError, op, "radius", text)
        self._set(radius=float(radius))
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"radius": self.radius}

    def _inner(self, i: Index, n_q: int, n_k: int) -> Mask:  # noqa: ARG002
        grid = self._known_grid(n_q)
        distance = np.zeros((len(i), 1), np.int64)
        for at, length in zip(np.unravel_index(i, grid), grid, strict=True):
            one = (at[:, None] - np.arange(length)) ** 2
            distance = (distance[:, :, None] + one[:, None, :]).reshape(len(i), -1)
        return np.asarray(distance < self.radius**2)

    def _parameters(self) -> tuple[Any, ...]:
        return (self.radius,)


class Window(_Grid):
    """Boxes of ``size`` tokens side by side, each attending within itself (Swin, CAT).

    Place i of an axis lies at ``p = (i - shift) mod L`` and in the window ``p // size``; the last
    one may be smaller. A window that goes around the end holds two regions that are no neighbours:
    pairs across them get ``mask_value`` added to their logit. The default, -inf, forbids them;
    published weights were trained with -100.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Window(2, 1).to_mask(4).astype(int)
    array([[1, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 1]])
    """

    __slots__ = ("mask_value", "shift", "size")
    kind = "window"
    size: int | tuple[int, ...]
    shift: int | tuple[int, ...]
    mask_value: float

    def __init__(
        self,
        size: Ints,
        shift: Ints = 0,
        mask_value: float = -math.inf,
        *,
        grid: Ints | None = None,
        n_prefix: int = 0,
    ) -> None:
        op = self._op()
        self._set(
            size=read_ints(op, "size", size, 1),
            shift=read_ints(op, "shift", shift, -(2**31)),
        )
        is_number = isinstance(mask_value, int | float | np.integer | np.floating)
        if not is_number or isinstance(mask_value, bool) or not mask_value < math.inf:
            text = f"mask_value is {mask_value!r}, needed is a finite number or -inf"
            raise error_of(_core.ParamError, op, "mask_value", text)
        self._set(mask_value=float(mask_value))
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"size": self.size, "shift": self.shift, "mask_value": self.mask_value}

    def _n_axes(self) -> int | None:
        return one_length(self._op(), size=self.size, shift=self.shift)

    def _is_plain(self) -> bool:
        return self.mask_value == -math.inf

    def _place(self, axis: int, i: Index, length: int) -> tuple[Index, Index]:
        """Return the window and the region of places on one axis."""
        n = self._n_axes() or axis + 1
        size, shift = (per_axis(v, n)[axis] for v in (self.size, self.shift))
        p = (i - shift) % max(length, 1)
        return p // size, (p >= length - shift % max(length, 1)).astype(np.int64)

    def _axis_mask(self, axis: int, i: Index, length: int) -> Mask:
        window, region = self._place(axis, i, length)
        key_window, key_region = self._place(axis, np.arange(length), length)
        same = window[:, None] == key_window
        if self.mask_value == -math.inf:
            same &= region[:, None] == key_region
        return np.asarray(same)

    def to_bias(self, n: int | None = None) -> Any:
        """Return (n, n): mask_value where a pair of one window lies across its regions, else 0."""
        n, _ = self._sizes(n, None)
        grid = self._known_grid(n - self.n_prefix)
        same = np.ones((1, 1), bool)
        for axis, length in enumerate(grid):
            _, region = self._place(axis, np.arange(length), length)
            one = region[:, None] == region
            same = (same[:, None, :, None] & one[None, :, None, :]).reshape(len(same) * length, -1)
        bias = np.zeros((n, n))
        bias[self.n_prefix :, self.n_prefix :] = np.where(same, 0, self.mask_value)
        return bias

    def _parameters(self) -> tuple[Any, ...]:
        return self.size, self.shift, self.mask_value


class Halo(_Grid):
    """Queries in boxes of ``block``; keys of the box and ``halo`` more around it (HaloNet).

    Place i of an axis sees ``[i // block * block - halo, (i // block + 1) * block + halo)``, cut
    to the grid. A halo of 0 is `Window`.

    Examples
    --------
    >>> from swath import patterns
    >>> patterns.Halo(2, 1).to_mask(4).astype(int)
    array([[1, 1, 1, 0],
           [1, 1, 1, 0],
           [0, 1, 1, 1],
           [0, 1, 1, 1]])
    """

    __slots__ = ("block", "halo")
    kind = "halo"
    block: int | tuple[int, ...]
    halo: int | tuple[int, ...]

    def __init__(
        self, block: Ints, halo: Ints, *, grid: Ints | None = None, n_prefix: int = 0
    ) -> None:
        op = self._op()
        self._set(block=read_ints(op, "block", block, 1), halo=read_ints(op, "halo", halo, 0))
        super().__init__(grid, n_prefix)

    def _options(self) -> dict[str, Any]:
        return {"block": self.block, "halo": self.halo}

    def _n_axes(self) -> int | None:
        return one_length(self._op(), block=self.block, halo=self.halo)

    def _axis_mask(self, axis: int, i: Index, length: int) -> Mask:
        n = self._n_axes() or axis + 1
        block, halo = (per_axis(v, n)[axis] for v in (self.block, self.halo))
        first = i[:, None] // block * block
        j = np.arange(length)
        return np.asarray((j >= first - halo) & (j < first + block + halo))

    def _parameters(self) -> tuple[Any, ...]:
        return self.block, self.halo
