"""Plans and streams of long convolutions."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import swath
from cases import CASES
from cases.long_conv import ALL, LongCase, long_case
from support import Array, assert_same_bits, check, clusters

SIMD = [c for c in clusters() if c != "reference"]

RNG = np.random.default_rng(5)


def _normal(*shape: int, dtype: Any = np.float32) -> Array:
    return RNG.normal(size=shape).astype(dtype)


def _relative(actual: Array, expected: Array) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


_PLANNED = [
    c
    for c in CASES["long_conv"]
    if isinstance(c, LongCase) and not c.result and c.fill == "normal" and 0 not in c.x
][::3]


def _plan(case: LongCase, arrays: dict[str, Array], **more: Any) -> tuple[Any, dict[str, Array]]:
    given = dict(arrays)
    constant = {n: given.pop(n) for n in ("skip", "bias") if n in given}
    options = dict(case.kwargs)
    if options.get("mode") == "circular" and "freq_mask" in options:
        more["length"] = case.x[-1]
    return swath.LongConv(given.pop("k"), **constant, **options, **more), given


@pytest.mark.parametrize("case", _PLANNED, ids=str)
def test_plan_equals_function(case: LongCase) -> None:
    for dtype in ("f32", "bf16"):
        arrays = case.inputs(dtype)
        expected = case.run(swath, arrays)
        plan, given = _plan(case, arrays)
        assert_same_bits(plan(**given), expected)
        assert_same_bits(plan(**given), expected)
        twins = (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan)))
        for twin in twins:
            assert_same_bits(twin(**given), expected)
            assert repr(twin) == repr(plan)


@pytest.mark.parametrize("cluster", SIMD)
def test_a_plan_follows_a_forced_kernel(cluster: str) -> None:
    u, k = _normal(1, 2, 600), _normal(2, 600)
    plan = swath.LongConv(k, length=600)
    with swath.testing.force_kernel(cluster):
        assert_same_bits(plan(u), swath.long_conv(u, k))
    assert_same_bits(plan(u), swath.long_conv(u, k))


def test_a_plan_serves_many_threads_and_lengths() -> None:
    k = _normal(3, 500)
    plan = swath.LongConv(k)
    inputs = [_normal(2, 3, n) for n in (10, 300, 500, 777, 1200, 2000)] * 4
    expected = [swath.long_conv(u, k) for u in inputs]
    with ThreadPoolExecutor(4) as pool:
        for mine, theirs in zip(pool.map(plan, inputs), expected, strict=True):
            assert_same_bits(mine, theirs)


def test_a_plan_keeps_its_taps_and_counts() -> None:
    u, k = _normal(1, 2, 1024), _normal(2, 1024)
    plan = swath.LongConv(k, length=1024)
    expected = plan(u)
    k[...] = np.nan
    assert_same_bits(plan(u), expected)
    # Two transforms of 1024 elements a row, 5 n log2 n each, and the product.
    assert plan.flops(u.shape) == 2 * (2 * 5 * 1024 * 10 + 6 * 1024)
    assert plan.bytes(u.shape) == 4 * (2 * u.size + k.size)
    assert plan.workspace_bytes(u.shape) > 2 * 1024 * 4
    assert "_fft" in plan.explain(u).kernel
    with pytest.raises(AttributeError):
        plan.mode = "full"
    with pytest.raises(TypeError):
        swath.LongConv.__new__(swath.LongConv)(u)


def test_the_spectrum_is_that_of_rfft() -> None:
    k = _normal(3, 100)
    plan = swath.LongConv(k)
    assert plan.n_fft == 200
    assert plan.spectrum.dtype == np.complex64
    np.testing.assert_allclose(plan.spectrum, np.fft.rfft(k, 200), atol=1e-4)
    assert swath.LongConv(k, length=301).n_fft == 400
    assert swath.LongConv(k.astype(np.float64)).spectrum.dtype == np.complex128
    masked = swath.LongConv(k, n_fft=256, freq_mask=np.arange(129) < 40)
    np.testing.assert_allclose(
        masked.spectrum, np.fft.rfft(k, 256) * (np.arange(129) < 40), atol=1e-4
    )
    again = swath.LongConv.from_spectrum(plan.spectrum, taps=100)
    u = _normal(2, 3, 150)
    assert _relative(again(u), plan(u)) < 1e-5


def test_explain_names_the_method() -> None:
    u = _normal(1, 2, 4096)
    few = swath.info.explain(swath.long_conv, u, _normal(2, 8))
    many = swath.info.explain(swath.long_conv, u, _normal(2, 4096))
    assert few.kernel.endswith("_direct")
    assert many.kernel.endswith("_fft")
    some = swath.info.explain(swath.long_conv, _normal(1, 1, 100_000), _normal(1, 500))
    assert some.kernel.endswith("_overlap_save")
    assert many.op == "long_conv"


def test_overlap_save_takes_memory_of_the_taps_alone() -> None:
    plan = swath.LongConv(_normal(1, 1000))
    assert plan.workspace_bytes((1, 1, 1 << 20)) == plan.workspace_bytes((1, 1, 1 << 22))
    assert plan.workspace_bytes((1, 1, 1 << 20)) < 1 << 20


# Streams


def _streamed(plan: Any, given: dict[str, Array], chunks: list[int], axis: int) -> Array:
    state, at, parts = None, 0, []
    for n in chunks:
        piece = {
            name: a.take(range(at, at + n), axis) if a.ndim == 3 else a for name, a in given.items()
        }
        if state is None:
            y, state = plan.prefill(piece.pop("u"), **piece)
        else:
            y, state = plan.step(piece.pop("u"), state, **piece)
        parts.append(y)
        at += n
    return np.concatenate(parts, axis)


_STREAMS = {
    "tokens": [1] * 300,
    "odd": [37, 64, 1, 130, 0, 68],
    "blocks": [64, 128, 64, 44],
    "whole": [300],
    "prefill": [256, *[1] * 44],
}


@pytest.mark.parametrize("chunks", _STREAMS.values(), ids=_STREAMS)
@pytest.mark.parametrize(
    ("k", "layout"),
    [((4, 300), "channels_first"), ((2, 77), "channels_last"), ((4, 1), "channels_first"),
     ((2, 1000), "channels_first")],
)  # fmt: skip
def test_any_chunks_give_the_offline_result(k: Any, layout: Any, chunks: list[int]) -> None:
    case = long_case("stream", (2, 4, 300), k, *ALL, layout=layout)
    for dtype in ("f32", "f64", "bf16"):
        arrays = case.inputs(dtype)
        plan, given = _plan(case, arrays)
        axis = 2 if layout == "channels_first" else 1
        check(case, _streamed(plan, given, chunks, axis), arrays)


@pytest.mark.parametrize("cluster", clusters())
@pytest.mark.parametrize("k", [(4, 150), (2, 20)], ids=str)
def test_positions_one_by_one_on_every_cluster(cluster: str, k: Any) -> None:
    case = long_case("tokens", (2, 4, 200), k, *ALL)
    for dtype in ("f32", "f64", "f16", "bf16"):
        arrays = case.inputs(dtype)
        with swath.testing.force_kernel(cluster):
            plan, given = _plan(case, arrays)
            found = _streamed(plan, given, [1, 2, 61, 3, 60, 7, *[1] * 40, 26], 2)
        check(case, found, arrays)


def test_positions_are_read_at_any_stride() -> None:
    u, k = _normal(3, 4, 130), _normal(4, 90)
    gate = np.ascontiguousarray(_normal(130, 4, 3)).T
    plan = swath.LongConv(k, skip=_normal(8)[::2])
    expected = plan(u, pre_gate=gate, post_gate=u)
    state, parts = plan.init_state(3), []
    flipped = u[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]
    for t in range(0, 130, 5):
        now = slice(t, t + 5)
        y, state = plan.step(
            flipped[..., now], state, pre_gate=gate[..., now], post_gate=flipped[..., now]
        )
        parts.append(y)
    assert _relative(np.concatenate(parts, -1), expected) < 1e-6


def test_an_infinite_input_reaches_the_outputs_of_its_taps_alone() -> None:
    u, k = _normal(1, 3, 60), _normal(3, 5)
    u[0, 1, 20] = np.inf
    plan = swath.LongConv(k)
    state, parts = plan.init_state(1), []
    for t in range(60):
        y, state = plan.step(u[..., t : t + 1], state)
        parts.append(y)
    found = np.concatenate(parts, -1)[0]
    touched = np.zeros((3, 60), bool)
    touched[1, 20:25] = True
    assert (np.isfinite(found) == ~touched).all()


def test_one_plan_serves_streams_of_several_sizes() -> None:
    k = _normal(2, 100)
    plan = swath.LongConv(k)
    inputs = [_normal(b, c, 140) for b, c in ((1, 2), (3, 2), (2, 4))]
    streams = [plan.prefill(u[..., :60]) for u in inputs]
    for t in range(60, 140):
        for i, u in enumerate(inputs):
            y, state = plan.step(u[..., t : t + 1], streams[i][1])
            streams[i] = (np.concatenate([streams[i][0], y], -1), state)
    for (y, _), u in zip(streams, inputs, strict=True):
        assert _relative(y, plan(u)) < 1e-6
    with pytest.raises(swath.ShapeError):  # a shape that was seen, the state of another
        plan.step(inputs[0][..., :1], streams[1][1])


def test_a_full_stream_ends_with_its_tail() -> None:
    case = long_case("tail", (2, 3, 200), (3, 90), "bias", mode="full")
    arrays = case.inputs("f32")
    plan, given = _plan(case, arrays)
    head, state = plan.prefill(given["u"])
    tail = plan.flush(state)
    assert tail.shape == (2, 3, 89)
    check(case, np.concatenate([head, tail], -1), arrays)
    causal = swath.LongConv(arrays["k"])
    assert causal.flush(causal.init_state(2)).shape == (2, 3, 0)


def test_states_copy_and_pickle() -> None:
    u, k = _normal(2, 4, 400), _normal(2, 300)
    plan = swath.LongConv(k)
    _, state = plan.prefill(u[..., :131])
    twins = [copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))]
    expected, _ = plan.step(u[..., 131:], state)
    for twin in twins:
        assert twin.time == 131
        found, _ = plan.step(u[..., 131:], twin)
        assert_same_bits(found, expected)


@pytest.mark.parametrize("copies", [False, True])
def test_the_first_chunk_says_how_many_channels_share_the_heads(copies: bool) -> None:
    u, k = _normal(2, 6, 200), _normal(3, 90)
    plan = swath.LongConv(k)
    state = plan.init_state(2)
    if copies:
        state = pickle.loads(pickle.dumps(copy.copy(state)))
    with pytest.raises(swath.ShapeError):
        plan.step(u[:, :4], state)
    found = []
    for begin, end in ((0, 0), (0, 70), (70, 200)):
        y, state = plan.step(u[..., begin:end], state)
        found.append(y)
    fixed, given = [], plan.init_state(2, channels=6)
    for begin, end in ((0, 70), (70, 200)):
        y, given = plan.step(u[..., begin:end], given)
        fixed.append(y)
    assert_same_bits(np.concatenate(found, -1), np.concatenate(fixed, -1))
    with pytest.raises(swath.ShapeError):
        plan.step(u[:, :3], state)
    with pytest.raises(swath.ShapeError):
        swath.LongConv(k, skip=_normal(3)).step(u, swath.LongConv(k, skip=_normal(3)).init_state(2))


def test_wrong_streams_are_refused() -> None:
    u, k = _normal(2, 4, 30), _normal(2, 30)
    plan = swath.LongConv(k)
    state = plan.init_state(2, 4)
    for call, error in (
        (lambda: swath.LongConv(k, mode="same").init_state(1), swath.ParamError),
        (lambda: swath.LongConv(k, n_fft=60).init_state(1), swath.ParamError),
        (lambda: plan.init_state(2, 3), swath.ParamError),
        (lambda: plan.init_state(-1), swath.ParamError),
        (lambda: plan.step(u[:1], state), swath.ShapeError),
        (lambda: plan.step(u[:, :2], state), swath.ShapeError),
        (lambda: plan.step(u.astype(np.float64), state), swath.DTypeError),
        (lambda: plan.step(u, state, pre_gate=u[..., 1:]), swath.ShapeError),
        (lambda: plan.prefill(u[0, 0]), swath.ShapeError),
        (lambda: swath.LongConv(_normal(2, 99)).step(u, state), swath.ShapeError),
    ):
        with pytest.raises(error):
            call()
        assert state.time == 0
