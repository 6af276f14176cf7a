"""Convolution layers: torch's own parameters, initialisation and state dicts, swath's kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from swath.torch._functions import FUNCTIONS


class _Conv(nn.Module):
    """What a torch convolution computes, by swath; to be mixed with one of torch's layers."""

    _name: str

    def _options(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    def forward(self, x: Any) -> Any:
        return FUNCTIONS[self._name](
            x, self.weight, self.bias, padding_mode=self.padding_mode, **self._options()
        )


class Conv1d(_Conv, nn.Conv1d):
    """`torch.nn.Conv1d` computed by `swath.conv1d`: same arguments, parameters and state dict."""

    _name = "conv1d"


class Conv2d(_Conv, nn.Conv2d):
    """`torch.nn.Conv2d` computed by `swath.conv2d`: same arguments, parameters and state dict."""

    _name = "conv2d"


class Conv3d(_Conv, nn.Conv3d):
    """`torch.nn.Conv3d` computed by `swath.conv3d`: same arguments, parameters and state dict."""

    _name = "conv3d"


class _PartialConv(_Conv):
    def __init__(
        self, *args: Any, multi_channel: bool = False, return_mask: bool = False, **kwargs: Any
    ) -> None:
        self.multi_channel, self.return_mask = multi_channel, return_mask
        super().__init__(*args, **kwargs)
        if self.padding_mode != "zeros":
            raise ValueError(f"padding_mode is {self.padding_mode!r}, needed is 'zeros'")

    def forward(self, input: Any, mask_in: Any = None) -> Any:
        y, mask = FUNCTIONS[self._name](input, self.weight, self.bias, mask_in, **self._options())
        if self.multi_channel:  # one for every channel, also where x has a single one
            mask = mask.expand(mask.shape[0], self.out_channels, *mask.shape[2:])
        return (y, mask) if self.return_mask else y


class PartialConv1d(_PartialConv, nn.Conv1d):
    """`PartialConv2d` with one spatial axis."""

    _name = "partial_conv1d"


class PartialConv2d(_PartialConv, nn.Conv2d):
    """Mask-aware convolution (Liu et al. 2018), with the published layer's arguments and weights.

    ``forward(input, mask_in=None)`` gives y, or ``(y, mask)`` with ``return_mask=True``. A mask has
    one channel, or with ``multi_channel=True`` those of the input, and of y. Loads the state dict
    of the published PartialConv2d and of `torch.nn.Conv2d`.
    """

    _name = "partial_conv2d"


class PartialConv3d(_PartialConv, nn.Conv3d):
    """`PartialConv2d` with three spatial axes."""

    _name = "partial_conv3d"


class _GatedConv(_Conv):
    """One weight of twice the output channels: the features, then the gates."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        *args: Any,
        activation: Any = "elu",
        gate: Any = "sigmoid",
        order: str = "feature_first",
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, 2 * out_channels, kernel_size, *args, **kwargs)
        self.activation, self.gate, self.order = activation, gate, order

    def forward(self, x: Any) -> Any:
        return FUNCTIONS[self._name](
            x, self.weight, self.bias, activation=self.activation, gate=self.gate,
            order=self.order, padding_mode=self.padding_mode, **self._options(),
        )  # fmt: skip


class GatedConv1d(_GatedConv, nn.Conv1d):
    """`GatedConv2d` with one spatial axis."""

    _name = "gated_conv1d"


class GatedConv2d(_GatedConv, nn.Conv2d):
    """Gated convolution (Yu et al. 2019): ``activation(f) * gate(g)``, f and g in one pass.

    Arguments of `torch.nn.Conv2d` for ``out_channels`` features; the weight has twice as many rows,
    as the published layers of one convolution have it.
    """

    _name = "gated_conv2d"


class GatedConv3d(_GatedConv, nn.Conv3d):
    """`GatedConv2d` with three spatial axes."""

    _name = "gated_conv3d"


class PartialChannelConv2d(nn.Module):
    """FasterNet's Partial_conv3: a 3x3 convolution of the first ``dim // n_div`` channels.

    The other channels pass through. The state dict is the published one: ``partial_conv3.weight``.

    Chen et al., "Run, don't walk: chasing higher FLOPS for faster neural networks", 2023.
    """

    def __init__(self, dim: int, n_div: int, forward: str = "split_cat") -> None:
        super().__init__()
        if forward not in ("split_cat", "slicing"):
            raise NotImplementedError(forward)
        self.dim_conv3 = dim // n_div
        self.dim_untouched = dim - self.dim_conv3
        self.partial_conv3 = nn.Conv2d(self.dim_conv3, self.dim_conv3, 3, 1, 1, bias=False)
        self.is_in_place = forward == "slicing"  # as published: for inference only

    def forward(self, x: Any) -> Any:
        options: dict[str, Any] = {"padding": 1, "channels": (0, self.dim_conv3)}
        if self.is_in_place and not torch.is_grad_enabled():
            options["out"] = x
        return FUNCTIONS["conv2d"](x, self.partial_conv3.weight, **options)
