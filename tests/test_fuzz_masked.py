"""Seeded random calls of gated and masked convolutions and of their gradients: see test_fuzz."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import swath
from cases.case import DTYPES, numpy_dtype
from support import bits
from test_fuzz import Caller

N_CALLS = int(os.environ.get("SWATH_FUZZ", "8000")) // 4
SEED = int(os.environ.get("SWATH_FUZZ_SEED", "0"))
N_CHUNKS = 4
_CONV = ("padding", "stride", "dilation", "groups", "layout", "activation", "threads")
_GATED = (*_CONV, "padding_mode", "channels", "passthrough", "scale", "shift")


def _mask(caller: Caller, x: Any, layout: Any, ndim: int) -> Any:
    """Of x's shape with one or all samples and channels, now and then of a wrong one."""
    if np.ndim(x) not in (ndim + 1, ndim + 2) or caller.rng.random() < 0.1:
        return caller.wild()
    shape = list(np.shape(x))
    channel = len(shape) - 1 if str(layout) == "channels_last" else len(shape) - ndim - 1
    if shape and caller.rng.random() < 0.7:
        shape[channel] = 1
    if len(shape) == ndim + 2 and caller.rng.random() < 0.5:
        shape[0] = 1
    kind = caller.rng.choice([bool, np.uint8, np.float32, np.float64, np.float16, np.int32])
    values = np.random.default_rng(0).random(shape) < 0.5
    mask = values.astype(kind)
    if mask.size and caller.rng.random() < 0.05:
        mask.flat[0] = caller.rng.choice([2, 1])
    return mask[..., ::-1] if caller.rng.random() < 0.2 else mask


def draw(seed: int) -> tuple[str, list[Any], dict[str, Any]]:
    caller = Caller(seed)
    dtype = numpy_dtype(caller.rng.choice(DTYPES))
    while True:
        name, args, options = caller.conv(dtype)
        if "transpose" not in name:
            break
    ndim = int(name[-2])
    if caller.rng.random() < 0.5:
        options = {k: v for k, v in options.items() if k in _CONV}
        if caller.rng.random() < 0.8:
            options["mask"] = _mask(caller, args[0], options.get("layout"), ndim)
        if caller.rng.random() < 0.5:
            options["renormalize"] = caller.option(False)
        if caller.rng.random() < 0.4:
            options["mask_update"] = caller.option("same")
        return f"partial_{name}", args, options
    options = {k: v for k, v in options.items() if k in _GATED}
    options["gate"] = caller.option(caller.rng.choice(["sigmoid", "tanh", "identity", "relu"]))
    if caller.rng.random() < 0.3:
        options["order"] = caller.option("gate_first")
    for i in range(1, len(args)):
        if hasattr(args[i], "shape") and args[i].ndim:
            args[i] = np.concatenate([args[i], args[i]])
    for key in ("scale", "shift"):
        if hasattr(options.get(key), "shape") and options[key].ndim == 1:
            options[key] = np.concatenate([options[key], options[key]])
    return f"gated_{name}", args, options


def _attempt(seed: int) -> bool:
    """Whether the call was legal. Anything but an answer or a named error is a failure."""
    name, args, kwargs = draw(seed)
    try:
        found = getattr(swath, name)(*args, **kwargs)
    except (swath.Error, TypeError, ValueError):
        return False
    y = found[0] if isinstance(found, tuple) else found
    out = np.empty_like(y)
    out.view(np.uint8)[...] = 0xFF
    getattr(swath, name)(*args, **kwargs, out=out)
    assert bits(out) == bits(y)
    grads = getattr(swath.grad, name)(y, *args, **kwargs)
    assert grads.dx.shape == np.shape(args[0])
    assert grads.dweight.shape == np.shape(args[1])
    needed = getattr(swath.grad, name)(y, *args, **kwargs, needs=("weight",))
    assert needed.dx is None
    assert bits(needed.dweight) == bits(grads.dweight)
    return True


@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_random_calls_answer_or_explain(chunk: int) -> None:
    size = -(-N_CALLS // N_CHUNKS)
    seeds = range(SEED + chunk * size, SEED + (chunk + 1) * size)
    n_legal = 0
    for seed in seeds:
        try:
            n_legal += _attempt(seed)
        except Exception as error:
            name, args, kwargs = draw(seed)
            shapes = [getattr(a, "shape", a) for a in args]
            pytest.fail(f"seed {seed}: {name} {shapes} {kwargs}: {type(error).__name__}: {error}")
    assert n_legal > 0.2 * len(seeds), "the generator draws too few legal calls"
