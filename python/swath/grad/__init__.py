"""Gradients: every function has one of the same name, for the output's gradient dy first."""

from swath.grad._results import InputGradient
from swath.grad.attention import AttentionGrads, attention
from swath.grad.conv import (
    ConvGrads,
    ConvTransposeGrads,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from swath.grad.deform_conv import DeformConvGrads, deform_conv2d
from swath.grad.dynamic_conv import (
    DynamicConvGrads,
    dynamic_conv1d,
    dynamic_conv2d,
    involution2d,
    lightweight_conv1d,
    small_kernel_aggregation2d,
)
from swath.grad.gates import (
    branch_select,
    channel_gate,
    gate_mul,
    spatial_gate,
    spatial_softmax_gate,
)
from swath.grad.kernels import FromPointsGrads, from_points
from swath.grad.linear_attention import LinearAttentionGrads, linear_attention
from swath.grad.long_conv import LongConvGrads, long_conv
from swath.grad.long_conv2d import LongConv2dGrads, band_split, long_conv2d
from swath.grad.masked_conv import (
    PartialConvGrads,
    gated_conv1d,
    gated_conv2d,
    gated_conv3d,
    partial_conv1d,
    partial_conv2d,
    partial_conv3d,
)
from swath.grad.merge_attention import merge_attention
from swath.grad.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from swath.grad.sample_conv import (
    MixKernelsGrads,
    mix_kernels,
    sample_conv1d,
    sample_conv2d,
)
from swath.grad.sliding_reduce import sliding_reduce
from swath.grad.space_to_depth import depth_to_space, space_to_depth
from swath.grad.tokens import (
    PoolTokensGrads,
    pack_tokens,
    pool_tokens,
    put_tokens,
    take_tokens,
    unpack_tokens,
)

__all__ = [
    "AttentionGrads",
    "ConvGrads",
    "ConvTransposeGrads",
    "DeformConvGrads",
    "DynamicConvGrads",
    "FromPointsGrads",
    "InputGradient",
    "LinearAttentionGrads",
    "LongConv2dGrads",
    "LongConvGrads",
    "MixKernelsGrads",
    "PartialConvGrads",
    "PoolTokensGrads",
    "attention",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "band_split",
    "branch_select",
    "channel_gate",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "deform_conv2d",
    "depth_to_space",
    "dynamic_conv1d",
    "dynamic_conv2d",
    "from_points",
    "gate_mul",
    "gated_conv1d",
    "gated_conv2d",
    "gated_conv3d",
    "involution2d",
    "lightweight_conv1d",
    "linear_attention",
    "long_conv",
    "long_conv2d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "merge_attention",
    "mix_kernels",
    "pack_tokens",
    "partial_conv1d",
    "partial_conv2d",
    "partial_conv3d",
    "pool_tokens",
    "put_tokens",
    "sample_conv1d",
    "sample_conv2d",
    "sliding_reduce",
    "small_kernel_aggregation2d",
    "space_to_depth",
    "spatial_gate",
    "spatial_softmax_gate",
    "take_tokens",
    "unpack_tokens",
]
