"""What the bench runs: the workloads of tests/cases, as plain data with their work and traffic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

import swath

Array = npt.NDArray[Any]
POSITIONAL = ("dy", "x", "weight", "bias")
Shape = tuple[int, ...]

# take both layouts
LAYOUTS = (
    "sliding_conv",
    "gated_conv",
    "partial_conv",
    "conv_backward",
    "conv_weight_grad",
    "pooling",
    "pooling_backward",
)
TOOLS = ("tokens", "merge_attention", "linear_attention", "select_blocks")
GATES = ("gate_mul", "spatial_gate", "channel_gate")


@dataclass(frozen=True)
class Workload:
    """One call: `function(**arrays, **kwargs)`.

    Attributes
    ----------
    arrays : mapping
        Argument name to (shape, dtype name); the names f32, f64, f16 and bf16 as in kernel names.
    flops : int
        Two per multiply-add. A sliding window is counted with three steps per sample and axis,
        which is what the best method takes for any window.
    n_bytes : int
        Every input read once and the result written once.
    in_place : bool
        The call has ``out=x``.
    """

    name: str
    op: str
    function: str
    arrays: Mapping[str, tuple[Shape, str]]
    kwargs: Mapping[str, Any]
    flops: int
    n_bytes: int
    in_place: bool = False

    @property
    def main(self) -> str:
        """The array that the call is about: its first."""
        return next(iter(self.arrays))

    @property
    def is_window(self) -> bool:
        """A window slides over x: what peers know as one geometry."""
        return self.op in LAYOUTS or self.op in ("conv_transpose", "space_to_depth")

    @property
    def has_holes(self) -> bool:
        """A mask of valid samples; that of a deformable convolution is a factor."""
        return "mask" in self.arrays and self.op != "deform_conv"

    @property
    def is_dynamic(self) -> bool:
        """Taps for every position: the weight has the result's extents."""
        return self.op == "dynamic_conv"

    @property
    def is_transform(self) -> bool:
        return self.op in ("long_conv2d", "band_split")

    @property
    def dtype(self) -> str:
        return self.arrays[self.main][1]

    @property
    def is_gradient(self) -> bool:
        return self.function.startswith("grad.")

    @property
    def is_channels_last(self) -> bool:
        return self.kwargs.get("layout") == "channels_last"

    @property
    def n_spatial(self) -> int:
        if "weight" in self.arrays:
            return len(self.arrays["weight"][0]) - 2
        return len(self.arrays[self.main][0]) - 2

    @property
    def float32_flops(self) -> int:
        """The work in float32 operations: float64 has half the lanes."""
        return 2 * self.flops if self.dtype == "f64" else self.flops

    def shape(self, array: str) -> Shape:
        return self.arrays[array][0]

    def plan_call(self, values: Mapping[str, Array]) -> Callable[[], Array] | None:
        """The call through a plan, which holds the weights packed; None where there is no plan."""
        plan_class = getattr(swath, plan_name(self.function), None)
        if plan_class is None or self.in_place or self.is_dynamic:
            return None
        if self.op == "attention":
            attend = plan_class(**self.kwargs)
            return lambda: attend(values["q"], values["k"], values["v"])
        if self.op == "long_conv":
            long = plan_class(values["k"], length=values["u"].shape[-1], **self.kwargs)
            gates = {k: v for k, v in values.items() if k.endswith("_gate")}
            return lambda: long(values["u"], **gates)
        constant = [values[name] for name in ("weight", "bias") if name in values]
        x, plan = values["x"], plan_class(*constant, **self.kwargs)
        if self.has_holes:
            mask = values["mask"]
            return lambda: plan(x, mask)[0]
        return lambda: plan(x)

    def call(self, values: Mapping[str, Array]) -> Callable[[], Array]:
        """The function's call on these arrays, with nothing left to look up."""
        function, kwargs = find_function(self.function), dict(self.kwargs)
        if self.in_place:
            kwargs["out"] = values["x"]
        positional, named = arguments(values)
        kwargs |= named
        if self.function == "select_blocks":
            return lambda: function(*positional, **kwargs).indices
        if self.has_holes or self.function in ("band_split", "merge_attention"):
            return lambda: function(*positional, **kwargs)[0]
        if self.is_gradient:  # of one input: the only one that is not None
            return lambda: next(g for g in function(*positional, **kwargs) if g is not None)
        return lambda: function(*positional, **kwargs)


def find_function(name: str) -> Callable[..., Any]:
    """swath.conv2d, or swath.grad.conv2d for "grad.conv2d"."""
    found: Callable[..., Any] = attrgetter(name)(swath)
    return found


def arguments(values: Mapping[str, Array]) -> tuple[list[Array], dict[str, Any]]:
    """Positional and named arguments; w0, w1, ... are `weights`, o0, lse0, ... are `parts`."""
    if "lse0" in values:
        n_parts = len(values) // 2
        return [[(values[f"o{t}"], values[f"lse{t}"]) for t in range(n_parts)]], {}
    gates = {k: v for k, v in values.items() if k[0] == "w" and k[1:].isdigit()}
    named: dict[str, Any] = {k: v for k, v in values.items() if k not in (*POSITIONAL, *gates)}
    if gates:
        named["weights"] = tuple(gates.values())
    return [values[name] for name in POSITIONAL if name in values], named


