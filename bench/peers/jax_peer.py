"""JAX on the CPU, compiled: long convolutions by its real FFTs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from peers import fft_rows
from peers.base import Peer, Prepared, Unsupported
from workload import Array, Workload


def long_rows(workload: Workload, values: Mapping[str, Array]) -> Prepared:
    if workload.dtype != "f32":
        raise Unsupported(workload.dtype)
    arrays = {name: jnp.asarray(a) for name, a in values.items()}
    taps = arrays.pop("k")
    names = list(arrays)
    period = fft_rows.period_of(workload, values)
    spectrum = jnp.fft.rfft(taps, period).block_until_ready()

    # Everything is an argument: a constant would be folded into the compiled code.
    @jax.jit
    def run(kernel: Any, *rows: Any) -> Any:
        given = dict(zip(names, rows, strict=True))
        return fft_rows.convolve(given, kernel, period, jnp.fft.rfft, jnp.fft.irfft)

    rows = list(arrays.values())
    return Prepared(lambda: run(spectrum, *rows).block_until_ready(), np.asarray)


class Jax(Peer):
    name = "jax"
    version = jax.__version__
    compositions: ClassVar = {"long_conv": long_rows}

    def set_threads(self, n_threads: int) -> None:
        """XLA takes the processors that the process may use."""

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        if workload.op not in self.compositions:
            raise Unsupported("no such operator")
        return self.compositions[workload.op](workload, values)
