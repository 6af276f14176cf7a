"""Streams of DynamicConv1d: any chunks give the bits of one call."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import swath
from cases.case import DTYPES, numpy_dtype
from support import Array, assert_same_bits, clusters, require

RNG = np.random.default_rng(5)
CUTS = [(40,), (1,) * 40, (3, 0, 17, 1, 19), (25, 15), (0, 2, 38)]
LAYOUTS = ["channels_first", "channels_last"]


def normal(*shape: int, dtype: str = "f32") -> Array:
    return RNG.normal(size=shape).astype(numpy_dtype(dtype))


def axis_of(options: dict[str, Any]) -> int:
    return 1 if options.get("layout") == "channels_last" else 2


def chunks(x: Array, cuts: Sequence[int], axis: int) -> list[Array]:
    ends = list(itertools.accumulate(cuts))
    return np.split(x, ends[:-1], axis)


def stream(plan: Any, x: Array, cuts: Sequence[int], axis: int) -> Array:
    state = plan.init_state(len(x))
    found = []
    for chunk in chunks(x, cuts, axis):
        y, again = plan.step(chunk, state)
        assert again is state
        found.append(y)
    found.append(plan.flush(state))
    return np.concatenate(found, axis)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"softmax": True},
    {"softmax": True, "renormalize_padding": True},
    {"head_map": "interleaved", "softmax": True},
    {"padding": "same"},
    {"padding": "same", "softmax": True, "renormalize_padding": True},
    {"padding": (0, 0)},
    {"padding": (2, 9)},
    {"padding": (11, 1)},
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_any_chunks_give_the_bits_of_one_call(options: dict[str, Any], layout: str) -> None:
    options = {**options, "layout": layout}
    axis = axis_of(options)
    x = normal(2, *((12, 40) if axis == 2 else (40, 12)))
    weight = normal(3, 7)
    plan = swath.DynamicConv1d(weight, **options)
    whole = swath.dynamic_conv1d(x, weight, **options)
    assert_same_bits(plan(x), whole)
    for cuts in CUTS:
        assert_same_bits(stream(plan, x, cuts, axis), whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cluster", clusters())
def test_every_cluster_and_dtype_streams(dtype: str, cluster: str) -> None:
    x, weight = normal(1, 34, 40, dtype=dtype), normal(2, 9, dtype=dtype)
    with swath.testing.force_kernel(cluster):
        plan = swath.DynamicConv1d(weight, softmax=True)
        for cuts in CUTS[1:3]:
            assert_same_bits(stream(plan, x, cuts, 2), plan(x))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("softmax", [False, True])
def test_taps_of_each_step(layout: Any, softmax: bool) -> None:
    axis = 2 if layout == "channels_first" else 1
    x, w = normal(2, 12, 40), normal(2, 3, 7, 40)
    if axis == 1:
        x, w = x.swapaxes(1, 2).copy(), np.moveaxis(w, 3, 1).copy()
    plan = swath.DynamicConv1d(normal(3, 7), layout=layout, softmax=softmax)
    whole = swath.dynamic_conv1d(x, w, layout=layout, softmax=softmax)
    for cuts in CUTS:
        state, found = plan.init_state(2), []
        taps = chunks(w, cuts, 3 if axis == 2 else 1)
        for chunk, own in zip(chunks(x, cuts, axis), taps, strict=True):
            found.append(plan.step(chunk, state, own)[0])
        assert_same_bits(np.concatenate(found, axis), whole)


def test_one_tap_needs_no_past() -> None:
    x, plan = normal(1, 4, 40), swath.DynamicConv1d(normal(2, 1))
    assert_same_bits(stream(plan, x, (3, 37), 2), plan(x))


def test_states_copy_and_pickle() -> None:
    x, plan = normal(2, 6, 40), swath.DynamicConv1d(normal(3, 7), softmax=True)
    whole = plan(x)
    fresh = pickle.loads(pickle.dumps(plan.init_state(2)))
    assert (fresh.batch, fresh.channels, fresh.n_seen) == (2, None, 0)
    _, state = plan.step(x[..., :11], fresh)
    others = [copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))]
    for other in [*others, state]:
        assert other.n_seen == 11
        assert other.channels == 6
        y, _ = plan.step(x[..., 11:], other)
        assert_same_bits(y, whole[..., 11:])
        assert plan.flush(other).shape == (2, 6, 0)


def test_plans_copy_and_pickle() -> None:
    x = normal(1, 6, 9)
    plan = swath.DynamicConv1d(normal(3, 4), softmax=True, padding=(1, 2), head_map="interleaved")
    for other in (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        assert_same_bits(other(x), plan(x))
        assert repr(other) == repr(plan)
    assert "padding=(1, 2)" in repr(plan)


def test_states_of_two_streams_do_not_mix() -> None:
    x, plan = normal(2, 1, 4, 20), swath.DynamicConv1d(normal(2, 5))
    states = [plan.init_state(1, 4), plan.init_state(1, channels=4)]
    found: list[list[Array]] = [[], []]
    for t, i in itertools.product(range(20), range(2)):
        found[i].append(plan.step(x[i, ..., t : t + 1], states[i])[0])
    for i in range(2):
        assert_same_bits(np.concatenate(found[i], 2), plan(x[i]))


def test_strided_chunks_and_out() -> None:
    big, plan = normal(1, 80, 6), swath.DynamicConv1d(normal(3, 4))
    x = big[:, ::-2].swapaxes(1, 2)
    state, y = plan.init_state(1), np.empty((1, 6, 40), np.float32)
    for t in range(0, 40, 8):
        out = y[..., t : t + 8]
        assert plan.step(x[..., t : t + 8], state, out=out)[0] is out
    assert_same_bits(y, plan(x))


def test_a_refused_step_leaves_the_state() -> None:
    x, plan = normal(1, 6, 9), swath.DynamicConv1d(normal(3, 4))
    state = plan.init_state(1)
    with pytest.raises(swath.ShapeError):
        plan.step(normal(1, 7, 9), state)
    with pytest.raises(swath.ShapeError):
        plan.step(x, state, normal(1, 3, 5, 9))
    assert (state.channels, state.n_seen) == (None, 0)
    assert_same_bits(plan.step(x, state)[0], plan(x))


def test_torch_streams_stay_torch() -> None:
    torch = require("torch")
    x, plan = torch.randn(1, 6, 9), swath.DynamicConv1d(normal(3, 5), padding="same")
    y, state = plan.step(x, plan.init_state(1))
    rest = plan.flush(state)
    assert isinstance(rest, torch.Tensor)
    assert_same_bits(torch.cat([y, rest], 2).numpy(), plan(x.numpy()))


def test_a_step_allocates_only_its_result() -> None:
    import tracemalloc

    x, plan = normal(1, 256, 64), swath.DynamicConv1d(normal(4, 31))
    state, out = plan.init_state(1, 256), np.empty((1, 256, 64), np.float32)
    for _ in range(3):
        plan.step(x, state, out=out)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        plan.step(x, state, out=out)
    assert tracemalloc.get_traced_memory()[0] - before < 2000
    tracemalloc.stop()
