"""Checks that published long and dynamic convolutions name for themselves."""

from __future__ import annotations

import numpy as np
import pytest

import swath
from papers import close, normal, softmax


def _heads_of(channels: int, heads: int, head_map: str):  # type: ignore[no-untyped-def]
    c = np.arange(channels)
    return c // (channels // heads) if head_map == "blocked" else c % heads


@pytest.mark.parametrize("head_map", ["blocked", "interleaved"])
def test_s15_light_convolution(head_map: str) -> None:
    x, w = normal(2, 6, 20), normal(3, 5)
    taps = softmax(w)
    depthwise = taps[_heads_of(6, 3, head_map)][:, None]
    for padding in ("causal", "same"):
        found = swath.lightweight_conv1d(x, w, padding=padding, head_map=head_map)
        close(found, swath.conv1d(x, depthwise, padding=padding, groups=6))
    # Zeros are padded after the softmax, so borders have less mass, unless renormalised.
    ones = np.ones((1, 6, 20))
    mass = swath.lightweight_conv1d(ones, w, head_map=head_map)
    expected = np.cumsum(taps[:, ::-1], 1)[_heads_of(6, 3, head_map)]
    close(mass[0, :, :5], expected)
    close(swath.lightweight_conv1d(ones, w, head_map=head_map, renormalize_padding=True), ones)


def test_s15_more_taps_than_positions() -> None:
    """The softmax goes over all K taps, the ones before the sequence included."""
    x, w = normal(1, 2, 4), normal(1, 2, 9, 4)
    p = softmax(w, 2)
    expected = np.zeros_like(x)
    for t in range(4):
        for j in range(9):
            if 0 <= t + j - 8 < 4:
                expected[0, :, t] += p[0, :, j, t] * x[0, :, t + j - 8]
    close(swath.dynamic_conv1d(x, w, softmax=True), expected)


def test_s15_step_by_step() -> None:
    x, w = normal(2, 6, 17), normal(2, 3, 7, 17)
    whole = swath.dynamic_conv1d(x, w, softmax=True)
    plan = swath.DynamicConv1d(normal(3, 7), softmax=True)
    state = plan.init_state(2)
    steps = []
    for t in range(17):
        y, state = plan.step(x[..., t : t + 1], state, w[..., t : t + 1])
        steps.append(y)
    close(np.concatenate(steps, -1), whole)
    assert plan.flush(state).size == 0


def test_s15_gradients_pass_the_softmax() -> None:
    x, w, dy, h = normal(1, 4, 9), normal(1, 2, 5, 9), normal(1, 4, 9, seed=1), 1e-6
    grads = swath.grad.dynamic_conv1d(dy, x, w, softmax=True)
    direction = normal(*w.shape, seed=2)
    ends = [(dy * swath.dynamic_conv1d(x, w + s * h * direction, softmax=True)).sum()
            for s in (1, -1)]  # fmt: skip
    assert abs((grads.dweight * direction).sum() - (ends[0] - ends[1]) / (2 * h)) < 1e-7


