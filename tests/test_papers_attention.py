"""Checks that published attention operators name for themselves."""

from __future__ import annotations

import numpy as np
import pytest

import swath
from papers import close, dense_attention, normal, softmax
from swath import patterns


def _qkv(*shape: int, keys: int | None = None):  # type: ignore[no-untyped-def]
    *lead, n, d = shape
    k = normal(*lead, keys or n, d, seed=1)
    return normal(*shape), k, normal(*lead, keys or n, d, seed=2)


def _grid_distance(h: int, w: int):  # type: ignore[no-untyped-def]
    y, x = np.divmod(np.arange(h * w), w)
    return y[None] - y[:, None], x[None] - x[:, None]


def test_s7_one_query_row() -> None:
    q, k, v = _qkv(2, 3, 9, 8)
    close(swath.attention(q[:, :, :1], k, v), swath.attention(q, k, v)[:, :, :1])


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_s8_keys_of_every_nearest_token(factor: int) -> None:
    q, k, v = _qkv(1, 2, 144, 8)
    at = {1: [0, 1], 2: [1, 3, 5], 3: [1, 4, 7], 4: [2, 6, 10]}[factor]
    rows = swath.pool_tokens(np.arange(144.0)[:, None], (12, 12), factor, "nearest_exact")
    assert (rows.reshape(12 // factor, -1)[0, : len(at)] % 12 == at).all()
    few = [swath.pool_tokens(a, (12, 12), factor, "nearest_exact") for a in (k, v)]
    chosen = rows.ravel().astype(int)
    close(swath.attention(q, *few), dense_attention(q, k[:, :, chosen], v[:, :, chosen]))
    first = swath.pool_tokens(k, (12, 12), factor, "nearest")
    assert (
        first == k.reshape(1, 2, 12, 12, 8)[:, :, ::factor, ::factor].reshape(first.shape)
    ).all()


def test_s9_attention_between_channels() -> None:
    q, k, v = _qkv(2, 3, 8, 40)  # 8 channels of a head, 40 pixels
    q, k = (a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (q, k))
    close(swath.attention(q, k, v, scale=1.7), softmax(1.7 * q @ k.swapaxes(2, 3)) @ v)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_s12_s77_s103_packed_tokens(share: float) -> None:
    keep = np.random.default_rng(0).random((3, 11)) < share
    x = normal(3, 11, 6)
    packed, cu, idx = swath.pack_tokens(x, keep)
    a = packed[None, None]
    y = swath.attention(a, a, a, pattern=patterns.VarLen(cu))[0, 0]
    expected = x.copy()
    for b in range(3):
        if keep[b].any():
            mine = x[b, keep[b]][None, None]
            expected[b, keep[b]] = dense_attention(mine, mine, mine)[0, 0]
    found = np.where(keep[..., None], swath.unpack_tokens(y, idx, x), x)
    close(found, expected)
    assert (swath.unpack_tokens(packed, idx, x) == np.where(keep[..., None], x, 0)).all()


def test_s18_unscaled_and_wider_values() -> None:
    q, k, _ = _qkv(2, 3, 9, 8)
    v = normal(2, 3, 9, 16)
    close(swath.attention(q, k, v, scale=1.0), dense_attention(q, k, v, scale=1.0))


@pytest.mark.parametrize("shift", [(0, 0), (1, 2)])
@pytest.mark.parametrize("size", [(2, 4), (4, 2), (8, 2), (8, 8)])
def test_s20_s25_rectangular_windows(size: tuple[int, int], shift: tuple[int, int]) -> None:
    """Rolled windows, masked where they were not neighbours; tables of query minus key."""
    n, heads = 8, 2
    shift = tuple(0 if s == n else a for a, s in zip(shift, size, strict=True))
    q, k, v = _qkv(1, heads, n * n, 8)
    table = normal(heads, 2 * size[0] - 1, 2 * size[1] - 1)
    at = np.stack(np.divmod(np.arange(n * n), n), -1)
    rolled = (at - shift) % n
    window = rolled // size
    region = at < shift
    same = (window[:, None] == window[None]).all(-1)
    near = same & (region[:, None] == region[None]).all(-1)
    delta = np.clip(rolled[:, None] - rolled[None] + np.array(size) - 1, 0,
                    np.array(table.shape[1:]) - 1)  # fmt: skip
    bias = table[:, delta[..., 0], delta[..., 1]][None]
    grid = (1, heads, n, n, 8)
    q, k, v = (a.reshape(grid) for a in (q, k, v))
    flat = [a.reshape(1, heads, n * n, 8) for a in (q, k, v)]
    relative = patterns.RelativeTable(table, order="query_minus_key")
    exact = swath.attention(q, k, v, pattern=patterns.Window(size, shift), bias=relative)
    close(exact, dense_attention(*flat, near, bias).reshape(grid))
    published = patterns.Window(size, shift, mask_value=-100)
    soft = swath.attention(q, k, v, pattern=published, bias=relative)
    masked = bias + np.where(near, 0, -100)
    close(soft, dense_attention(*flat, same, masked).reshape(grid))
    assert np.abs(soft - exact).max() < 1e-6


def test_s23_pooling_of_the_flattened_sequence() -> None:
    x = normal(2, 64, 6)
    flat = swath.pool_tokens(x, 64, 4)
    close(flat, x.reshape(2, 16, 4, 6).mean(2))
    assert not np.allclose(flat, swath.pool_tokens(x, (8, 8), 2))


def test_s25_proxies() -> None:
    q, k, v = _qkv(1, 2, 64, 8)
    grid = (4, 4, 4)
    proxies = [swath.pool_tokens(a, grid, (1, 2, 2)) for a in (k, v)]
    means = [a.reshape(1, 2, 4, 2, 2, 2, 2, 8).mean((4, 6)).reshape(1, 2, 16, 8) for a in (k, v)]
    close(swath.attention(q, *proxies), dense_attention(q, *means))
    close(swath.attention(q, *(swath.pool_tokens(a, grid, 1) for a in (k, v))),
          dense_attention(q, k, v))  # fmt: skip


def test_s28_s92_few_keys() -> None:
    for keys in (1, 4, 77):
        q, k, v = _qkv(1, 2, 160, 8, keys=keys)
        close(swath.attention(q, k, v), dense_attention(q, k, v))
    none = swath.attention(q, k, v, key_mask=np.zeros((1, 77), bool))
    assert not none.any()  # not the mean, as with a finite mask value


@pytest.mark.parametrize("radius", [1, 3, 4.5, 40])
def test_s30_disks_with_text_and_pooled_keys(radius: float) -> None:
    h, w, text = 8, 6, 5
    n = text + h * w
    q, k, v = _qkv(1, 2, n, 8)
    dy, dx = _grid_distance(h, w)
    mask = np.ones((n, n), bool)
    mask[text:, text:] = dy**2 + dx**2 < radius**2
    pattern = patterns.Disk(radius, grid=(h, w), n_prefix=text)
    close(swath.attention(q, k, v, pattern=pattern), dense_attention(q, k, v, mask))
    # The pooled keys of the published variant: learned weights, seen by image queries only.
    weights = normal(2, 2)
    image = [a[:, :, text:] for a in (k, v)]
    pooled = [swath.pool_tokens(a, (h, w), 2, "weighted", weights) for a in image]
    cells = [np.einsum("bhyaxcd,ac->bhyxd", a.reshape(1, 2, h // 2, 2, w // 2, 2, 8), weights)
             for a in image]  # fmt: skip
    more = [a.reshape(1, 2, -1, 8) for a in cells]
    for found, expected in zip(pooled, more, strict=True):
        close(found, expected)
    found = swath.attention(q, k, v, pattern=pattern, extra_kv=[(*pooled, 0.0, "grid")])
    keys, values = (np.concatenate([a, b], 2) for a, b in zip((k, v), more, strict=True))
    seen = np.concatenate([mask, np.ones((n, more[0].shape[2]), bool)], 1)
    seen[:text, n:] = False
    close(found, dense_attention(q, keys, values, seen))


def test_s30_s83_keys_split_between_devices() -> None:
    q, k, v = _qkv(1, 2, 30, 8)
    whole, lse = swath.attention(q, k, v, return_lse=True)
    parts = [swath.attention(q, k[:, :, s], v[:, :, s], return_lse=True)
             for s in (slice(0, 7), slice(7, 8), slice(8, 30))]  # fmt: skip
    found, found_lse = swath.merge_attention(parts)
    close(found, whole)
    close(found_lse, lse)
    segments = [(k[:, :, 7:], v[:, :, 7:], 0.0, "all")]
    close(swath.attention(q, k[:, :, :7], v[:, :, :7], extra_kv=segments), whole)


def test_s37_one_matrix_for_queries_and_keys() -> None:
    x, u = normal(1, 1, 9, 6), normal(6, 6)
    z = x @ u
    logits = z @ z.swapaxes(2, 3)
    close(logits, logits.swapaxes(2, 3))
    close(swath.attention(z, z, x), dense_attention(z, z, x))


def test_s38_groups_of_samples() -> None:
    q, k, v = _qkv(6, 2, 5, 8)
    group = np.repeat([0, 1, 1, 1, 2, 2], 5)
    flat = [a.transpose(1, 0, 2, 3).reshape(1, 2, 30, 8) for a in (q, k, v)]
    found = swath.attention(*flat, pattern=patterns.VarLen([0, 5, 20, 30]))
    close(found, dense_attention(*flat, group[:, None] == group))


@pytest.mark.parametrize("causal", [False, True])
def test_s47_linear_biases(causal: bool) -> None:
    heads, n = 4, 13
    q, k, v = _qkv(2, heads, n, 8)
    slopes = 2.0 ** (-8 * (np.arange(heads) + 1) / heads)
    i = np.arange(n)
    distance = i[:, None] - i
    bias = -slopes[:, None, None] * distance
    a = np.stack([-slopes[:, None] * i, np.broadcast_to(slopes[:, None], (heads, n))], -1)
    b = np.stack([np.ones(n), i], -1)
    mask = distance >= 0 if causal else True
    found = swath.attention(q, k, v, bias_lowrank=(a[None], b[None, None]), causal=causal)
    close(found, dense_attention(q, k, v, mask, bias))
    xy = normal(n, 3)
    far = -((xy[:, None] - xy) ** 2).sum(-1)
    left = np.concatenate([2 * xy, -(xy**2).sum(1, keepdims=True), -np.ones((n, 1))], 1)
    right = np.concatenate([xy, np.ones((n, 1)), (xy**2).sum(1, keepdims=True)], 1)
    found = swath.attention(q, k, v, bias_lowrank=(left[None, None], right[None, None]))
    close(found, dense_attention(q, k, v, True, far))


def test_s51_shaped_attention() -> None:
    q, k, v = _qkv(1, 2, 9, 8)
    alpha, beta, gamma = 0.9, 0.5, 0.4
    for causal in (False, True):
        mask = np.tri(9, dtype=bool) if causal else np.ones((9, 9), bool)
        share = mask / mask.sum(1, keepdims=True)
        logits = np.where(mask, q @ k.swapaxes(2, 3) / 8**0.5, -np.inf)
        shaped = alpha * np.eye(9) + beta * softmax(logits) - gamma * share
        mean = swath.attention(q, k, v, scale=0.0, causal=causal)
        found = alpha * v + beta * swath.attention(q, k, v, causal=causal) - gamma * mean
        close(found, shaped @ v)
    q0 = swath.attention(0 * q, k, v) - swath.attention(q, k, v, scale=0.0) + v
    close(q0, v)


def test_s54_s100_what_a_band_leaves_out() -> None:
    n, w = 40, 3
    q, k, v = _qkv(1, 2, n, 8)
    full, full_lse = swath.attention(q, k, v, return_lse=True)
    band = patterns.Window1D(w, w)
    part, part_lse = swath.attention(q, k, v, pattern=band, return_lse=True)
    rho = np.exp(part_lse - full_lse)[..., None]
    i = np.arange(n)
    inside = np.abs(i[:, None] - i) <= w
    truncated = np.where(inside, softmax(q @ k.swapaxes(2, 3) / 8**0.5), 0)
    close(rho * part, truncated @ v)
    close(part + (full - part), full)
    for limits in ((None, None), (n, n)):
        close(swath.attention(q, k, v, pattern=patterns.Window1D(*limits)), full)
    with pytest.raises(swath.ParamError):
        patterns.Window1D(-1, 2)


def test_s59_attention_over_a_data_set() -> None:
    x, data, s = normal(1, 1, 3, 12), normal(1, 1, 50, 12, seed=1), 0.7
    key_bias = -(data[0, 0] ** 2).sum(-1)[None] / (2 * s)
    found = swath.attention(x, data, data, scale=1 / s, key_bias=key_bias)
    distance = ((x[0, 0][:, None] - data[0, 0]) ** 2).sum(-1)
    close(found[0, 0], softmax(-distance / (2 * s)) @ data[0, 0])
    sharp = swath.attention(x, data, data, scale=1e6, key_bias=key_bias * s * 1e6)
    close(sharp[0, 0], data[0, 0, distance.argmin(1)])


def test_s63_cached_conditions() -> None:
    """text and noise see all, a condition sees itself: one masked call, or a cached step."""
    lengths = [3, 8, 4, 5]
    visible = np.eye(4, dtype=bool)
    visible[:2] = True
    q, k, v = _qkv(1, 2, 20, 8)
    segment = np.repeat(np.arange(4), lengths)
    mask = visible[segment[:, None], segment]
    pattern = patterns.Segments(lengths, visible)
    whole = swath.attention(q, k, v, pattern=pattern)
    close(whole, dense_attention(q, k, v, mask))
    fresh, cached = slice(0, 11), slice(11, 20)
    extra = [(k[:, :, cached], v[:, :, cached], 0.0, "all")]
    step = swath.attention(q[:, :, fresh], k[:, :, fresh], v[:, :, fresh], extra_kv=extra)
    close(step, whole[:, :, fresh])
    k[:, :, fresh] += 1
    assert (swath.attention(q, k, v, pattern=pattern)[:, :, cached] == whole[:, :, cached]).all()


def test_s65_keys_of_the_other_sample() -> None:
    q, k, v = _qkv(4, 2, 9, 8)
    found = swath.attention(q, k[::-1], v[::-1])
    assert (found == swath.attention(q, k[::-1].copy(), v[::-1].copy())).all()


def test_s68_groups_that_slide_over_hilbert_order() -> None:
    h, shared, groups = 8, 6, 4
    order = swath.order.hilbert((h, h))
    y, x = np.divmod(order, h)
    assert (np.abs(np.diff(y)) + np.abs(np.diff(x)) == 1).all()
    n = h * h
    q, k, v = _qkv(1, 2, shared + n, 8)
    for offset in (0, n // groups // 2, n - 3):
        mask = np.ones((shared + n,) * 2, bool)
        run = (np.arange(n) // (n // groups) * (n // groups))[:, None] + offset
        key = np.arange(n)
        mask[shared:, shared:] = (key - run) % n < n // groups
        pattern = patterns.Grouped(shared, groups, offset)
        close(swath.attention(q, k, v, pattern=pattern), dense_attention(q, k, v, mask))


def test_s73_removed_keys_are_not_zero_keys() -> None:
    q, k, v = _qkv(1, 2, 9, 8)
    keep = np.array([0, 2, 3, 7])
    mask = np.isin(np.arange(9), keep)
    removed = swath.attention(q, *(swath.take_tokens(a, keep) for a in (k, v)))
    close(removed, swath.attention(q, k, v, key_mask=mask[None]))
    zeros = swath.attention(q, k * mask[:, None], v * mask[:, None])
    assert not np.allclose(zeros, removed)


def test_s75_halos() -> None:
    n, block, halo = 14, 7, 3
    q, k, v = (a.reshape(1, 2, n, n, 8) for a in _qkv(1, 2, n * n, 8))
    i = np.arange(n)
    begin = i // block * block
    near = (i >= begin[:, None] - halo) & (i < begin[:, None] + block + halo)
    mask = (near[:, None, :, None] & near[None, :, None]).reshape(n * n, n * n)
    flat = [a.reshape(1, 2, n * n, 8) for a in (q, k, v)]
    found = swath.attention(q, k, v, pattern=patterns.Halo(block, halo))
    close(found, dense_attention(*flat, mask).reshape(q.shape))
    close(swath.attention(q, k, v, pattern=patterns.Halo(block, 0)),
          swath.attention(q, k, v, pattern=patterns.Window((block, block))))  # fmt: skip


def test_s84_gated_positional_attention() -> None:
    """The positional branch of a head is a product of two small matrices."""
    h, w, heads = 5, 6, 3
    q, k, v = _qkv(1, heads, h * w, 8)
    weight, gate = normal(heads, 3), 1 / (1 + np.exp(-normal(heads)))[:, None, None]
    dy, dx = _grid_distance(h, w)
    score = np.einsum("hc,cij->hij", weight, np.stack([dx, dy, dx**2 + dy**2]))
    expected = (1 - gate) * dense_attention(q, k, v) + gate * (softmax(score)[None] @ v)
    position = swath.attention(q, k, v, scale=0.0, bias=score[None])
    close((1 - gate) * swath.attention(q, k, v) + gate * position, expected)
    rows = lambda a, n: softmax(  # noqa: E731
        weight[:, a, None, None] * (np.arange(n) - np.arange(n)[:, None])
        + weight[:, 2, None, None] * (np.arange(n) - np.arange(n)[:, None]) ** 2
    )
    grid = v.reshape(1, heads, h, w, 8)
    fast = np.einsum("hyi,hxj,bhijd->bhyxd", rows(1, h), rows(0, w), grid)
    close(position, fast.reshape(v.shape))


def test_s86_gates_of_keys() -> None:
    q, k, v = _qkv(2, 2, 9, 8)
    gate = np.random.default_rng(0).random((2, 9))
    gate[:, 4] = 0
    gate[:, 5] = 1
    with np.errstate(divide="ignore"):
        log_gate = np.log(gate)
    found = swath.attention(q, k, v, key_bias=log_gate, causal=True)
    p = (
        np.where(np.tri(9, dtype=bool), np.exp(q @ k.swapaxes(2, 3) / 8**0.5), 0)
        * gate[:, None, None]
    )
    close(found, p / p.sum(-1, keepdims=True) @ v)
    alone = gate > 0
    close(found, swath.attention(q, k, v, key_bias=np.where(alone, log_gate, 0), key_mask=alone,
                                 causal=True))  # fmt: skip


def test_s105_one_query_for_each_window() -> None:
    t, h, w, d = 4, 6, 6, 8
    k, v, guide = normal(1, 1, t * h * w, d), normal(1, 1, t * h * w, d, seed=1), normal(d)
    order = swath.order.window((t, h, w), (4, 3, 3))
    windows = 4
    cu = np.arange(windows + 1)
    q = np.broadcast_to(guide, (1, 1, windows, d))
    keys, values = (swath.take_tokens(a, order) for a in (k, v))
    pattern = patterns.VarLen(cu, cu * 36)
    found = swath.attention(q, keys, values, pattern=pattern)
    boxes = [a.reshape(t, 2, 3, 2, 3, d).transpose(1, 3, 0, 2, 4, 5).reshape(4, 36, d)
             for a in (k, v)]  # fmt: skip
    p = softmax(boxes[0] @ guide / d**0.5)
    close(found[0, 0], np.einsum("wn,wnd->wd", p, boxes[1]))
    mean = swath.attention(0 * q, keys, values, pattern=pattern)
    close(mean, swath.pool_tokens(v, (t, h, w), (4, 3, 3)))
