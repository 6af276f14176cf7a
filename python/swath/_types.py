"""Types of arguments that many functions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

Array: TypeAlias = Any
"""NumPy, any object with ``__dlpack__``, or what ``numpy.asarray`` understands."""

Ints: TypeAlias = int | Sequence[int]
"""One for all spatial axes, or one per axis."""

Padding: TypeAlias = int | str | Sequence[int] | Sequence[Sequence[int]]
"""A number, one per axis, ``(before, after)`` per axis, or the name of a rule."""

Activation: TypeAlias = str | tuple[str, float] | None
"""None, a name or ``(name, value)``."""

Needs: TypeAlias = Sequence[str] | None
"""The inputs whose gradients are wanted, None for all."""

Gate: TypeAlias = str | tuple[str, Any] | None
"""As Activation, or ``("asym_gauss", (a, mu, s1, s2))``."""

Layout: TypeAlias = Literal["channels_first", "channels_last"]
AttentionLayout: TypeAlias = Literal["heads_first", "heads_last"]
PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular", "partial"]
PassThrough: TypeAlias = Literal["copy", "none"]
HeadMap: TypeAlias = Literal["blocked", "interleaved"]
GateOrder: TypeAlias = Literal["feature_first", "gate_first"]
MaskUpdate: TypeAlias = Literal["any", "same"]
ResidualOrder: TypeAlias = Literal["after", "before"]
BlockOrder: TypeAlias = Literal["torch", "tf", "spd"]
LongConv2dMode: TypeAlias = Literal["same", "circular", "full"]
LongConvMethod2d: TypeAlias = Literal["auto", "fft", "direct"]
BandMetric: TypeAlias = Literal["max", "radius"]
Reduction: TypeAlias = Literal["sum", "mean", "max", "min"]
LongMode: TypeAlias = Literal["causal", "same", "full", "valid", "circular", "two_sided"]
LongMethod: TypeAlias = Literal["auto", "fft", "direct", "overlap_save"]
ChannelGateKind: TypeAlias = Literal["eca", "se", "cca", "mean_std"]
