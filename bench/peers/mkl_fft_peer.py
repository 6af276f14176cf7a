"""Intel's FFTs for NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import mkl_fft
import numpy as np
from mkl_fft.interfaces import numpy_fft

from peers import fft_rows
from peers.base import Peer, Prepared, Unsupported
from workload import Array, Workload


def long_rows(workload: Workload, values: Mapping[str, Array]) -> Prepared:
    return Prepared(fft_rows.prepare(workload, values, numpy_fft.rfft, numpy_fft.irfft), np.asarray)


class MklFft(Peer):
    name = "mkl_fft"
    version = mkl_fft.__version__
    compositions: ClassVar = {"long_conv": long_rows}

    def set_threads(self, n_threads: int) -> None:
        """MKL_NUM_THREADS, read when the library is loaded, holds for the whole run."""

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        if workload.op not in self.compositions:
            raise Unsupported("no such operator")
        return self.compositions[workload.op](workload, values)
