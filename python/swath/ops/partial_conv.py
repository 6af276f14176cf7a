"""Partial (mask-aware) convolution: holes of the input never influence the output."""

from __future__ import annotations

from swath import _core
from swath._types import Activation, Array, Ints, Layout, MaskUpdate, Padding


def partial_conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
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
    out: Array | None = None,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Partial convolution along one axis.

    As `partial_conv2d`, for x of shape (N, C, L) and weight of shape (O, C/groups, K).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 3, 8), np.float32)
    >>> y, new_mask = swath.partial_conv1d(x, np.ones((4, 3, 3), np.float32))
    >>> y.shape, new_mask.shape
    ((1, 4, 6), (1, 1, 6))
    """
    return _core.partial_conv(
        1, x, weight, bias, mask, stride, padding, dilation, groups, renormalize, mask_update, eps,
        layout, activation, out, threads,
    )  # fmt: skip


def partial_conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
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
    out: Array | None = None,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Convolve along two axes over the valid part of x alone, and update the mask.

    ::

        S = sum of mask over each window (and channel, if the mask has all of them)
        y = conv2d(where(mask != 0, x * mask, 0), weight) * r + bias
        r = window / max(S, eps) * min(S, 1) where S > 0, else 0

    and y is 0 where nothing in the window is valid. Whatever lies under a hole, NaN and Inf
    included, never reaches y.

    Parameters
    ----------
    x : array, shape (N, C, H, W), float32 | float64 | float16 | bfloat16
        N may be missing. Read through its strides, without a copy.
    weight : array, shape (O, C/groups, Kh, Kw), dtype of x
    bias : array, shape (O,), dtype of x, optional
    mask : array, shape (N | 1, 1 | C, H, W), bool, uint8 or any floating dtype, optional
        1 is valid, 0 a hole; floats may lie between. None: all valid. Padding counts as a hole.
    stride, padding, dilation, groups, layout, activation, out, threads
        As in `conv2d`; the padding is of zeros, the dilation one for all channels.
    renormalize : bool
        Whether the sum is multiplied by r.
    mask_update : "any" | "same"
        The new mask: "any" is min(S, 1), so that valid regions grow with every layer; "same" is
        the mask at the window's centre tap. With "same" outputs of invalid centres are 0 and are
        not computed: time falls with the valid share.
    eps : float
        Least divisor in r.

    Returns
    -------
    y : array, shape (N, O, H', W')
        Also multiplied by the new mask if there is a bias, if mask_update is "same", or without
        renormalising; then comes the activation. In the library of x, or ``out``.
    mask_out : array, shape (N | 1, 1 | O, H', W'), dtype of the mask (of x without one)
        O equal channels if the mask has all channels of x and C > 1.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DTypeError
        If the mask is of an integer dtype other than uint8, and as `conv2d`.
    ParamError
        If the mask holds a value outside [0, 1] or an integer other than 0 and 1, if "same" meets
        a mask of several channels, and as `conv2d`.
    LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Window sums cost the same for any window. Tiles without a valid pixel are skipped. Extra memory:
    a few planes of one value per position, C times less than x.

    Liu et al., "Image inpainting for irregular holes using partial convolutions", 2018
    (``renormalize=True, mask_update="any"``); ``renormalize=False, mask_update="same"`` is the
    masked convolution of sparse pre-training (Tian et al., 2023).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 1, 5, 5), np.float32)
    >>> mask = np.ones((1, 1, 5, 5), bool)
    >>> x[..., 2, 2], mask[..., 2, 2] = np.nan, False
    >>> y, new_mask = swath.partial_conv2d(x, np.full((1, 1, 3, 3), 1 / 9, np.float32), mask=mask)
    >>> np.allclose(y, 1), bool(new_mask.all())
    (True, True)
    """
    return _core.partial_conv(
        2, x, weight, bias, mask, stride, padding, dilation, groups, renormalize, mask_update, eps,
        layout, activation, out, threads,
    )  # fmt: skip


def partial_conv3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
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
    out: Array | None = None,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Partial convolution along three axes.

    As `partial_conv2d`, for x (N, C, D, H, W) and weight (O, C/groups, Kd, Kh, Kw).

    Examples
    --------
    >>> import numpy as np, swath
    >>> x = np.ones((1, 3, 4, 6, 6), np.float32)
    >>> y, new_mask = swath.partial_conv3d(x, np.ones((4, 3, 3, 3, 3), np.float32))
    >>> y.shape, new_mask.shape
    ((1, 4, 2, 4, 4), (1, 1, 2, 4, 4))
    """
    return _core.partial_conv(
        3, x, weight, bias, mask, stride, padding, dilation, groups, renormalize, mask_update, eps,
        layout, activation, out, threads,
    )  # fmt: skip
