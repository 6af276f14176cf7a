"""NumPy: np.convolve of one row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from peers.base import Peer, Prepared, Unsupported, geometry, reject, single_plane
from workload import Array, Workload


class NumPy(Peer):
    name = "numpy"
    version = np.__version__

    def set_threads(self, n_threads: int) -> None:
        """np.convolve runs on one thread whatever is asked."""

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        reject(workload, "bias", "scale", "shift", "residual", "activation", "channels")
        if workload.function != "conv1d" or workload.dtype not in ("f32", "f64"):
            raise Unsupported("no such operator")
        row, g = single_plane(workload, values), geometry(workload)
        if not g.is_plain or not g.is_same:
            raise Unsupported("stride, dilation or padding")
        flipped = np.flip(values["weight"][0, 0])
        return Prepared(lambda: np.convolve(row, flipped, mode="same"), lambda y: y[None, None])
