"""Direct float64 sums for masked and gated convolutions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import oracle
from oracle import Array, Result


def draw_mask(rng: np.random.Generator, kind: str, shape: tuple[int, ...], like: Any) -> Array:
    """A mask with whole rows of holes and single ones; floats also lie between 0 and 1."""
    valid = rng.random(shape) < 0.6
    if len(shape) > 1 and shape[-2] > 4:
        valid[..., : shape[-2] // 3, :] &= rng.random() < 0.5
    if kind == "ones":
        return np.ones(shape, np.bool_)
    if kind == "zeros":
        return np.zeros(shape, np.bool_)
    if kind in ("bool", "uint8"):
        return valid.astype(kind)
    values = np.where(rng.random(shape) < 0.5, rng.random(shape), 1.0) * valid
    return values.astype(like if kind == "x" else kind)


def poison_holes(x: Array, mask: Array) -> None:
    holes = np.broadcast_to(mask == 0, x.shape)
    x[holes] = np.nan


def _first(a: Array, ndim: int, layout: str) -> tuple[Array, bool]:
    unbatched = a.ndim == ndim + 1
    a = a[None] if unbatched else a
    return (np.moveaxis(a, -1, 1) if layout == "channels_last" else a), unbatched


def _last(a: Array, unbatched: bool, layout: str) -> Array:
    a = np.moveaxis(a, 1, -1) if layout == "channels_last" else a
    return a[0] if unbatched else a


def mask_out(
    mask: Array,
    weight: Array,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    mask_update: str = "any",
) -> tuple[Array, Array]:
    """(window sums over taps and channels, new mask), channels first; the mask has an N."""
    ndim = weight.ndim - 2
    kernel = weight.shape[2:]
    s, d = oracle.per_axis(stride, ndim), oracle.per_axis(dilation, ndim)
    pads = oracle.resolve_pads(padding, mask.shape[2:], kernel, s, d)
    ones = np.ones((1, mask.shape[1], *kernel), mask.dtype)
    sums = oracle.conv(mask, ones, stride=s, padding=pads, dilation=d, accumulate=mask.dtype).value
    if mask_update == "any":
        return sums, np.clip(sums, 0, 1)
    center = np.zeros_like(ones)
    center[(0, slice(None), *((k - 1) // 2 for k in kernel))] = 1
    kept = oracle.conv(mask, center, stride=s, padding=pads, dilation=d, accumulate=mask.dtype)
    return sums, kept.value


def partial_conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    renormalize: bool = True,
    mask_update: str = "any",
    eps: float = 1e-8,
    layout: str = "channels_first",
    groups: int = 1,
    activation: Any = None,
    accumulate: Any = np.float64,
    **window: Any,
) -> Result:
    ndim = weight.ndim - 2
    whole, unbatched = _first(np.asarray(x).astype(accumulate), ndim, layout)
    if mask is None:
        m = np.ones((1, 1, *whole.shape[2:]), accumulate)
    else:
        m, _ = _first(np.asarray(mask).astype(accumulate), ndim, layout)
    seen = np.where(m != 0, np.where(m != 0, whole, 0) * m, 0)
    plain = oracle.conv(seen, weight, groups=groups, accumulate=accumulate, **window)
    sums, new = mask_out(m, np.asarray(weight), mask_update=mask_update, **window)
    size = math.prod(weight.shape[2:]) * m.shape[1]
    value, magnitude = plain.value, plain.magnitude
    if renormalize:
        ratio = np.where(sums > 0, size / np.maximum(sums, eps) * np.clip(sums, 0, 1), 0)
        value, magnitude = value * ratio, magnitude * ratio
    if bias is not None or mask_update == "same" or not renormalize:
        if bias is not None:
            column = np.asarray(bias).astype(accumulate).reshape((-1,) + (1,) * ndim)
            value, magnitude = value + column, magnitude + np.abs(column)
        value, magnitude = value * new, magnitude * new
    value, magnitude = oracle.epilogue(value, magnitude, ndim, activation=activation)
    # The factor is itself a rounded quotient of a rounded sum.
    return Result(
        _last(value, unbatched, layout),
        _last(magnitude, unbatched, layout),
        plain.terms + math.prod(weight.shape[2:]),
    )


def gated_conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    activation: Any = "elu",
    gate: Any = "sigmoid",
    order: str = "feature_first",
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    layout: str = "channels_first",
    accumulate: Any = np.float64,
    **window: Any,
) -> Result:
    n = weight.shape[0] // 2
    first, second = slice(0, n), slice(n, 2 * n)
    feature, gates = (first, second) if order == "feature_first" else (second, first)

    def half(part: slice) -> Result:
        def of(a: Array | None) -> Array | None:
            return None if a is None else np.asarray(a)[part]

        extras = {"scale": of(scale), "shift": of(shift)}
        arrays = (x, np.asarray(weight)[part], of(bias))
        return oracle.conv(*arrays, layout=layout, accumulate=accumulate, **extras, **window)

    a, g = half(feature), half(gates)
    channels = window.get("channels")
    copies = channels is not None and window.get("passthrough", "copy") == "copy"
    phi, slope = oracle.activate(a.value, activation)
    sigma, gate_slope = oracle.activate(g.value, None if gate == "identity" else gate)
    value = phi * sigma
    magnitude = (
        a.magnitude * slope * np.abs(sigma)
        + np.abs(phi) * gate_slope * g.magnitude
        + a.magnitude * g.magnitude * np.finfo(np.float32).eps
        + np.abs(value)
    )
    if residual is not None:
        value = value + np.asarray(residual).astype(accumulate)
        magnitude = magnitude + np.abs(np.asarray(residual).astype(accumulate))
    if copies:
        ndim = weight.ndim - 2
        axis = value.ndim - 1 if layout == "channels_last" else value.ndim - ndim - 1
        passed = np.ones(value.shape[axis], bool)
        passed[channels[0] : channels[1]] = False
        where = [np.newaxis] * value.ndim
        where[axis] = slice(None)
        here = np.broadcast_to(passed[tuple(where)], value.shape)
        value = np.where(here, np.asarray(x).astype(accumulate), value)
        magnitude = np.where(here, 0, magnitude)
    return Result(value, magnitude, a.terms)
