"""Seeded random calls, mostly legal, some wild: an answer of a plausible shape or a named error.

SWATH_FUZZ sets the number of calls, SWATH_FUZZ_SEED the first seed.
"""

from __future__ import annotations

import contextlib
import os
import random
from typing import Any

import numpy as np
import pytest

import swath
from cases.case import DTYPES, numpy_dtype
from support import bits

N_CALLS = int(os.environ.get("SWATH_FUZZ", "8000"))
SEED = int(os.environ.get("SWATH_FUZZ_SEED", "0"))
N_CHUNKS = 8

_WILD: list[Any] = [
    0,
    -1,
    -7,
    2**31,
    2**63,
    -(2**64),
    10**30,
    1.5,
    float("nan"),
    None,
    True,
    "",
    "same",
    "x",
    (),
    [],
    {},
    (1, 2, 3, 4, 5),
    ((1,), (2,)),
    (None, None),
    b"1",
    object(),
    np.ones(3),
    np.int8(-3),
    np.float32(2),
    np.array(2),
    ((2**40, 2**40), (2**40, 2**40)),
    [[1, 2], [3, 4]],
    lambda: 1,
]
_PADDINGS: list[Any] = ["same", "valid", "same_tf", "causal", 0, 1, 2, 3]


class Caller:
    """Draws calls from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def size(self, high: int = 9) -> int:
        return self.rng.choice([0, 1, *range(1, high), *range(1, high)])

    def wild(self) -> Any:
        return self.rng.choice(_WILD)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        if self.rng.random() < 0.02:
            return self.wild()
        if self.rng.random() < 0.03:
            dtype = np.dtype(self.rng.choice([np.uint8, np.int64, np.complex64, object, ">f4"]))
        if self.rng.random() < 0.03:
            shape = tuple(self.size() for _ in range(self.rng.randrange(7)))
        base = np.ones([2 * n + 1 for n in shape], dtype)
        kind = self.rng.randrange(4)
        step = (slice(None, None, -2), slice(1, None, 2), slice(None, -1, 2))[kind % 3]
        view = base[(..., *(step for _ in shape))] if kind else np.ones(shape, dtype)
        trimmed: Any = view[(..., *(slice(0, n) for n in shape))]
        return np.broadcast_to(trimmed[:1], shape) if shape and kind == 3 else trimmed

    def option(self, legal: Any) -> Any:
        return self.wild() if self.rng.random() < 0.03 else legal

    def axes(self, ndim: int, low: int, high: int) -> Any:
        values = tuple(self.rng.randint(low, high) for _ in range(ndim))
        return self.rng.choice([values, values[0], list(values)])

    def geometry(self, ndim: int) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.rng.random() < 0.7:
            pairs = tuple((self.rng.randrange(4), self.rng.randrange(4)) for _ in range(ndim))
            options["padding"] = self.option(self.rng.choice([*_PADDINGS, pairs, pairs]))
        if self.rng.random() < 0.5:
            options["stride"] = self.option(self.axes(ndim, 1, 3))
        if self.rng.random() < 0.3:
            options["dilation"] = self.option(self.axes(ndim, 1, 3))
        if self.rng.random() < 0.1:
            options["threads"] = self.option(self.rng.randint(1, 3))
        return options

    def layout(self, n: int, c: int, spatial: list[int]) -> tuple[tuple[int, ...], dict[str, Any]]:
        batch = [n] if self.rng.random() < 0.85 else []
        if self.rng.random() < 0.4:
            last = self.option("channels_last")
            return (*batch, *spatial, c), {"layout": last}
        return (*batch, c, *spatial), {}

    def conv(self, dtype: np.dtype[Any]) -> tuple[str, list[Any], dict[str, Any]]:
        ndim = self.rng.randint(1, 3)
        up = self.rng.random() < 0.25
        groups, cpg, opg = self.rng.choice([1, 1, 2, 3, 8]), self.size(6), self.size(6)
        options = self.geometry(ndim)
        kernel = [self.rng.randint(1, 4) for _ in range(ndim)]
        x, layout = self.layout(self.size(3), groups * cpg, [self.size(14) for _ in kernel])
        options |= layout
        if groups > 1:
            options["groups"] = self.option(groups)
        weight = (groups * cpg, opg) if up else (groups * opg, cpg)
        if self.rng.random() < 0.3:
            options["activation"] = self.option(self.rng.choice(["relu", "gelu", ("elu", 0.5)]))
        for name in ("scale", "shift"):
            if self.rng.random() < 0.1:
                options[name] = self.array((groups * opg,), dtype)
        if up and self.rng.random() < 0.3:
            options["output_padding"] = self.option(self.axes(ndim, 0, 2))
        if not up and self.rng.random() < 0.3:
            mode = self.rng.choice(["reflect", "replicate", "circular", "partial"])
            options["padding_mode"] = self.option(mode)
        if not up and self.rng.random() < 0.1:
            options["dilation"] = np.random.default_rng(0).integers(1, 4, (groups * opg, ndim))
        if not up and self.rng.random() < 0.1:
            start = self.rng.randint(0, 3)
            options["channels"] = self.option((start, start + groups * cpg))
            options["passthrough"] = self.option(self.rng.choice(["copy", "none"]))
        args = [self.array(x, dtype), self.array((*weight, *kernel), dtype)]
        if self.rng.random() < 0.5:
            args.append(self.array((groups * opg,), dtype))
        return f"conv{'_transpose' if up else ''}{ndim}d", args, options

    def window(self, dtype: np.dtype[Any]) -> tuple[str, list[Any], dict[str, Any]]:
        kind = self.rng.randrange(3)
        if kind == 0:
            shape = tuple(self.size() for _ in range(self.rng.randint(1, 4)))
            options = {
                "axis": self.option(self.rng.randint(-len(shape), len(shape) - 1)),
                "op": self.option(self.rng.choice(["sum", "mean", "max", "min"])),
            }
            window = self.option(self.rng.randint(1, 5))
            return "sliding_reduce", [self.array(shape, dtype), window], options
        if kind == 1:
            block = self.rng.randint(1, 3)
            shape = (self.size(3), self.size(4) * block**2, block * self.size(4), block * 2)
            name = self.rng.choice(["space_to_depth", "depth_to_space"])
            options = {"order": self.option(self.rng.choice(["torch", "tf", "spd"]))}
            return name, [self.array(shape, dtype), self.option(block)], options
        ndim = self.rng.randint(1, 3)
        x, layout = self.layout(self.size(3), self.size(9), [self.size(14) for _ in range(ndim)])
        window = self.option(self.axes(ndim, 1, 5))
        name = f"{self.rng.choice(['avg', 'max'])}_pool{ndim}d"
        return name, [self.array(x, dtype), window], self.geometry(ndim) | layout

    def draw(self) -> tuple[str, list[Any], dict[str, Any]]:
        dtype = numpy_dtype(self.rng.choice(DTYPES))
        return self.conv(dtype) if self.rng.random() < 0.7 else self.window(dtype)


def _attempt(seed: int) -> bool:
    """Whether the call was legal. Anything but an answer or a named error is a failure."""
    name, args, kwargs = Caller(seed).draw()
    try:
        y = getattr(swath, name)(*args, **kwargs)
    except (swath.Error, TypeError, ValueError):
        return False
    x = np.asarray(args[0])
    assert y.ndim == x.ndim
    assert y.dtype == (x.dtype if isinstance(args[0], np.ndarray) else y.dtype)
    out = np.empty_like(y)
    out.view(np.uint8)[...] = 0xFF
    assert getattr(swath, name)(*args, **kwargs, out=out) is out
    assert bits(out) == bits(y)
    caller = Caller(-seed)
    if name in ("conv1d", "conv2d", "conv3d"):
        _attempt_more(name, args, kwargs, y)
    with contextlib.suppress(swath.Error, TypeError, ValueError):
        wild = {**kwargs, caller.rng.choice(["out", "residual", "threads", *kwargs]): caller.wild()}
        getattr(swath, name)(*args, **wild)
    return True


def _attempt_more(name: str, args: list[Any], kwargs: dict[str, Any], y: Any) -> None:
    """The same call as a plan, and with a residual of the result's shape."""
    x, weight, bias = (*args, None)[:3]
    plan = getattr(swath, f"C{name[1:]}")(weight, bias, **kwargs)
    assert bits(plan(x)) == bits(y)
    again = getattr(swath, name)(*args, **kwargs, residual=y)
    assert again.shape == y.shape
    assert bits(plan(x, residual=y)) == bits(again)


def check_seeds(seeds: range) -> None:
    """Every call of the seeds behaves, and enough of them were legal."""
    n_legal = 0
    for seed in seeds:
        try:
            n_legal += _attempt(seed)
        except Exception as error:
            name, args, kwargs = Caller(seed).draw()
            shapes = [getattr(a, "shape", a) for a in args]
            pytest.fail(f"seed {seed}: {name} {shapes} {kwargs}: {type(error).__name__}: {error}")
    assert n_legal > 0.2 * len(seeds), "the generator draws too few legal calls"


@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_random_calls_answer_or_explain(chunk: int) -> None:
    size = -(-N_CALLS // N_CHUNKS)
    check_seeds(range(SEED + chunk * size, SEED + (chunk + 1) * size))
