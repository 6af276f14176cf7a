"""Gradients of the gates. Everything is computed anew from the forward's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from swath import _core
from swath._arguments import stacked
from swath._types import Activation, Array, ChannelGateKind, Gate, Layout, Needs


class GateMulGrads(NamedTuple):
    """Gradients of `gate_mul`; None where there is no such input or it was not needed."""

    da: Any
    db: Any
    dadd: Any
    dgate: Any


class SpatialGateGrads(NamedTuple):
    """Gradients of `spatial_gate` and `spatial_softmax_gate`; None where not needed."""

    dx: Any
    dlogits: Any


class ChannelGateGrads(NamedTuple):
    """Gradients of `channel_gate`; None where not needed."""

    dx: Any
    dweights: Any


class BranchSelectGrads(NamedTuple):
    """Gradients of `branch_select`; None where not needed."""

    dbranches: Any
    dlogits: Any


def gate_mul(
    dy: Array,
    a: Array,
    b: Array,
    *,
    activation: Activation = None,
    gate: Gate = "sigmoid",
    add: Array | None = None,
    tile: int = 1,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> GateMulGrads:
    """Gradients of `swath.gate_mul`, in one pass.

    ::

        da = dy * activation'(a) * gate(b)
        db = gate'(b) * sum over the repeats of b of dy * activation(a)
        dadd = dy

    Parameters
    ----------
    dy : array, shape and dtype of a
    a, b, activation, gate, add, tile, layout, threads
        As in `swath.gate_mul`.
    needs : sequence of "a", "b", "add", "gate", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    GateMulGrads
        (da, db, dadd, dgate). dadd is None without ``add``. dgate is an array of four, the
        gradients by the parameters (a, mu, s1, s2) of "asym_gauss"; None for other gates.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.gate_mul`.

    Notes
    -----
    At a kink of an activation the slope is PyTorch's. The sums of dgate are cut into parts by the
    shape alone: results are bitwise the same for any number of threads.

    Examples
    --------
    >>> import numpy as np, swath
    >>> one = np.ones((1, 2), np.float32)
    >>> swath.grad.gate_mul(one, 3 * one, 5 * one, gate=None, needs=("da", "db"))
    GateMulGrads(da=array([[5., 5.]], dtype=float32), db=array([[3., 3.]], dtype=float32),
                 dadd=None, dgate=None)
    """
    return GateMulGrads(
        *_core.gate_mul_backward(dy, a, b, activation, gate, add, tile, layout, needs, threads)
    )


def spatial_gate(
    dy: Array,
    x: Array,
    logits: Array,
    *,
    ndim: int | None = None,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> SpatialGateGrads:
    """Gradients of `swath.spatial_gate`, in one pass.

    Parameters
    ----------
    dy : array, shape and dtype of x
    x, logits, ndim, layout, threads
        As in `swath.spatial_gate`.
    needs : sequence of "x", "logits", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    SpatialGateGrads
        (dx, dlogits)

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.spatial_gate`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, logits = np.ones((1, 4, 3), np.float32), np.zeros((1, 1, 3), np.float32)
    >>> swath.grad.spatial_gate(x, x, logits).dlogits
    array([[[1., 1., 1.]]], dtype=float32)
    """
    return SpatialGateGrads(
        *_core.spatial_gate_backward(False, dy, x, logits, True, ndim, layout, needs, threads)
    )


def spatial_softmax_gate(
    dy: Array,
    x: Array,
    logits: Array,
    *,
    residual: bool = True,
    ndim: int | None = None,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> SpatialGateGrads:
    """Gradients of `swath.spatial_softmax_gate`.

    Parameters
    ----------
    dy : array, shape and dtype of x
    x, logits, residual, ndim, layout, threads
        As in `swath.spatial_softmax_gate`.
    needs : sequence of "x", "logits", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    SpatialGateGrads
        (dx, dlogits)

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.spatial_softmax_gate`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x, logits = np.ones((1, 4, 3), np.float32), np.zeros((1, 2, 3), np.float32)
    >>> swath.grad.spatial_softmax_gate(x, x, logits).dlogits.shape
    (1, 2, 3)
    """
    return SpatialGateGrads(
        *_core.spatial_gate_backward(True, dy, x, logits, residual, ndim, layout, needs, threads)
    )


def channel_gate(
    dy: Array,
    x: Array,
    *,
    kind: ChannelGateKind = "eca",
    weights: Sequence[Array | None],
    ndim: int | None = None,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> ChannelGateGrads:
    """Gradients of `swath.channel_gate`.

    Parameters
    ----------
    dy : array, shape and dtype of x
    x, kind, weights, ndim, layout, threads
        As in `swath.channel_gate`.
    needs : sequence of "x", "weights", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    ChannelGateGrads
        (dx, dweights); dweights is a tuple like ``weights``, None where a weight is None.

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.channel_gate`.

    Notes
    -----
    Where a channel is constant the gradient by its standard deviation counts as 0, as PyTorch has
    it. Cost: two reads of dy, one or two of x and one write.

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 4, 3), np.float32)
    >>> weights = np.eye(4, dtype=np.float32), None
    >>> dx, (dw, db) = swath.grad.channel_gate(x, x, kind="cca", weights=weights)
    >>> dw.shape, db
    ((4, 4), None)
    """
    return ChannelGateGrads(
        *_core.channel_gate_backward(dy, x, kind, weights, ndim, layout, needs, threads)
    )


def branch_select(
    dy: Array,
    branches: Array,
    logits: Array,
    *,
    layout: Layout = "channels_first",
    needs: Needs = None,
    threads: int | None = None,
) -> BranchSelectGrads:
    """Gradients of `swath.branch_select`.

    Parameters
    ----------
    dy : array, shape (N, C, *S), dtype of branches
    branches, logits, layout, threads
        As in `swath.branch_select`.
    needs : sequence of "branches", "logits", optional
        The results to compute, also by the names of their inputs ("x" for "dx"); default all.

    Returns
    -------
    BranchSelectGrads
        (dbranches, dlogits)

    Raises
    ------
    ShapeError, DTypeError, ParamError, LayoutError, DeviceError
        As `swath.branch_select`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> branches, logits = np.ones((2, 1, 1, 3), np.float32), np.zeros((1, 2, 1), np.float32)
    >>> swath.grad.branch_select(branches[0], branches, logits).dbranches[1]
    array([[[0.5, 0.5, 0.5]]], dtype=float32)
    """
    return BranchSelectGrads(
        *_core.branch_select_backward(dy, stacked(branches), logits, layout, needs, threads)
    )
