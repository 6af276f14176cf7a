"""Generators of kernels: small functions on the host that return new weights.

They compute in float64 and give the library and dtype of their first array.
"""

from swath.kernels.compose import shiftwise, spectral_mix
from swath.kernels.points import from_points
from swath.kernels.reparam import conv_to_linear, dilate, fold_batch_norm, merge_parallel, resize

__all__ = [
    "conv_to_linear",
    "dilate",
    "fold_batch_norm",
    "from_points",
    "merge_parallel",
    "resize",
    "shiftwise",
    "spectral_mix",
]
