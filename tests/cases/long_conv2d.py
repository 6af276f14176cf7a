"""Directed cases and workloads of long_conv2d and band_split, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

import oracle_long2d
from cases.case import DTYPES, Array, Case, Shape, Workload
from oracle import Result


def _draw(case: Case, name: str, shape: Shape, dtype: str) -> Array:
    return Case(f"{case.id}_{name}", "conv1d", shape, fill=case.fill).inputs(dtype)["x"]


def _wide(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """As the oracle computes: float64 data in long double."""
    first = next(iter(arrays.values()))
    dtype = np.longdouble if first.dtype == np.float64 else np.float64
    return {name: np.asarray(a).astype(dtype) for name, a in arrays.items()}


def _function(case: Case, swath: Any) -> Any:
    return reduce(getattr, case.function.split("."), swath)


@dataclass(frozen=True)
class LongCase(Case):
    """u (B, D, H, W), channels first whatever the layout is; `x` is its shape in memory.

    A gradient's case looks at one `result` of it, "du" or "dk".
    """

    u: Shape = ()
    k: Shape = ()
    result: str = ""

    @property
    def is_direct(self) -> bool:
        return self.kwargs.get("method") == "direct"

    @property
    def op(self) -> str:
        return "long_conv2d" if self.is_direct else "plane_fft"

    @property
    def kernel_op(self) -> str:
        return "sliding_conv" if self.is_direct else "plane_fft"

    @property
    def dtypes(self) -> tuple[str, ...]:
        return DTYPES

    @property
    def has_out(self) -> bool:
        return not self.result

    @property
    def mode(self) -> str:
        return str(self.kwargs.get("mode", "same"))

    def _placed(self, a: Array) -> Array:
        is_last = self.kwargs.get("layout") == "channels_last"
        return np.ascontiguousarray(np.moveaxis(a, -3, -1)) if is_last else a

    def _planar(self, a: Array) -> Array:
        """(B, D, H, W)"""
        if self.kwargs.get("layout") == "channels_last":
            a = np.moveaxis(a, -1, -3)
        return a if a.ndim == 4 else a[None]

    def inputs(self, dtype: str) -> dict[str, Array]:
        u = self._placed(_draw(self, "u", self.u, dtype))
        arrays = {"u": u, "k": _draw(self, "k", self.k, dtype)}
        if self.is_gradient:
            sizes = [
                oracle_long2d.n_out(self.mode, n, taps)
                for n, taps in zip(self.u[-2:], self.k[1:], strict=True)
            ]
            dy = _draw(self, "dy", (*self.u[:-2], *sizes), dtype)
            arrays = {"dy": self._placed(dy), **arrays}
        return arrays

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        keywords = {**self.kwargs, **more}
        if self.result:
            keywords.setdefault("needs", (self.result,))
        found = _function(self, swath)(**arrays, **keywords)
        return getattr(found, self.result) if self.result and found is not None else found

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        wide = _wide(arrays)
        u, dy = self._planar(wide["u"]), wide.get("dy")
        results = oracle_long2d.direct_results if self.is_direct else oracle_long2d.fft_results
        given = None if dy is None else self._planar(dy)
        found = results(u, wide["k"], given, self.mode)[self.result or "y"]
        if self.result == "dk":
            return found
        value, size = (
            self._placed(a[0] if len(self.u) == 3 else a) for a in (found.value, found.magnitude)
        )
        return Result(value, np.asarray(size), found.terms)


@dataclass(frozen=True)
class BandCase(Case):
    """band_split of x, the bands as one array; or its gradient for given dys."""

    cutoffs: tuple[float, ...] = ()
    skipped: tuple[int, ...] = field(default=())  # bands without a gradient

    @property
    def op(self) -> str:
        return "band_split"

    @property
    def kernel_op(self) -> str:
        return "plane_fft"

    @property
    def dtypes(self) -> tuple[str, ...]:
        return DTYPES

    @property
    def has_out(self) -> bool:
        return False

    def inputs(self, dtype: str) -> dict[str, Array]:
        arrays = {"x": _draw(self, "x", self.x, dtype)}
        if self.is_gradient:
            for i in range(len(self.cutoffs) + 1):
                arrays[f"dy{i}"] = _draw(self, f"dy{i}", self.x, dtype)
        return arrays

    def _gradients(self, arrays: Mapping[str, Array]) -> list[Array | None]:
        all_bands = range(len(self.cutoffs) + 1)
        return [None if i in self.skipped else arrays[f"dy{i}"] for i in all_bands]

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        function, keywords = _function(self, swath), {**self.kwargs, **more}
        if self.is_gradient:
            return function(self._gradients(arrays), arrays["x"], self.cutoffs, **keywords).dx
        found = function(arrays["x"], self.cutoffs, **keywords)
        return None if found is None else np.stack(found)

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        wide = _wide(arrays)
        if not self.is_gradient:
            return oracle_long2d.band_results(wide["x"], self.cutoffs, **self.kwargs)
        dys = [np.zeros_like(wide["x"]) if d is None else d for d in self._gradients(wide)]
        return oracle_long2d.band_gradient(dys, self.cutoffs, **self.kwargs)


def _long(name: str, u: Shape, k: Shape, **kwargs: Any) -> LongCase:
    keywords = {"method": "fft", **kwargs}
    x = u
    if keywords.get("layout") == "channels_last":
        x = (*u[:-3], *u[-2:], u[-3])
    return LongCase(name, "long_conv2d", x, None, keywords, u=u, k=k)


_FFT = [
    _long("one_pixel", (1, 1, 1, 1), (1, 1, 1)),
    _long("same_odd", (2, 3, 9, 14), (3, 5, 3)),
    _long("same_even", (1, 5, 12, 11), (5, 4, 6)),
    _long("same_larger_than_image", (2, 2, 6, 5), (2, 13, 12)),
    _long("same_twice_the_image", (1, 2, 8, 7), (2, 15, 13)),
    _long("same_far_larger", (1, 1, 3, 2), (1, 40, 31)),
    _long("full", (2, 3, 7, 10), (3, 4, 9), mode="full"),
    _long("full_one_row", (1, 4, 1, 30), (4, 1, 31), mode="full"),
    _long("circular_good_size", (2, 3, 12, 20), (3, 5, 20), mode="circular"),
    _long("circular_primes", (1, 2, 11, 13), (2, 11, 4), mode="circular"),
    _long("circular_large_primes", (1, 1, 67, 3), (1, 30, 3), mode="circular"),
    _long("circular_one_tap", (1, 2, 67, 71), (2, 1, 1), mode="circular"),
    _long("unbatched", (3, 10, 12), (3, 7, 7)),
    _long("more_planes_than_a_bundle", (2, 37, 7, 6), (37, 5, 5)),
    _long("many_rows", (1, 2, 70, 40), (2, 9, 33)),
    _long("several_tiles", (1, 2, 40, 75), (2, 21, 3), mode="full"),
    _long("large_radices", (1, 1, 49, 121), (1, 49, 121), mode="circular"),
    _long("channels_last", (2, 5, 9, 8), (5, 4, 7), layout="channels_last"),
    _long("channels_last_full", (6, 5, 8), (6, 3, 3), layout="channels_last", mode="full"),
    replace(_long("constant", (1, 2, 33, 40), (2, 31, 31)), fill="constant"),
    _long("empty_batch", (0, 3, 8, 8), (3, 5, 5)),
    _long("empty_rows", (1, 3, 0, 8), (3, 5, 5)),
    _long("empty_full", (1, 2, 0, 3), (2, 5, 5), mode="full"),
    _long("empty_circular", (1, 2, 4, 0), (2, 4, 2), mode="circular"),
    _long("no_channels", (2, 0, 4, 4), (0, 3, 3)),
]
_DIRECT = [
    replace(c, id=f"direct_{c.id}", kwargs={**c.kwargs, "method": "direct"})
    for c in _FFT
    if c.id
    in (
        "same_even",
        "same_larger_than_image",
        "full",
        "circular_primes",
        "channels_last",
        "unbatched",
    )
]


def _gradients(cases: list[LongCase]) -> list[LongCase]:
    return [
        replace(c, id=f"{result}_{c.id}", function="grad.long_conv2d", result=result)
        for c in cases
        for result in ("du", "dk")
    ]


_BATCHES = [
    _long("batch_of_17", (17, 2, 6, 6), (2, 5, 5)),
    _long("batch_of_40", (40, 1, 5, 4), (1, 3, 3), mode="circular"),
]
FFT_CASES = [*_FFT, *_gradients(_FFT + _BATCHES)]
DIRECT_CASES = [*_DIRECT, *_gradients(_DIRECT)]

_SHAPES: list[tuple[str, Shape, tuple[float, ...]]] = [
    ("one_pixel", (1, 1), (0.3,)),
    ("one_row", (3, 1, 14), (0.25, 0.1)),
    ("one_column", (9, 1), (0.4, 0.0)),
    ("powers_of_two", (2, 3, 16, 32), (0.25, 0.125, 0.0625)),
    ("primes", (2, 13, 17), (0.3, 0.1)),
    ("large_primes", (67, 71), (0.3, 0.1)),
    ("products", (1, 2, 15, 98), (0.45, 0.2, 0.05)),
    ("bins_at_the_cutoff", (2, 49, 20), (0.5, 20 * (1 / 49), 7 * (1 / 49), 0.05)),
    ("many_planes", (5, 37, 8, 9), (0.25,)),
    ("no_cutoffs", (2, 5, 6), ()),
    ("all_pass", (6, 7), (0.8, 0.75)),
    ("several_tiles", (1, 70, 75), (0.33, 0.21, 0.02)),
    ("empty", (2, 0, 5), (0.25,)),
    ("no_planes", (0, 4, 5), (0.25, 0.1)),
]


def _bands(function: str) -> list[BandCase]:
    prefix = function.replace(".", "_")
    return [
        BandCase(f"{prefix}_{metric}_{name}", function, x, None, {"metric": metric}, cutoffs=cuts)
        for metric in ("max", "radius")
        for name, x, cuts in _SHAPES
    ]


BAND_CASES = [
    *_bands("band_split"),
    *_bands("grad.band_split"),
    *(
        replace(case, id=f"{case.id}_without_{'_'.join(map(str, skipped))}", skipped=skipped)
        for case in _bands("grad.band_split")[3:5]
        for skipped in ((0,), (1, 2), tuple(range(len(case.cutoffs) + 1)))
    ),
]


def _flops(u: Shape) -> int:
    """Of two transforms of twice the size, the usual count of 2.5 n log2 n for real data."""
    n = 4 * u[2] * u[3]
    return int(2 * 2.5 * u[0] * u[1] * n * np.log2(n))


LONG_WORKLOADS = [
    Workload(f"long_conv2d_{name}", "long_conv2d", {"u": u, "k": k}, kwargs, _flops(u))
    for name, u, k, kwargs in (
        ("31_at_56", (2, 64, 56, 56), (64, 31, 31), {}),
        ("63_at_32", (2, 64, 32, 32), (64, 63, 63), {}),
        ("circular_at_64", (2, 64, 64, 64), (64, 64, 64), {"mode": "circular"}),
        ("65_at_512", (1, 3, 512, 512), (3, 65, 65), {}),
    )
]
BAND_WORKLOADS = [
    Workload(
        f"band_split_{name}",
        "band_split",
        {"x": x},
        {"cutoffs": (0.25, 0.125, 0.0625)},
        int(2.5 * 4 * np.prod(x) * np.log2(x[-1] * x[-2])),
    )
    for name, x in (("56", (2, 64, 56, 56)), ("64", (2, 64, 64, 64)), ("512", (1, 3, 512, 512)))
]
