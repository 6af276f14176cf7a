"""Fast convolution and sparse attention on CPUs, for NumPy and all libraries with DLPack."""

from swath import grad, info, kernels, order, patterns, testing
from swath._core import (
    DeviceError,
    DeviceFailure,
    DTypeError,
    Error,
    InternalError,
    LayoutError,
    OutOfMemoryError,
    ParamError,
    ShapeError,
    UnsupportedError,
    __version__,
)
from swath._threads import num_threads, set_num_threads
from swath.ops.attention import Attention, attention
from swath.ops.band_split import band_split
from swath.ops.channel_gate import channel_gate
from swath.ops.conv_plan import (
    Conv1d,
    Conv2d,
    Conv3d,
    GatedConv1d,
    GatedConv2d,
    GatedConv3d,
    PartialConv1d,
    PartialConv2d,
    PartialConv3d,
)
from swath.ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from swath.ops.deform_conv import deform_conv2d
from swath.ops.dynamic_conv import (
    dynamic_conv1d,
    dynamic_conv2d,
    involution2d,
    lightweight_conv1d,
    small_kernel_aggregation2d,
)
from swath.ops.dynamic_plan import DynamicConv1d
from swath.ops.gate_mul import gate_mul
from swath.ops.gated_conv import gated_conv1d, gated_conv2d, gated_conv3d
from swath.ops.linear_attention import linear_attention
from swath.ops.long_conv import long_conv
from swath.ops.long_conv2d import long_conv2d
from swath.ops.long_conv_plan import LongConv
from swath.ops.merge_attention import merge_attention
from swath.ops.partial_conv import partial_conv1d, partial_conv2d, partial_conv3d
from swath.ops.pool_tokens import pool_tokens
from swath.ops.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    sliding_reduce,
)
from swath.ops.sample_conv import mix_kernels, sample_conv1d, sample_conv2d
from swath.ops.select_blocks import select_blocks
from swath.ops.sliding_conv import conv1d, conv2d, conv3d
from swath.ops.space_to_depth import depth_to_space, space_to_depth
from swath.ops.spatial_gate import branch_select, spatial_gate, spatial_softmax_gate
from swath.ops.tokens import (
    PackedTokens,
    pack_tokens,
    put_tokens,
    take_tokens,
    unpack_tokens,
)

__all__ = [
    "Attention",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "DTypeError",
    "DeviceError",
    "DeviceFailure",
    "DynamicConv1d",
    "Error",
    "GatedConv1d",
    "GatedConv2d",
    "GatedConv3d",
    "InternalError",
    "LayoutError",
    "LongConv",
    "OutOfMemoryError",
    "PackedTokens",
    "ParamError",
    "PartialConv1d",
    "PartialConv2d",
    "PartialConv3d",
    "ShapeError",
    "UnsupportedError",
    "__version__",
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
    "gate_mul",
    "gated_conv1d",
    "gated_conv2d",
    "gated_conv3d",
    "grad",
    "info",
    "involution2d",
    "kernels",
    "lightweight_conv1d",
    "linear_attention",
    "long_conv",
    "long_conv2d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "merge_attention",
    "mix_kernels",
    "num_threads",
    "order",
    "pack_tokens",
    "partial_conv1d",
    "partial_conv2d",
    "partial_conv3d",
    "patterns",
    "pool_tokens",
    "put_tokens",
    "sample_conv1d",
    "sample_conv2d",
    "select_blocks",
    "set_num_threads",
    "sliding_reduce",
    "small_kernel_aggregation2d",
    "space_to_depth",
    "spatial_gate",
    "spatial_softmax_gate",
    "take_tokens",
    "testing",
    "unpack_tokens",
]
