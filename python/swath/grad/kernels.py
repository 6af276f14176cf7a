"""Gradients of the kernel generators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from swath._types import Array, Needs
from swath.kernels.points import (
    FOOTPRINT_EPS,
    AxisOrder,
    Basis,
    PointCall,
    diamonds,
    letters,
    line_basis,
    share,
    with_axes,
)

RESULTS = ("dweight", "dposition", "dsigma", "dradius")


class FromPointsGrads(NamedTuple):
    """Gradients of `kernels.from_points`; None where there is none or it was not wanted."""

    dweight: Any
    dposition: Any
    dsigma: Any
    dradius: Any


def _product_grads(call: PointCall, dw: Any) -> tuple[Any, Any, Any]:
    """By weight (*weight.shape), and by position and width (axes, *weight.shape)."""
    values, by_position, by_width = zip(
        *(line_basis(call, axis) for axis in range(call.ndim)), strict=True
    )
    axes = letters(call)
    terms = ",".join(f"...n{i}" for i in axes)

    def against(factors: list[Any]) -> Any:
        return np.einsum(f"...{axes},{terms}->...n", dw, *factors, optimize=True)

    plain = against(list(values))
    sums = [v.sum(-1) for v in values]
    total = math.prod(sums) + FOOTPRINT_EPS if call.normalize else np.ones(())
    dweight = np.broadcast_to(plain / total, call.weight.shape)
    slopes = []
    for lines in (by_position, by_width):
        found = []
        for axis, line in enumerate(lines):
            slope = against([line if i == axis else v for i, v in enumerate(values)]) / total
            if call.normalize:
                others = math.prod(s for i, s in enumerate(sums) if i != axis)
                slope = slope - plain * line.sum(-1) * others / total**2
            found.append(np.broadcast_to(slope, call.weight.shape) * call.weight)
        slopes.append(np.stack(found))
    return dweight, slopes[0], slopes[1]


def _diamond_grads(call: PointCall, dw: Any) -> tuple[Any, Any, Any]:
    footprint, offset, distance = diamonds(call)
    spatial = tuple(range(-call.ndim, 0))
    g = np.expand_dims(dw * share(call, footprint), -call.ndim - 1)
    radius = with_axes(call.width[0], call.ndim)
    is_inside = footprint > 0
    total = footprint.sum(spatial, keepdims=True) + FOOTPRINT_EPS if call.normalize else 1.0

    def against(slope: Any) -> Any:
        if call.normalize:
            along = slope.sum(spatial, keepdims=True)
            slope = slope / total - footprint * along / total**2
        return np.broadcast_to((g * slope).sum(spatial), call.weight.shape)

    dweight = np.broadcast_to((g * footprint / total).sum(spatial), call.weight.shape)
    dposition = np.stack([against(is_inside * np.sign(o) / radius) for o in offset])
    dradius = against(is_inside * distance / radius**2)
    return dweight, dposition * call.weight, (dradius * call.weight)[None]


def from_points(
    dw: Array,
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
    needs: Needs = None,
) -> FromPointsGrads:
    """Gradients of `swath.kernels.from_points`.

    Parameters
    ----------
    dw : array, shape (O, C/groups, *size), dtype of weight
        The gradient of the kernels.
    weight, position, size, basis, sigma, radius, normalize, average, axis_order :
        As in the forward call.
    needs : sequence of "dweight", "dposition", "dsigma", "dradius", optional
        The results to give, also by the names of their inputs; None for all.

    Returns
    -------
    FromPointsGrads : named tuple (dweight, dposition, dsigma, dradius)
        Each with the shape of its input (a number gives an array without axes); None for a sigma
        or radius that was not given.

    Raises
    ------
    ShapeError, DTypeError, ParamError
        As `swath.kernels.from_points`, and if dw does not have the kernel's shape.

    Notes
    -----
    At a kink: "bilinear" takes the slope to the right of an integer position, as interpolation
    between the two neighbours has it; "triangle" and "l1" take 0, as PyTorch for abs and relu. The
    count of ``average`` has no slope.

    Examples
    --------
    >>> import numpy as np, swath
    >>> weight, position = np.array([[[4.0]]]), np.array([[[[0.25]]]])
    >>> g = swath.grad.from_points(np.array([[[0.0, 1, 3]]]), weight, position, 3)
    >>> g.dweight.item(), g.dposition.item()
    (1.5, 8.0)
    """
    options = {
        "basis": basis, "sigma": sigma, "radius": radius, "normalize": normalize,
        "average": average, "axis_order": axis_order,
    }  # fmt: skip
    call = PointCall("grad.from_points", weight, position, size, options, first=dw)
    given, dw_values = call.given, call.first
    assert dw_values is not None
    kernel_shape = (*call.weight.shape[:-1], *call.size)
    if dw_values.shape != kernel_shape:
        given.bad_shape("dw", dw_values, f"{kernel_shape}")
    wanted = _wanted(given, needs)
    grads = _diamond_grads if call.basis == "l1" else _product_grads
    dweight, dposition, dwidth = grads(call, dw_values)
    results: dict[str, Any] = {"dweight": dweight}
    results["dposition"] = call.unspread(dposition, call.raw_position)
    if call.raw_width is not None:
        name = "dradius" if call.basis == "l1" else "dsigma"
        results[name] = call.unspread(dwidth, call.raw_width)
    return FromPointsGrads(
        *(given.result(results[r]) if r in results and r in wanted else None for r in RESULTS)
    )


def _wanted(given: Any, needs: Needs) -> set[str]:
    if needs is None:
        return set(RESULTS)
    if isinstance(needs, str) or not isinstance(needs, Sequence):
        given.bad_value("needs", needs, f"None or a sequence of {', '.join(RESULTS)}")
    found = {n if isinstance(n, str) and n in RESULTS else f"d{n}" for n in needs}
    if not found <= set(RESULTS):
        given.bad_value("needs", needs, f"None or a sequence of {', '.join(RESULTS)}")
    return found
