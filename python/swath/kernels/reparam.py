"""Several layers as one: dilated and parallel branches, batch norm, resampled kernels, matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from swath._types import Array, Ints, Padding
from swath.kernels._arrays import Given, Wide


def _kernel_axes(given: Given, weight: Wide, arg: str = "weight") -> int:
    if weight.ndim < 3:
        given.bad_shape(arg, weight, "(O, C/groups, *kernel)")
    return weight.ndim - 2


def _resize_axis(w: Wide, axis: int, n: int, align_corners: bool) -> Wide:
    m = w.shape[axis]
    if align_corners:
        at = np.linspace(0, m - 1, n) if n > 1 else np.zeros(1)
    else:
        at = np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, None)
    low = np.minimum(at.astype(np.int64), m - 1)
    high = np.minimum(low + 1, m - 1)
    shape = [1] * w.ndim
    shape[axis] = n
    t = (at - low).reshape(shape)
    return np.asarray(w.take(low, axis) * (1 - t) + w.take(high, axis) * t)


def resize(weight: Array, size: Ints, *, align_corners: bool) -> Any:
    """Resample kernels to another size by linear interpolation along each axis.

    Parameters
    ----------
    weight : array, shape (O, C/groups, *kernel), float32 | float64 | float16 | bfloat16
    size : int or sequence of int
        The new kernel size.
    align_corners : bool
        True: the outermost taps stay outermost (ParCNetV2). False: taps are cells of an area.

    Returns
    -------
    array, shape (O, C/groups, *size)
        As ``torch.nn.functional.interpolate``; sums are not kept.

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.kernels.resize(np.array([[[0.0, 2, 4]]]), 5, align_corners=True)
    array([[[0., 1., 2., 3., 4.]]])
    """
    given = Given("kernels.resize")
    w = given.read(weight, "weight")
    n = _kernel_axes(given, w)
    if 0 in w.shape[2:]:
        given.bad_shape("weight", w, "at least one tap")
    for axis, length in enumerate(given.ints(size, n, "size")):
        w = _resize_axis(w, 2 + axis, length, bool(align_corners))
    return given.result(w)


def _dilate(w: Wide, d: Sequence[int]) -> Wide:
    shape = [(n - 1) * step + 1 for n, step in zip(w.shape[2:], d, strict=True)]
    wide = np.zeros((*w.shape[:2], *shape))
    every = (slice(None), slice(None), *(slice(None, None, step) for step in d))
    wide[every] = w
    return wide


def dilate(weight: Array, d: Ints) -> Any:
    """Insert d - 1 zeros between taps: a dilated convolution as a plain one.

    Parameters
    ----------
    weight : array, shape (O, C/groups, *kernel), float32 | float64 | float16 | bfloat16
    d : int or sequence of int

    Returns
    -------
    array, shape (O, C/groups, *(d*(kernel - 1) + 1))

    Examples
    --------
    >>> import numpy as np, swath
    >>> swath.kernels.dilate(np.array([[[1.0, 2, 3]]]), 2)
    array([[[1., 0., 2., 0., 3.]]])
    """
    given = Given("kernels.dilate")
    w = given.read(weight, "weight")
    return given.result(_dilate(w, given.ints(d, _kernel_axes(given, w), "d")))


def merge_parallel(branches: Sequence[tuple[Array, Array | None, Ints]]) -> tuple[Any, Any]:
    """Merge parallel convolutions, whose results are added, into one.

    Parameters
    ----------
    branches : sequence of (weight, bias, dilation)
        Weights (O, C/groups, *kernel) of one dtype, O and C/groups; bias (O,) or None. Each branch
        pads so that its output has the same size ("same"): kernels are aligned at their centres, so
        their dilated sizes must all be odd, or all even, along each axis.

    Returns
    -------
    (weight, bias)
        bias is None if no branch has one.

    Notes
    -----
    Ding et al., "UniRepLKNet: a universal perception large-kernel ConvNet", 2024.

    Examples
    --------
    >>> import numpy as np, swath
    >>> one, three = np.array([[[5.0]]]), np.array([[[1.0, 2, 3]]])
    >>> swath.kernels.merge_parallel([(three, None, 2), (one, None, 1)])
    (array([[[1., 0., 7., 0., 3.]]]), None)
    """
    given = Given("kernels.merge_parallel")
    weights: list[Wide] = []
    biases: list[Wide | None] = []
    if isinstance(branches, str) or not isinstance(branches, Sequence) or not branches:
        given.bad_value("branches", branches, "a sequence of (weight, bias, dilation)")
    for branch in branches:
        if not isinstance(branch, Sequence) or len(branch) != 3:
            given.bad_value("branches", branch, "(weight, bias, dilation)")
        w = given.read(branch[0], "branches")
        n = _kernel_axes(given, w)
        if weights and (w.shape[:2] != weights[0].shape[:2] or w.ndim != weights[0].ndim):
            given.bad_shape("branches", w, f"{weights[0].shape[:2]} and as many axes as the first")
        weights.append(_dilate(w, given.ints(branch[2], n, "branches")))
        bias = branch[1]
        biases.append(None if bias is None else given.read_or(bias, "branches", 0, w.shape[0]))
    size = tuple(max(w.shape[i] for w in weights) for i in range(2, weights[0].ndim))
    merged = np.zeros((*weights[0].shape[:2], *size))
    for w in weights:
        gaps = [most - n for most, n in zip(size, w.shape[2:], strict=True)]
        if any(gap % 2 for gap in gaps):
            given.bad_shape("branches", w, f"a size that has the same centre as {size}")
        first = [gap // 2 for gap in gaps]
        inner = [slice(at, at + n) for at, n in zip(first, w.shape[2:], strict=True)]
        centre = (slice(None), slice(None), *inner)
        merged[centre] += w
    present = [b for b in biases if b is not None]
    return given.result(merged), given.result(np.sum(present, 0)) if present else None


def fold_batch_norm(
    w: Array,
    b: Array | None,
    mean: Array,
    var: Array,
    gamma: Array | None,
    beta: Array | None,
    eps: float = 1e-5,
) -> tuple[Any, Any]:
    """Fold the batch norm after a convolution into its weight and bias.

    ::

        factor = gamma / sqrt(var + eps)
        w' = w * factor,  b' = beta + (b - mean) * factor

    Parameters
    ----------
    w : array, shape (O, ...), float32 | float64 | float16 | bfloat16
    b, gamma, beta : array, shape (O,), or None
        None stands for 0, 1 and 0.
    mean, var : array, shape (O,)
    eps : float

    Returns
    -------
    (w, b)

    Examples
    --------
    >>> import numpy as np, swath
    >>> one = np.ones(1)
    >>> swath.kernels.fold_batch_norm(np.ones((1, 1, 1)), None, one, 3 * one, one, one, eps=1)
    (array([[[0.5]]]), array([0.5]))
    """
    given = Given("kernels.fold_batch_norm")
    weight = given.read(w, "w")
    if weight.ndim < 1:
        given.bad_shape("w", weight, "(O, ...)")
    n = weight.shape[0]
    bias = given.read_or(b, "b", 0, n)
    m, v = given.read_or(mean, "mean", 0, n), given.read_or(var, "var", 1, n)
    g, shift = given.read_or(gamma, "gamma", 1, n), given.read_or(beta, "beta", 0, n)
    if not isinstance(eps, int | float | np.number) or isinstance(eps, bool) or not eps >= 0:
        given.bad_value("eps", eps, "a number >= 0")
    factor = g / np.sqrt(v + float(eps))
    scaled = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    return given.result(scaled), given.result(shift + (bias - m) * factor)


def _pads(given: Given, padding: Padding, kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            given.bad_value("padding", padding, "integers, pairs, 'same' or 'valid'")
        return [
            ((k - 1) // 2, k - 1 - (k - 1) // 2) if padding == "same" else (0, 0) for k in kernel
        ]
    if not isinstance(padding, Sequence | np.ndarray):
        return [(p, p) for p in given.ints(padding, len(kernel), "padding", 0)]
    if len(padding) != len(kernel):
        given.bad_value("padding", padding, f"an integer, {len(kernel)} integers or pairs")
    pads = [given.ints(p, 2, "padding", 0) for p in padding]
    return [(p[0], p[1]) for p in pads]


def conv_to_linear(
    w: Array, b: Array | None, size: Ints, *, padding: Padding, groups: int
) -> tuple[Any, Any]:
    """Write a convolution of images of a fixed size as a matrix.

    Parameters
    ----------
    w : array, shape (O, C/groups, *kernel), float32 | float64 | float16 | bfloat16
    b : array, shape (O,), or None
    size : int or sequence of int
        Of the image: h, w.
    padding : int, ints, pairs, "same" or "valid"
        Of zeros. The output has size h', w' (h, w with "same").
    groups : int

    Returns
    -------
    (matrix, bias) : shapes (O*h'*w', C/groups*h*w) and (O*h'*w',), or None without a bias
        Rows lie group by group: the rows of group g are multiplied with that group's channels of
        the flattened image.

    Notes
    -----
    Ding et al., "RepMLP: re-parameterizing convolutions into fully-connected layers", 2021.

    Examples
    --------
    >>> import numpy as np, swath
    >>> weight = np.array([[[1.0, 2, 3]]])
    >>> swath.kernels.conv_to_linear(weight, None, 3, padding=1, groups=1)[0]
    array([[2., 3., 0.],
           [1., 2., 3.],
           [0., 1., 2.]])
    """
    given = Given("kernels.conv_to_linear")
    weight = given.read(w, "w")
    n = _kernel_axes(given, weight, "w")
    kernel = weight.shape[2:]
    extent = given.ints(size, n, "size")
    (n_groups,) = given.ints(groups, 1, "groups")
    if weight.shape[0] % n_groups:
        given.bad_value("groups", groups, f"a divisor of the {weight.shape[0]} output channels")
    pads = _pads(given, padding, kernel)
    out = [h + sum(p) - k + 1 for h, p, k in zip(extent, pads, kernel, strict=True)]
    if any(h < 1 for h in out):
        given.bad_shape("w", weight, f"a kernel that fits into {extent} with padding {pads}")
    # [tap, output, input] of one axis: whether the tap of the output meets the input
    meets = [
        (np.arange(k)[:, None, None] + np.arange(o)[:, None] - p[0] == np.arange(h)).astype(float)
        for k, o, h, p in zip(kernel, out, extent, pads, strict=True)
    ]
    taps, outs, ins = "abc"[:n], "def"[:n], "ghi"[:n]
    terms = ",".join(f"{t}{o}{i}" for t, o, i in zip(taps, outs, ins, strict=True))
    matrix = np.einsum(f"yz{taps},{terms}->y{outs}z{ins}", weight, *meets, optimize=True)
    flat = np.asarray(matrix).reshape(weight.shape[0] * int(np.prod(out)), -1)
    if b is None:
        return given.result(flat), None
    bias = given.read_or(b, "b", 0, weight.shape[0])
    return given.result(flat), given.result(np.repeat(bias, int(np.prod(out))))
