"""Layers on sequences: long convolution, lightweight and dynamic convolution."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from swath.torch._functions import FUNCTIONS


class LongConv(nn.Module):
    """Convolution of each channel with taps as long as the sequence, by `swath.long_conv`.

    ``forward(u, pre_gate=None, post_gate=None)`` takes (B, D, L), or (B, L, D) with
    ``layout="channels_last"``. Parameters: ``k`` (heads, length), ``skip`` (channels) and ``bias``
    (channels), each drawn as by a depthwise `torch.nn.Conv1d` of that length.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        *,
        heads: int | None = None,
        mode: str = "causal",
        skip: bool = True,
        bias: bool = False,
        layout: str = "channels_first",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        heads = channels if heads is None else heads
        if heads < 1 or channels % heads:
            raise ValueError(f"heads is {heads}, needed is a divisor of the {channels} channels")
        self.channels, self.length, self.mode, self.layout = channels, length, mode, layout
        made = {"device": device, "dtype": dtype}
        self.k = nn.Parameter(torch.empty(heads, length, **made))
        for name, wanted in (("skip", skip), ("bias", bias)):
            parameter = nn.Parameter(torch.empty(channels, **made)) if wanted else None
            self.register_parameter(name, parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.length)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, u: Any, pre_gate: Any = None, post_gate: Any = None) -> Any:
        return FUNCTIONS["long_conv"](
            u, self.k, mode=self.mode, skip=self.skip, bias=self.bias, pre_gate=pre_gate,
            post_gate=post_gate, layout=self.layout,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.length}, heads={len(self.k)}, mode={self.mode!r}"


class LightweightConv1d(nn.Module):
    """Depthwise convolution with one row of taps per head (Wu et al. 2019), on (B, C, T).

    Arguments, parameters and state dict of fairseq's module of this name; ``padding_l`` zeros come
    before the sequence and ``kernel_size - 1 - padding_l`` after it.
    """

    head_map = "interleaved"  # as the published module for this layout

    def __init__(
        self,
        input_size: int,
        kernel_size: int = 1,
        padding_l: int | None = None,
        num_heads: int = 1,
        weight_dropout: float = 0.0,
        weight_softmax: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.kernel_size, self.num_heads = input_size, kernel_size, num_heads
        self.padding_l = kernel_size - 1 if padding_l is None else padding_l
        self.weight_softmax, self.weight_dropout = weight_softmax, weight_dropout
        self.weight = nn.Parameter(torch.empty(num_heads, 1, kernel_size))
        self.bias = nn.Parameter(torch.zeros(input_size)) if bias else None
        nn.init.xavier_uniform_(self.weight)

    def forward(self, input: Any) -> Any:
        taps = self.weight.flatten(1)
        if self.weight_softmax:  # before the dropout, as published
            taps = torch.softmax(taps.float(), 1).type_as(taps)
        taps = nn.functional.dropout(taps, self.weight_dropout, self.training)
        sides = (self.padding_l, self.kernel_size - 1 - self.padding_l)
        y = FUNCTIONS["dynamic_conv1d"](input, taps, padding=sides, head_map=self.head_map)
        return y if self.bias is None else y + self.bias[:, None]


class DynamicConv1d(nn.Module):
    """Convolution with taps made from each position (Wu et al. 2019), on (T, B, C).

    Arguments, parameters and state dict of fairseq's DynamicConv1dTBC. ``forward(x, query=None)``
    makes the taps from the query, x by default.
    """

    def __init__(
        self,
        input_size: int,
        kernel_size: int = 1,
        padding_l: int | None = None,
        num_heads: int = 1,
        weight_dropout: float = 0.0,
        weight_softmax: bool = False,
        renorm_padding: bool = False,
        bias: bool = False,
        conv_bias: bool = False,
        query_size: int | None = None,
        in_proj: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.kernel_size, self.num_heads = input_size, kernel_size, num_heads
        self.query_size = input_size if query_size is None else query_size
        self.padding_l = kernel_size - 1 if padding_l is None else padding_l
        self.weight_softmax, self.renorm_padding = weight_softmax, renorm_padding
        self.weight_dropout = weight_dropout
        n_taps = num_heads * kernel_size
        if in_proj:
            self.weight_linear = nn.Linear(input_size, input_size + n_taps)
        else:
            self.weight_linear = nn.Linear(self.query_size, n_taps, bias=bias)
        self.in_proj = in_proj
        self.conv_bias = nn.Parameter(torch.zeros(input_size)) if conv_bias else None
        nn.init.xavier_uniform_(self.weight_linear.weight)
        if self.weight_linear.bias is not None:
            nn.init.zeros_(self.weight_linear.bias)

    def forward(self, x: Any, query: Any = None) -> Any:
        made = self.weight_linear(x if query is None else query)
        if self.in_proj:
            x, made = made.split((self.input_size, made.shape[2] - self.input_size), 2)
        # (T, B, H K) to (B, T, H, K), as the layout with the channels last wants it
        taps = made.unflatten(2, (self.num_heads, self.kernel_size)).transpose(0, 1)
        softmax = self.weight_softmax
        if softmax and self.weight_dropout and self.training:  # the dropout comes after it
            taps, softmax = torch.softmax(taps, 3), False
        if not softmax:
            taps = nn.functional.dropout(taps, self.weight_dropout, self.training)
        y = FUNCTIONS["dynamic_conv1d"](
            x.transpose(0, 1), taps, softmax=softmax, renormalize_padding=self.renorm_padding,
            padding=(self.padding_l, self.kernel_size - 1 - self.padding_l),
            layout="channels_last",
        ).transpose(0, 1)  # fmt: skip
        return y if self.conv_bias is None else y + self.conv_bias


class Attention(nn.Module):
    """Multi-head self-attention over the keys that a pattern allows, by `swath.attention`.

    ``forward(x)`` takes (B, *tokens, dim). Parameters and state dict are those of the published
    neighborhood attention layers: ``qkv`` (dim to 3 dim) and ``proj`` (dim to dim).

    Hassani et al., "Neighborhood attention transformer", 2023.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        pattern: Any = None,
        *,
        causal: bool = False,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"num_heads is {num_heads}, needed is a divisor of dim, {dim}")
        self.num_heads, self.pattern, self.causal, self.scale = num_heads, pattern, causal, qk_scale
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: Any) -> Any:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        y = FUNCTIONS["attention"](
            q, k, v, pattern=self.pattern, causal=self.causal, scale=self.scale,
            layout="heads_last",
        )  # fmt: skip
        return self.proj_drop(self.proj(y.flatten(-2)))