def allowed_difference(workload: Workload, values: Mapping[str, Array], largest: float) -> float:
    """How far two correct results may be apart: twice the tolerance of the largest sum.

    16-bit results are rounded once more, by half a unit of the `largest` one each.
    """
    rounding = {"f16": 2.0**-10, "bf16": 2.0**-7}.get(workload.dtype, 0.0) * largest
    if workload.op == "long_conv":  # the bound of FFT methods: of a row, by its norms
        norms = [float(np.sqrt((values[n].astype(np.float64) ** 2).sum(-1)).max()) for n in "uk"]
        gates = [float(np.abs(v).max()) for n, v in values.items() if n.endswith("_gate")]
        rule = swath.testing.tolerance(numpy_dtype(workload.dtype), 4 * values["u"].shape[-1])
        return math.prod(norms) * math.prod(gates) * rule + rounding
    if workload.op == "attention":  # means of v; a logit's error counts with its size
        terms = math.prod(workload.shape("k")[2:-1]) + workload.shape("k")[-1]
        largest_logit = 4 * float(np.abs(values["q"].astype(np.float64)).max())
        rule = swath.testing.tolerance(numpy_dtype(workload.dtype), terms)
        return largest_logit * largest * rule + rounding
    if workload.op == "attention_backward":
        reach = math.prod(
            float(np.abs(values[n].astype(np.float64)).max()) for n in ("do", "k", "v")
        )
        d, n_keys = workload.shape("q")[-1], math.prod(workload.shape("k")[2:-1])
        rule = swath.testing.tolerance(numpy_dtype(workload.dtype), n_keys + d)
        return 4 * math.sqrt(d) * reach * rule + rounding
    summed = values["dy"] if workload.is_gradient else values[workload.main]
    reach = float(np.abs(summed.astype(np.float64)).max())
    if workload.op in TOOLS:  # sums over tokens, then over channels
        terms = sum(max(v.shape) for v in values.values())
        rounding = {"f16": 2.0**-10, "bf16": 2.0**-7}.get(workload.dtype, 0.0) * 4
        return reach**2 * swath.testing.tolerance(numpy_dtype(workload.dtype), terms) + rounding
    terms = math.prod(per_axis_window(workload)) if "window" in workload.kwargs else 1
    if workload.is_dynamic:
        weight = np.abs(values["weight"].astype(np.float64))
        tap_axis = 1 if weight.ndim == 2 else 2
        terms = weight.shape[tap_axis]
        reach *= max(weight.sum(tap_axis).max(), 1)  # 1: after a softmax
    elif "w0" in values:  # a gate's error grows with the sum behind it
        terms = math.prod(values["w0"].shape[1:])
    if workload.is_transform:  # its error goes with the norms of the planes
        reach *= math.sqrt(math.prod(values[workload.main].shape[-2:]))
        if "k" in values:
            reach *= math.sqrt(math.prod(values["k"].shape[1:]))
    if workload.kwargs.get("needs") == ("weight",):
        terms = values["dy"].size // workload.shape("weight")[0]
        reach *= terms * float(np.abs(values["dy"].astype(np.float64)).max())
    elif "weight" in values and not workload.is_dynamic:
        if "dy" in values:
            reach = float(np.abs(values["dy"].astype(np.float64)).max())
        weight = np.abs(values["weight"].astype(np.float64))
        terms = math.prod(weight.shape[1:])
        # a transposed convolution sums over the first axis instead: bound both
        reach *= max(weight.sum(axis=tuple(range(1, weight.ndim))).max(), weight.sum(0).max())
    elif workload.kwargs.get("op") == "sum" or workload.is_gradient:
        reach *= terms
    return 2 * reach * swath.testing.tolerance(numpy_dtype(workload.dtype), terms) + rounding


def per_axis_window(workload: Workload) -> Shape:
    window = workload.kwargs["window"]
    return (window,) * workload.n_spatial if isinstance(window, int) else tuple(window)


def numpy_dtype(name: str) -> np.dtype[Any]:
    if name == "bf16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    names = {"f16": np.float16, "f32": np.float32, "f64": np.float64, "b8": np.bool_}
    return np.dtype(names[name])


def plan_name(function: str) -> str:
    """conv_transpose2d -> ConvTranspose2d"""
    return "".join(word.capitalize() for word in function.split("_"))


def make_arrays(workload: Workload) -> dict[str, Array]:
    """Normal data; weights are scaled so that results stay near one in every dtype.

    In place, each call filters the result of the last one: weights that copy keep it in range.
    """
    rng = np.random.default_rng(0)
    values = {}
    for name, (shape, dtype) in workload.arrays.items():
        if name == "mask" and workload.has_holes:
            values[name] = tiled_mask(rng, shape)
            continue
        scale = 1 / math.sqrt(math.prod(shape[1:])) if name in ("weight", "k") else 1.0
        values[name] = (rng.standard_normal(shape, np.float32) * scale).astype(numpy_dtype(dtype))
    if workload.function == "grad.attention":
        q, k, v = (values[name] for name in "qkv")
        values["o"], values["lse"] = swath.attention(
            q, k, v, return_lse=True, **dict(workload.kwargs)
        )
    if workload.in_place:
        weight = values["weight"]
        weight[...] = 0
        middle = tuple(k // 2 for k in weight.shape[2:])
        for channel in range(weight.shape[0]):
            weight[(channel, channel, *middle)] = 1
    return values


def tiled_mask(rng: np.random.Generator, shape: Shape) -> Array:
    """Half of the 32 x 32 tiles valid, in either layout."""
    mask = np.ones(shape, bool)
    (rows,) = {n for n in shape if n > 1} or {1}
    n_tiles = -(-rows // 32)
    tiles = np.zeros(n_tiles**2, bool)
    tiles[rng.permutation(n_tiles**2)[: (n_tiles**2 + 1) // 2]] = True
    plane = np.kron(tiles.reshape(n_tiles, n_tiles), np.ones((32, 32), bool))[:rows, :rows]
    return mask & plane.reshape(shape)