@pytest.mark.parametrize("length", [16, 37, 64])
def test_s43_gated_convolution_by_fft(length: int) -> None:
    u, k = normal(2, 4, length), normal(4, length)
    pre, post, skip = normal(2, 4, length, seed=1), normal(2, 4, length, seed=2), normal(4)
    v = u * pre
    conv = np.stack([[np.convolve(v[b, d], k[d])[:length] for d in range(4)] for b in range(2)])
    found = swath.long_conv(u, k, pre_gate=pre, post_gate=post, skip=skip, method="fft")
    close(found, post * (conv + skip[:, None] * v))
    # A shorter filter is the same as one that ends in zeros.
    partial = np.where(np.arange(length) < length // 4, k, 0)
    close(swath.long_conv(u, k[:, : length // 4]), swath.long_conv(u, partial))


def test_s43_frequencies_are_left_out() -> None:
    u, k, n = normal(2, 4, 32), normal(4, 32), 64
    keep = np.arange(n // 2 + 1) < 9
    spectrum = np.fft.rfft(k, n)
    spectrum[:, 9:] = 0
    expected = np.fft.irfft(spectrum * np.fft.rfft(u, n), n)[..., :32]
    close(swath.long_conv(u, k, freq_mask=keep, n_fft=n), expected)


def test_s43_chunks_add_up() -> None:
    u, k = normal(1, 3, 100), normal(3, 40)
    plan = swath.LongConv(k)
    y, state = plan.prefill(u[..., :33])
    parts = [y]
    for begin, end in ((33, 34), (34, 71), (71, 100)):
        y, state = plan.step(u[..., begin:end], state)
        parts.append(np.array(y))
    close(np.concatenate(parts, -1), swath.long_conv(u, k, method="direct"))


@pytest.mark.parametrize("length", [1, 2, 31, 60])
def test_s99_both_directions_and_the_recurrence(length: int) -> None:
    """The anti-causal part starts one sample ahead."""
    modes = 3
    rng = np.random.default_rng(0)
    a, c = -np.exp(rng.normal(size=(2, modes))) + 1j * rng.normal(size=(2, modes)), normal(2, modes)
    dt, steps = 0.1, np.arange(length)
    k0 = 2 * np.real(((c * (np.exp(dt * a) - 1) / a)[..., None]
                      * np.exp(dt * a[..., None] * steps)).sum(1))  # fmt: skip
    u, k1, skip = normal(1, 2, length), normal(2, length), normal(2)
    forward = swath.long_conv(u, k0, skip=skip)
    state, rows = np.zeros((2, modes), complex), []
    for t in range(length):
        state = state * np.exp(dt * a) + u[0, :, t, None]
        rows.append(2 * np.real((c * (np.exp(dt * a) - 1) / a * state).sum(1)) + skip * u[0, :, t])
    close(forward[0], np.stack(rows, -1))
    both = np.concatenate([k1[:, ::-1], k0], 1)
    found = swath.long_conv(u, both, mode="two_sided", offset=length)
    expected = np.zeros((2, length))
    for t in range(length):
        for s in range(length):
            tap = k0[:, t - s] if s <= t else k1[:, s - t - 1]
            expected[:, t] += tap * u[0, :, s]
    close(found[0], expected)


def test_s99_the_past_is_unchanged() -> None:
    u, k = normal(1, 2, 200), normal(2, 200)
    late = u.copy()
    late[..., 150:] = 1e3
    direct = [swath.long_conv(a, k, method="direct")[..., :150] for a in (u, late)]
    assert (direct[0] == direct[1]).all()
    fft = [swath.long_conv(a, k, method="fft")[..., :150] for a in (u, late)]
    bound = 1e-14 * np.linalg.norm(k, axis=1) * np.linalg.norm(late[0], axis=1)
    assert (np.linalg.norm(fft[1] - fft[0], axis=-1)[0] <= bound).all()


def test_s35_generated_kernels_of_image_size() -> None:
    x, k = normal(2, 3, 9, 9), normal(3, 9, 9)
    close(swath.long_conv2d(x, k, mode="circular"),
          np.fft.irfft2(np.fft.rfft2(x) * np.fft.rfft2(k), (9, 9)))  # fmt: skip
    close(swath.long_conv2d(x, k),
          swath.conv2d(x, k[:, None, ::-1, ::-1], padding="same", groups=3))  # fmt: skip


def test_s26_sliding_sums_do_not_subtract() -> None:
    x = normal(300)
    x[40] = 1e8
    for k in (1, 2, 3, 31, 300):
        windows = np.lib.stride_tricks.sliding_window_view(x, k)
        far = np.abs(np.arange(len(windows)) - 40 + k / 2) > k
        for op in ("sum", "mean", "max", "min"):
            expected = getattr(windows, op)(-1)
            found = swath.sliding_reduce(x, k, op=op)
            close(found[far], expected[far])
            np.testing.assert_allclose(found, expected, 1e-13)


def test_s72_factorised_attention_with_relative_position() -> None:
    heads, d, h, w = 8, 4, 5, 6
    n = 1 + h * w
    q, k, v = normal(2, heads, n, d), normal(2, heads, n, d) * 300, normal(2, heads, n, d, seed=1)
    factor = d**-0.5 * q @ (softmax(k, 2).swapaxes(2, 3) @ v)
    close(swath.linear_attention(q, k, v), factor)
    image = lambda a: a[:, :, 1:].transpose(0, 1, 3, 2).reshape(2, heads * d, h, w)  # noqa: E731
    parts = []
    for size, begin, end in ((3, 0, 2), (5, 2, 5), (7, 5, 8)):
        x = image(v)[:, begin * d : end * d]
        parts.append(swath.conv2d(x, normal(x.shape[1], 1, size, size), padding="same",
                                  groups=x.shape[1]))  # fmt: skip
    relative = swath.gate_mul(np.concatenate(parts, 1), image(q), gate=None)
    close(relative, np.concatenate(parts, 1) * image(q))


def test_s28_linear_attention_is_not_normalised_by_queries() -> None:
    q, k, v = normal(1, 2, 9, 3), normal(1, 2, 9, 3, seed=1), normal(1, 2, 9, 5)
    context = np.einsum("bhnd,bhne->bhde", softmax(k, 2), v)
    close(swath.linear_attention(q, k, v, scale=1.0), np.einsum("bhde,bhnd->bhne", context, q))


def test_s56_random_features() -> None:
    g = normal(4, 3)
    q, k, v = normal(1, 1, 7, 3), normal(1, 1, 7, 3, seed=1), normal(1, 1, 7, 2)
    phi = lambda x: np.maximum(x @ g.T, 0) / 2  # noqa: E731
    found = swath.linear_attention(phi(q), phi(k), v, k_norm=lambda x: x, scale=1.0, causal=True)
    scores = np.tril(np.einsum("bhid,bhjd->bhij", phi(q), phi(k)))
    close(found, scores @ v)
