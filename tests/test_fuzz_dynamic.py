"""Random legal calls of dynamic convolution, with strided views, against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import swath
from cases.case import DTYPES
from cases.dynamic import DynamicCase
from support import VIEWS, Array, check

LAYOUTS = ("channels_first", "channels_last")
PLAIN_VIEWS = ("poisoned_around", "every_second", "reversed", "transposed", "swapped_batch")


@st.composite
def rows(draw: Any) -> DynamicCase:
    h, k = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    b, c, t = draw(st.integers(0, 2)), h * draw(st.integers(1, 9)), draw(st.integers(1, 45))
    pads = draw(st.sampled_from(["causal", "same", (k, 2), (0, k - 1), (k - 1, k)]))
    before, after = (k - 1, 0) if isinstance(pads, str) else pads
    out = t + before + after - k + 1
    kwargs = {
        "padding": pads,
        "softmax": draw(st.booleans()),
        "renormalize_padding": draw(st.booleans()),
        "head_map": draw(st.sampled_from(["blocked", "interleaved"])),
        "layout": draw(st.sampled_from(LAYOUTS)),
    }
    weight = (h, k) if draw(st.booleans()) else (b, h, k, out)
    return _with_result(draw, DynamicCase("row", "dynamic_conv1d", (b, c, t), weight, kwargs))


@st.composite
def images(draw: Any) -> DynamicCase:
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    g, kernel, stride, dilation = draw(st.integers(1, 4)), draw(pair), draw(pair), draw(pair)
    n, c = draw(st.integers(0, 2)), g * draw(st.integers(1, 6))
    shape = draw(st.integers(1, 14)), draw(st.integers(1, 40))
    pads = tuple(
        (d * (k - 1), draw(st.integers(0, 3))) for k, d in zip(kernel, dilation, strict=True)
    )
    kwargs = {
        "kernel": kernel, "stride": stride, "dilation": dilation, "padding": pads,
        "softmax": draw(st.booleans()),
        "group_map": draw(st.sampled_from(["blocked", "interleaved"])),
        "layout": draw(st.sampled_from(LAYOUTS)),
    }  # fmt: skip
    out = [
        (m + sum(p) - d * (k - 1) - 1) // s + 1
        for m, p, k, s, d in zip(shape, pads, kernel, stride, dilation, strict=True)
    ]
    weight = (n, g, kernel[0] * kernel[1], *out)
    return _with_result(
        draw, DynamicCase("image", "dynamic_conv2d", (n, c, *shape), weight, kwargs)
    )


def _with_result(draw: Any, case: DynamicCase) -> DynamicCase:
    result = draw(st.sampled_from(["", "dx", "dweight"]))
    if not result:
        return case
    return DynamicCase(
        case.id, f"grad.{case.function}", case.x, case.weight, case.kwargs, result=result
    )


def _viewed(case: DynamicCase, dtype: str, view: str) -> dict[str, Array]:
    return {name: VIEWS[view](a) for name, a in case.inputs(dtype).items()}


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    case=st.one_of(rows(), images()),
    dtype=st.sampled_from(DTYPES),
    view=st.sampled_from(PLAIN_VIEWS),
    threads=st.integers(1, 3),
)
def test_random_calls_match_the_oracle(
    case: DynamicCase, dtype: str, view: str, threads: int
) -> None:
    arrays = _viewed(case, dtype, view)
    check(case, case.run(swath, arrays, threads=threads), case.inputs(dtype))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 8), st.integers(1, 30)),
    heads=st.integers(1, 3),
    taps=st.integers(1, 12),
    pads=st.one_of(
        st.sampled_from(["causal", "same"]), st.tuples(st.integers(0, 14), st.integers(0, 9))
    ),
    softmax=st.booleans(),
    cuts=st.lists(st.integers(0, 30), max_size=5),
)
def test_random_streams_give_the_bits_of_one_call(
    shape: tuple[int, int, int], heads: int, taps: int, pads: Any, softmax: bool, cuts: list[int]
) -> None:
    b, c, t = shape
    rng = np.random.default_rng(t)
    x = rng.normal(size=(b, c * heads, t)).astype(np.float32)
    weight = rng.normal(size=(heads, taps)).astype(np.float32)
    if not isinstance(pads, str) and t + sum(pads) < taps:
        return
    plan = swath.DynamicConv1d(weight, padding=pads, softmax=softmax, renormalize_padding=True)
    state = plan.init_state(b)
    parts = [
        plan.step(chunk, state)[0] for chunk in np.split(x, sorted(min(m, t) for m in cuts), 2)
    ]
    parts.append(plan.flush(state))
    np.testing.assert_array_equal(np.concatenate(parts, 2), plan(x))
