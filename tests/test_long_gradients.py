"""Gradients of long convolutions against differences and autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import swath
from cases.long_conv import ALL, LongCase, long_case
from support import Array, require

RNG = np.random.default_rng(5)


def _normal(*shape: int, dtype: Any = np.float32) -> Array:
    return RNG.normal(size=shape).astype(dtype)


_DIFFERENCES = [
    long_case("causal", (2, 4, 9), (2, 12), *ALL),
    long_case("interleaved", (2, 4, 9), (2, 4), *ALL, head_map="interleaved"),
    long_case("full", (2, 2, 7), (2, 4), "bias", "pre_gate", "post_gate", mode="full"),
    long_case("valid", (2, 2, 9), (2, 4), "bias", "pre_gate", "post_gate", mode="valid"),
    long_case("same", (2, 2, 8), (2, 5), *ALL, mode="same", correlate=True),
    long_case("two_sided", (2, 2, 8), (2, 5), *ALL, mode="two_sided", offset=6),
    long_case("circular", (2, 2, 8), (2, 5), *ALL, mode="circular"),
    long_case("masked", (2, 2, 8), (2, 5), *ALL, n_fft=11, freq_mask=np.arange(6) / 5),
]


@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("case", _DIFFERENCES, ids=str)
def test_gradients_are_differences(case: LongCase, method: Any) -> None:
    arrays = case.inputs("f64")
    options = {**case.kwargs, "method": method}
    dy = RNG.normal(size=case.run(swath, arrays).shape)
    found = swath.grad.long_conv(dy, **arrays, **options)._asdict()
    for name, array in arrays.items():
        gradient = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            value = array[at]
            array[at] = value + 1e-5
            above = (dy * swath.long_conv(**arrays, **options)).sum()
            array[at] = value - 1e-5
            gradient[at] = (above - (dy * swath.long_conv(**arrays, **options)).sum()) / 2e-5
            array[at] = value
        np.testing.assert_allclose(found[f"d{name}"], gradient, rtol=1e-6, atol=1e-8)


def test_gradients_are_those_of_autograd() -> None:
    torch = require("torch")
    arrays = {
        "u": _normal(2, 6, 90), "k": _normal(3, 70), "skip": _normal(6), "bias": _normal(6),
        "pre_gate": _normal(2, 6, 90), "post_gate": _normal(2, 6, 90),
    }  # fmt: skip
    t = {k: torch.tensor(a, dtype=torch.float64, requires_grad=True) for k, a in arrays.items()}
    v = t["u"] * t["pre_gate"]
    spectrum = torch.fft.rfft(t["k"].repeat_interleave(2, 0), n=200)
    c = torch.fft.irfft(torch.fft.rfft(v, n=200) * spectrum, n=200)[..., :90]
    y = t["post_gate"] * (c + t["skip"][:, None] * v + t["bias"][:, None])
    dy = torch.tensor(_normal(2, 6, 90), dtype=torch.float64)
    y.backward(dy)
    given = {k: x.detach() for k, x in t.items()}
    mine = swath.long_conv(**given)
    assert isinstance(mine, torch.Tensor)
    torch.testing.assert_close(mine, y.detach(), rtol=1e-11, atol=1e-11)
    found = swath.grad.long_conv(dy, **given)
    for name, gradient in found._asdict().items():
        torch.testing.assert_close(gradient, t[name[1:]].grad, rtol=1e-10, atol=1e-10)


def test_taps_beyond_the_row_have_no_gradient() -> None:
    u, k = _normal(2, 3, 20), _normal(3, 50)
    dk = swath.grad.long_conv(_normal(2, 3, 20), u, k).dk
    assert (dk[:, 20:] == 0).all()
    assert (dk[:, :20] != 0).all()


def test_needs_skips_the_rest() -> None:
    u, k = _normal(2, 3, 20), _normal(3, 50)
    grads = swath.grad.long_conv(u, u, k, needs=("k",))
    assert [name for name, g in grads._asdict().items() if g is not None] == ["dk"]
    assert swath.grad.long_conv(u, u, k, skip=_normal(3)).dbias is None
