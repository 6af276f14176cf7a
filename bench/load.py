"""From the workloads of tests/cases to those of the bench: dtypes, layouts, sizes of --small."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import swath
from workload import LAYOUTS, Shape, Workload, make_arrays

TESTS = Path(__file__).resolve().parents[1] / "tests"
TINY_EXTENT, TINY_KERNEL = 12, 11  # spatial sizes of --small


def load(ops: Iterable[str], dtypes: Iterable[str], *, is_small: bool) -> list[Workload]:
    """Workloads of the operators (none named: all), for each dtype and for both layouts."""
    sys.path.insert(0, str(TESTS))
    from cases import WORKLOADS

    unknown = set(ops) - set(WORKLOADS)
    if unknown:
        names = ", ".join(WORKLOADS)
        raise SystemExit(f"no workloads for {', '.join(sorted(unknown))}; families: {names}")
    found = []
    for op in ops or WORKLOADS:
        for case in WORKLOADS[op]:
            for dtype in dtypes:
                found += variants(from_case(op, case, dtype, is_small=is_small))
    return found


def from_case(op: str, case: Any, dtype: str, *, is_small: bool) -> Workload:
    arrays = {
        name: (tuple(shape), array_dtype(name, op, dtype)) for name, shape in case.shapes.items()
    }
    name = case.name if dtype == "f32" else f"{case.name}_{dtype}"
    flops = case.flops
    if "pool" in case.function:
        x = case.shapes["x"]
        flops = min(flops, 3 * (len(x) - 2) * math.prod(x))
    workload = Workload(name, op, case.function, arrays, dict(case.kwargs), flops, 0)
    return sized(shrink(workload) if is_small else workload)


def array_dtype(name: str, op: str, dtype: str) -> str:
    """Masks are bool, but those of deform_conv, which are factors; lse is an accumulator."""
    if name.startswith("lse"):
        return "f64" if dtype == "f64" else "f32"
    return "b8" if name == "mask" and op != "deform_conv" else dtype


def shrink(workload: Workload) -> Workload:
    """The same call at a size that runs in microseconds."""
    if workload.is_gradient or workload.op == "select_blocks":  # whole blocks
        return workload
    if workload.is_dynamic:
        return shrink_positions(workload)
    if workload.op in ("attention", "merge_attention"):
        return shrink_tokens(workload)
    arrays = {}
    for name, (shape, dtype) in workload.arrays.items():
        limit = TINY_KERNEL if name == "weight" else TINY_EXTENT
        lead = 1 if name == "k" else 2
        lead += workload.function.startswith("sample_conv") and name == "weight"
        spatial = tuple(min(n, limit) for n in shape[lead:])
        arrays[name] = ((*shape[:lead], *spatial), dtype)
    kwargs = dict(workload.kwargs)
    for key, limit in (("padding", TINY_KERNEL // 2), ("window", TINY_KERNEL)):
        if isinstance(kwargs.get(key), int):
            kwargs[key] = min(kwargs[key], limit)
    if "dy" in arrays:  # stride 1 and the same size, or half of it
        stride = per_axis_stride(workload)
        spatial = tuple(-(-n // s) for n, s in zip(arrays["x"][0][2:], stride, strict=True))
        shape, dtype = arrays["dy"]
        arrays["dy"] = ((*shape[:2], *spatial), dtype)
    return replace(workload, arrays=arrays, kwargs=kwargs)


def shrink_tokens(workload: Workload) -> Workload:
    """Tokens of at most twice an axis, for the widest neighbourhood; heads stay as they are.

    Patterns with a grid or lists of their own know the number of tokens: they stay.
    """
    pattern = workload.kwargs.get("pattern")
    if pattern is not None and (pattern.grid or isinstance(pattern, swath.patterns.Blocks)):
        return workload
    arrays = {}
    for name, (shape, dtype) in workload.arrays.items():
        end = len(shape) - (not name.startswith("lse"))
        tokens = (min(n, 2 * TINY_EXTENT) for n in shape[2:end])
        arrays[name] = ((*shape[:2], *tokens, *shape[end:]), dtype)
    return replace(workload, arrays=arrays)


def shrink_positions(workload: Workload) -> Workload:
    """Fewer positions in x and in the taps that each of them has."""
    n = len(workload.shape("x")) - 2
    arrays = {}
    for name, (shape, dtype) in workload.arrays.items():
        at = len(shape) if len(shape) == 2 else len(shape) - n
        arrays[name] = ((*shape[:at], *(min(m, TINY_EXTENT) for m in shape[at:])), dtype)
    return replace(workload, arrays=arrays)


def per_axis_stride(workload: Workload) -> Shape:
    stride = workload.kwargs.get("stride", 1)
    return (stride,) * workload.n_spatial if isinstance(stride, int) else tuple(stride)


def sized(workload: Workload) -> Workload:
    """Fill in the traffic, from one call that is never timed; flops scale with the result."""
    values = make_arrays(workload)
    result = workload.call(values)()
    n_bytes = sum(v.nbytes for v in values.values()) + result.nbytes
    if workload.in_place:  # only the convolved channels are read and written
        start, stop = workload.kwargs["channels"]
        n_bytes = 2 * values["x"].nbytes * (stop - start) // values["x"].shape[1]
    return replace(workload, n_bytes=n_bytes)


def channels_last(shape: Shape) -> Shape:
    return (shape[0], *shape[2:], shape[1])


def variants(workload: Workload) -> list[Workload]:
    """The workload, its channels-last twin where layouts differ, and the in-place call."""
    found = [workload]
    x = workload.shape(workload.main)
    if workload.op in LAYOUTS and len(x) == 4 and x[1] > 1:
        last = {
            name: (channels_last(shape), dtype)
            for name, (shape, dtype) in workload.arrays.items()
            if name in ("dy", "x", "mask")
        }
        kwargs = {**workload.kwargs, "layout": "channels_last"}
        found.append(
            replace(
                workload,
                name=f"{workload.name}_nhwc",
                arrays={**workload.arrays, **last},
                kwargs=kwargs,
            )
        )
    if "channels" in workload.kwargs:
        found.append(sized(replace(workload, name=f"{workload.name}_in_place", in_place=True)))
    return found
