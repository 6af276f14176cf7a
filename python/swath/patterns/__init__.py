"""Which keys each query attends to: arguments of `swath.attention`."""

from swath.patterns._base import Pattern, Union
from swath.patterns._grid import Disk, Halo, Neighborhood, Window
from swath.patterns._lists import Blocks, FromMask, Segments, VarLen, from_mask
from swath.patterns._table import RelativeTable
from swath.patterns._tokens import Causal, Dense, Grouped, Window1D

__all__ = [
    "Blocks",
    "Causal",
    "Dense",
    "Disk",
    "FromMask",
    "Grouped",
    "Halo",
    "Neighborhood",
    "Pattern",
    "RelativeTable",
    "Segments",
    "Union",
    "VarLen",
    "Window",
    "Window1D",
    "from_mask",
]
