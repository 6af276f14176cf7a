"""Fast sliding-window operators on CPUs, for NumPy and every array library that speaks DLPack."""

from swath import grad, info, testing
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
from swath.ops.conv_plan import Conv1d, Conv2d, Conv3d
from swath.ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from swath.ops.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    sliding_reduce,
)
from swath.ops.sliding_conv import conv1d, conv2d, conv3d
from swath.ops.space_to_depth import depth_to_space, space_to_depth

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "DTypeError",
    "DeviceError",
    "DeviceFailure",
    "Error",
    "InternalError",
    "LayoutError",
    "OutOfMemoryError",
    "ParamError",
    "ShapeError",
    "UnsupportedError",
    "__version__",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "depth_to_space",
    "grad",
    "info",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "num_threads",
    "set_num_threads",
    "sliding_reduce",
    "space_to_depth",
    "testing",
]
