"""Directed cases and workloads of long convolutions and their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

import oracle_long
from cases.case import DTYPES, Array, Case, Shape, Workload
from oracle import Result

NAMES = ("skip", "bias", "pre_gate", "post_gate")
RESULTS = {
    "du": "u", "dk": "k", "dpre_gate": "pre_gate", "dpost_gate": "post_gate", "dskip": "skip",
    "dbias": "bias",
}  # fmt: skip


def fft_terms(length: int) -> int:
    """`terms` of the tolerance of an FFT result, relative to ||k|| ||v||: four a doubling."""
    return 4 * max(1, int(length)).bit_length()


@dataclass(frozen=True)
class LongCase(Case):
    """A call on u of shape `x` and k of shape `weight`; a gradient's case looks at one `result`.

    Shapes have the channels first; `kwargs["layout"]` moves them in the arrays.
    """

    result: str = ""
    masks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def op(self) -> str:
        return "long_conv"

    @property
    def dtypes(self) -> tuple[str, ...]:
        # 16-bit storage is staged alike for every result: four cases of each show it.
        is_sample = self.id.startswith(("few_taps", "prime"))
        return DTYPES if not self.result or is_sample else ("f32", "f64")

    @property
    def has_out(self) -> bool:
        return not self.result

    @property
    def _is_last(self) -> bool:
        return self.kwargs.get("layout") == "channels_last"

    @property
    def options(self) -> dict[str, Any]:
        return {k: v for k, v in self.kwargs.items() if k not in ("layout", "method")}

    def _placed(self, array: Array) -> Array:
        if array.ndim < 2 or not self._is_last:
            return array
        return np.ascontiguousarray(array.swapaxes(-1, -2))

    def _planar(self, name: str, array: Array) -> Array:
        """(B, D, L) whatever the layout, where the array has positions."""
        if name in ("k", "skip", "bias"):
            return array
        array = array.swapaxes(-1, -2) if self._is_last else array
        return array if array.ndim == 3 else array[None]

    def inputs(self, dtype: str) -> dict[str, Array]:
        assert self.weight is not None
        draw = lambda name, shape: replace(  # noqa: E731
            Case(f"{self.id}_{name}", "conv1d", shape, fill=self.fill)
        ).inputs(dtype)["x"]
        n_channels = self.x[-2]
        mode = self.kwargs.get("mode", "causal")
        n_out = oracle_long.output_length(self.x[-1], self.weight[1], mode)
        out = (*self.x[:-1], n_out)
        shapes: dict[str, Shape] = {"u": self.x, "k": self.weight}
        if self.result:
            shapes = {"dy": out, **shapes}
        extra = {"skip": (n_channels,), "bias": (n_channels,), "pre_gate": self.x, "post_gate": out}
        shapes |= {name: extra[name] for name in NAMES if name in self.extras}
        return {
            name: self._placed(draw(name, s)) if name != "k" else draw(name, s)
            for name, s in shapes.items()
        }

    def run(self, swath: Any, arrays: Mapping[str, Array], **more: Any) -> Any:
        keywords = {**self.kwargs, **more}
        if self.result:
            keywords.setdefault("needs", (self.result,))
        found = reduce(getattr, self.function.split("."), swath)(**arrays, **keywords)
        return getattr(found, self.result) if self.result and found is not None else found

    def oracle(self, arrays: Mapping[str, Array]) -> Result:
        first = next(iter(arrays.values()))
        wide = np.longdouble if first.dtype == np.float64 else np.float64
        given = {k: self._planar(k, np.asarray(v).astype(wide)) for k, v in arrays.items()}
        sizes = {k: np.abs(v) for k, v in given.items()}
        if self.result:
            value = oracle_long.backward(**given, **self.options)[self.result]
        else:
            value = oracle_long.forward(**given, **self.options)
        magnitude = self._magnitude(sizes, value)
        length = self.x[-1] + (0 if self.weight is None else self.weight[1])
        shape = lambda a: self._shaped(a)  # noqa: E731
        return Result(shape(value), np.asarray(shape(magnitude)), fft_terms(length))

    def _magnitude(self, size: dict[str, Array], value: Array) -> Array:
        """A bound of ||k|| ||v|| in the place of the sum of magnitudes, passed on by the rest."""
        k, u, dy = size["k"], size["u"], size.get("dy")
        one = np.ones(1)
        v = u * size.get("pre_gate", one)
        norm = lambda a: np.sqrt((a * a).sum(-1, keepdims=True))  # noqa: E731
        heads = oracle_long.heads(u.shape[1], k.shape[0], self.kwargs.get("head_map", "blocked"))
        skip = size.get("skip", np.zeros(u.shape[1]))[:, None]
        bias = size.get("bias", np.zeros(u.shape[1]))[:, None]
        k_norm = norm(k)[heads] * self._mask_gain()
        if dy is None or self.result == "dpost_gate":
            c = k_norm * norm(v) + bias + (skip * v if "skip" in size else 0)
            factor = size.get("post_gate", one) if dy is None else dy
            return np.broadcast_to(c, value.shape) * factor
        dc = dy * size.get("post_gate", one)
        if self.result in ("du", "dpre_gate"):
            dv = k_norm * norm(dc) + (skip * dc if "skip" in size else 0)
            factor = size.get("pre_gate", one) if self.result == "du" else u
            return np.broadcast_to(dv, value.shape) * factor
        if self.result == "dk":
            each = (norm(dc) * norm(v)).sum(0) * self._mask_gain()
            total = np.zeros((k.shape[0], 1))
            np.add.at(total, heads, each)
            return np.broadcast_to(total, value.shape)
        return (dc * v).sum((0, 2)) if self.result == "dskip" else dc.sum((0, 2))

    def _mask_gain(self) -> float:
        mask = self.kwargs.get("freq_mask")
        return 1.0 if mask is None else max(1.0, float(np.abs(mask).max()))

    def _shaped(self, array: Array) -> Array:
        if array.ndim < 3:
            return array
        array = array if len(self.x) == 3 else array[0]
        return self._placed(array)


def long_case(name: str, x: Shape, k: Shape, *extras: str, **kwargs: Any) -> LongCase:
    return LongCase(name, "long_conv", x, k, kwargs, extras)


ALL = NAMES
_RNG = np.random.default_rng(1)
_FORWARD = [
    long_case("plain", (2, 4, 300), (4, 300)),
    long_case("one", (1, 1, 1), (1, 1)),
    long_case("few_taps", (2, 3, 200), (3, 5), *ALL),
    long_case("prime", (1, 3, 257), (3, 131), *ALL),
    long_case("more_taps_than_positions", (1, 2, 40), (2, 333), *ALL),
    long_case("shared_heads", (2, 6, 90), (2, 70), *ALL),
    long_case("interleaved", (2, 6, 90), (3, 70), *ALL, head_map="interleaved"),
    long_case("one_head", (1, 5, 90), (1, 90), "skip"),
    long_case("full", (2, 2, 150), (2, 220), "bias", "pre_gate", "post_gate", mode="full"),
    long_case("valid", (2, 2, 500), (2, 123), "bias", "pre_gate", "post_gate", mode="valid"),
    long_case("valid_empty", (2, 2, 50), (2, 60), "bias", mode="valid"),
    long_case("same_even", (2, 2, 150), (2, 80), *ALL, mode="same"),
    long_case("many_channels", (1, 21, 260), (7, 9), *ALL, head_map="interleaved"),
    long_case("circular_channels", (2, 18, 61), (18, 5), "pre_gate", mode="circular"),
    long_case("same_longer", (1, 2, 60), (2, 119), *ALL, mode="same"),
    long_case("two_sided_right", (1, 2, 90), (2, 50), *ALL, mode="two_sided", offset=70),
    long_case("two_sided_left", (1, 2, 90), (2, 50), mode="two_sided", offset=-30),
    long_case("two_sided_outside", (1, 2, 40), (2, 30), "bias", mode="two_sided", offset=200),
    long_case("correlate", (2, 2, 150), (2, 80), *ALL, mode="same", correlate=True),
    long_case("smpconv", (1, 2, 90), (2, 64), mode="two_sided", offset=63, correlate=True),
    long_case("circular", (2, 3, 128), (3, 128), *ALL, mode="circular"),
    long_case("circular_prime", (1, 2, 127), (2, 100), "pre_gate", mode="circular"),
    long_case("circular_few", (1, 2, 301), (2, 4), "skip", mode="circular"),
    long_case("masked", (1, 2, 70), (2, 50), *ALL, n_fft=150, freq_mask=_RNG.random(76)),
    long_case("masked_prime", (1, 2, 60), (2, 60), n_fft=131, freq_mask=np.arange(66) < 17),
    long_case("masked_circular", (1, 2, 90), (2, 90), mode="circular", freq_mask=_RNG.random(46)),
    long_case("wrapped", (1, 2, 70), (2, 50), "skip", n_fft=80),
    long_case("many_rows", (40, 16, 12), (1, 9), *ALL),
    long_case("unbatched", (3, 200), (3, 150), *ALL),
    long_case("by_fft", (2, 2, 100), (2, 7), *ALL, method="fft"),
    long_case("by_sums", (1, 2, 1500), (2, 700), *ALL, method="direct"),
    long_case("by_segments", (1, 2, 5000), (2, 300), *ALL, method="overlap_save"),
    long_case("segments_full", (1, 2, 4800), (2, 200), mode="full", method="overlap_save"),
    long_case("segments_circular", (1, 2, 900), (2, 290), mode="circular", method="overlap_save"),
    long_case("ring_of_3", (1, 1, 1500), (1, 1500), method="fft"),
    long_case("ring_of_5", (1, 1, 1200), (1, 1200), method="fft"),
    long_case("ring_of_2048", (1, 1, 2040), (1, 2048), method="fft"),
    long_case("no_batch", (0, 4, 50), (2, 20), *ALL),
    long_case("no_positions", (2, 4, 0), (2, 20), *ALL),
    long_case("no_channels", (2, 0, 40), (2, 20)),
    replace(long_case("constant", (1, 2, 1000), (2, 600), *ALL), fill="constant"),
]


def _both(cases: list[LongCase]) -> list[LongCase]:
    return [
        twin
        for case in cases
        for twin in (
            case,
            replace(
                case,
                id=f"{case.id}_channels_last",
                kwargs={**case.kwargs, "layout": "channels_last"},
            ),
        )
    ]


def gradients(case: LongCase) -> list[LongCase]:
    found = [r for r, name in RESULTS.items() if name in ("u", "k", *case.extras)]
    return [replace(case, id=f"{case.id}_{r}", function="grad.long_conv", result=r) for r in found]


_SMALL = [c for c in _FORWARD if 0 not in c.x and c.x[-1] < 1000 and c.fill == "normal"]
CASES: list[Case] = [
    *_both(_FORWARD[:14]),
    *_FORWARD[14:],
    *(g for c in _SMALL for g in gradients(c)),
    *(g for c in _both(_FORWARD[2:6] + _FORWARD[12:14])[1::2] for g in gradients(c)),
]


def _workload(name: str, x: Shape, n_taps: int, *extras: str, **kwargs: Any) -> Workload:
    shapes = {"u": x, "k": (x[1], n_taps)} | {e: x for e in extras}
    levels = max(1, (x[2] - 1).bit_length())
    return Workload(name, "long_conv", shapes, kwargs, 10 * x[0] * x[1] * x[2] * levels)


WORKLOADS = [
    _workload("causal_1024", (2, 256, 1024), 1024),
    _workload("causal_4096", (2, 256, 4096), 4096),
    _workload("gated_4096", (2, 256, 4096), 4096, "pre_gate", "post_gate"),
    _workload("causal_16384", (2, 64, 16384), 16384),
    _workload("causal_1m", (1, 4, 1 << 20), 1 << 20),
    _workload("partial_1m", (1, 4, 1 << 20), 1024),
    _workload("few_taps", (2, 256, 4096), 32),
    _workload("human_gene", (1, 4, 2_300_000), 2_000_000),  # taps as long as the longest gene
]
