"""Checks that published convolutions name for themselves; the numbers are those of their list."""

from __future__ import annotations

import numpy as np
import pytest

import swath
from papers import close, normal, sigmoid, softmax, unfold


def _pconv(x, weight):  # type: ignore[no-untyped-def]
    return swath.conv2d(x, weight, padding=1, channels=(0, len(weight)))


def test_s1_pat_channel() -> None:
    """Attention on the channels that the partial convolution leaves alone; two pixels see N - 1."""
    x, w3, wfc = normal(2, 8, 2, 1), normal(2, 2, 3, 3), normal(6, 6, 2)
    scale, shift = normal(6), normal(6, seed=1)
    rest = x[:, 2:]
    stats = np.stack([rest.mean((2, 3)), rest.std((2, 3), ddof=1)], -1)
    z = np.einsum("ocj,ncj->no", wfc, stats) * scale + shift
    expected = rest * (np.clip(z + 3, 0, 6) / 6)[:, :, None, None]
    found = swath.channel_gate(rest, kind="mean_std", weights=(wfc, scale, shift))
    close(found, expected)
    # A gate of 1 leaves S6's convolution.
    ones = swath.channel_gate(rest, kind="mean_std", weights=(wfc, 0 * scale, 0 * shift + 9))
    both = np.concatenate([swath.conv2d(x[:, :2], w3, padding=1), ones], 1)
    close(both, _pconv(x, w3))


@pytest.mark.parametrize("size", [(7, 9), (8, 8), (5, 6)])
def test_s2_gated_convolution(size: tuple[int, int]) -> None:
    """TensorFlow's SAME at stride 2 puts the odd element after; infinite gates open and close."""
    x, w, b = normal(2, 3, *size), normal(8, 3, 5, 5), normal(8)
    out = [-(-n // 2) for n in size]
    total = [max((o - 1) * 2 + 5 - n, 0) for o, n in zip(out, size, strict=True)]
    padded = np.pad(x, ((0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)))
    z = np.einsum("octl,nctlpq->nopq", w, np.lib.stride_tricks.as_strided(
        padded, (2, 3, 5, 5, *out),
        (*padded.strides, padded.strides[2] * 2, padded.strides[3] * 2)))  # fmt: skip
    z += b[:, None, None]
    a, g = z[:, :4], z[:, 4:]
    elu = np.where(a > 0, a, np.expm1(np.minimum(a, 0)))
    close(swath.gated_conv2d(x, w, b, stride=2, padding="same_tf"), elu * sigmoid(g))
    for value, gate in ((np.inf, 1.0), (-np.inf, 0.0)):
        b[4:] = value
        close(swath.gated_conv2d(x, w, b, stride=2, padding="same_tf"), elu * gate)


def test_s3_holes_shrink_by_the_window() -> None:
    mask = np.zeros((1, 1, 15, 15), bool)
    mask[..., 7, 7] = True
    x, w = np.where(mask, normal(1, 2, 15, 15), np.nan), normal(2, 2, 3, 3)
    for layer in range(1, 8):
        x, mask = swath.partial_conv2d(x, w, mask=mask, padding=1)
        assert mask.sum() == (2 * layer + 1) ** 2
        assert np.isfinite(x).all()
    y, none = swath.partial_conv2d(x, w, normal(2), np.zeros_like(mask))
    assert not y.any()
    assert not none.any()


def test_s3_constant_images_stay_constant() -> None:
    """The renormalised mean of the valid samples, however few."""
    mask = np.random.default_rng(0).random((1, 1, 12, 12)) < 0.3
    x, box = np.where(mask, 2.5, np.nan), np.full((1, 1, 5, 5), 1 / 25)
    y, valid = swath.partial_conv2d(x, box, mask=mask, padding=2)
    close(y, 2.5 * valid)


def test_s4_padding_by_partial_convolution() -> None:
    x, w, b = normal(2, 3, 6, 7), normal(4, 3, 3, 3), normal(4)
    y = swath.conv2d(x, w, b, padding=1, padding_mode="partial")
    masked, _ = swath.partial_conv2d(x, w, b, np.ones((1, 1, 6, 7)), padding=1)
    close(y, masked)
    ratio = swath.conv2d(np.ones((1, 1, 6, 7)), w[:1, :1] * 0 + 1, padding=1)
    plain = swath.conv2d(x, w, padding=1)
    close(y, plain * 9 / ratio + b[:, None, None])
    assert (ratio[0, 0, 0, 0], ratio[0, 0, 0, 1], ratio[0, 0, 1, 1]) == (4, 6, 9)
    box = np.full((1, 1, 3, 3), 1 / 9)
    close(swath.conv2d(0 * x[:, :1] + 3, box, padding=1, padding_mode="partial"), 0 * x[:, :1] + 3)


def test_s6_partial_channels_are_identity_taps() -> None:
    x, w = normal(2, 8, 6, 7), normal(2, 2, 3, 3)
    dense = np.zeros((8, 8, 3, 3))
    dense[:2, :2] = w
    dense[np.arange(2, 8), np.arange(2, 8), 1, 1] = 1
    y = _pconv(x, w)
    close(y, swath.conv2d(x, dense, padding=1))
    assert (y[:, 2:] == x[:, 2:]).all()
    # Fused with the following 1x1, y never exists.
    w1 = normal(5, 8, 1, 1)
    head = swath.conv2d(x, w[:], padding=1, channels=(0, 2), passthrough="none")
    split = swath.conv2d(head, w1[:, :2]) + swath.conv2d(x[:, 2:], w1[:, 2:])
    close(split, swath.conv2d(y, w1))


def test_s10_s36_each_sample_its_own_layer() -> None:
    x, experts = normal(5, 3, 6, 6), normal(4, 2, 3, 3, 3)
    route = np.array([2, 0, 0, 3, 2])
    y = swath.sample_conv2d(x, swath.mix_kernels(np.eye(4)[route], experts), padding=1)
    for n, r in enumerate(route):
        close(y[n], swath.conv2d(x[n], experts[r], padding=1))
    f, p = normal(6, 49, 8), normal(6, 8, 4)  # proposals: a matrix each
    found = swath.sample_conv1d(f.transpose(0, 2, 1), p.transpose(0, 2, 1)[..., None])
    close(found.transpose(0, 2, 1), f @ p)


def test_s24_s44_channel_slices_are_views() -> None:
    x, parent = normal(2, 6, 7, 7), normal(16, 12, 7, 7)
    buffer = np.full((2, 10, 7, 7), 5.0)
    view = parent[:4, :6, 2:5, 2:5]
    assert swath.conv2d(x, view, padding=1, out=buffer[:, 3:7]) is not None
    assert (buffer[:, 3:7] == swath.conv2d(x, view.copy(), padding=1)).all()
    assert (buffer[:, :3] == 5).all()
    assert (buffer[:, 7:] == 5).all()


def test_s32_redilated_convolution() -> None:
    x, w = normal(1, 2, 17, 17), normal(3, 2, 3, 3)
    for d in (2, 3):
        spread = swath.kernels.dilate(w, d)
        close(swath.conv2d(x, spread, padding="same"), swath.conv2d(x, w, padding=d, dilation=d))


def test_s39_differs_from_s3_by_the_share_of_the_window() -> None:
    mask = (np.random.default_rng(1).random((1, 1, 9, 9)) < 0.5).astype(float)
    x, w = normal(2, 3, 9, 9), normal(4, 3, 3, 3)
    share = swath.conv2d(mask, np.ones((1, 1, 3, 3)), padding=1) / 9
    sparse, kept = swath.partial_conv2d(
        x, w, mask=mask, padding=1, renormalize=False, mask_update="same"
    )
    renormalised, _ = swath.partial_conv2d(x, w, mask=mask, padding=1)
    assert (kept == mask).all()
    close(sparse, renormalised * share * mask)


def test_s40_s46_s70_mixed_kernels_are_mixed_outputs() -> None:
    x, experts, coeff = normal(3, 4, 6, 7), normal(2, 6, 2, 3, 3), normal(3, 2)
    y = swath.sample_conv2d(x, swath.mix_kernels(coeff, experts), padding=1, groups=2)
    parts = [swath.conv2d(x, w, padding=1, groups=2) for w in experts]
    close(y, np.einsum("ne,enohw->nohw", coeff, np.stack(parts)))
    one = swath.mix_kernels(np.ones((3, 1)), experts[:1])
    close(swath.sample_conv2d(x, one, padding=1, groups=2), parts[0])


def test_s60_tokens_as_kernels() -> None:
    keys, tokens, beta = normal(2, 5, 6, 7), normal(2, 9, 5), 0.3
    found = swath.sample_conv2d(keys, tokens[..., None, None], np.full(9, beta))
    close(found, np.einsum("bmc,bchw->bmhw", tokens, keys) + beta)


def test_s64_bias_of_each_sample_and_tiles_with_halo() -> None:
    x, w, e = normal(2, 4, 20, 9), normal(4, 1, 5, 5), normal(2, 4)
    whole = swath.sample_conv2d(x, np.stack([w, w]), e, padding=2, groups=4)
    close(whole, swath.conv2d(x, w, padding=2, groups=4) + e[:, :, None, None])
    tiles = [(slice(0, 12), slice(0, 10)), (slice(8, 20), slice(2, 12))]
    parts = [
        swath.sample_conv2d(x[:, :, halo], np.stack([w, w]), e, padding=2, groups=4)[:, :, own]
        for halo, own in tiles
    ]
    close(np.concatenate(parts, 2), whole)


def test_s71_left_padding_sees_no_future() -> None:
    x, w = normal(1, 3, 40), normal(3, 1, 15)
    y = swath.conv1d(x, w, groups=3, dilation=4, padding="causal")
    late = x.copy()
    late[..., 25:] = np.nan
    assert (swath.conv1d(late, w, groups=3, dilation=4, padding="causal")[..., :25]
            == y[..., :25]).all()  # fmt: skip


def test_s76_oversized_kernels_are_toeplitz_products() -> None:
    h, w = 6, 5
    x, kh, kw = normal(2, 3, h, w), normal(3, 1, 2 * h - 1, 1), normal(3, 1, 1, 2 * w - 1)
    y = swath.conv2d(x, kh, padding=(h - 1, 0), groups=3)
    y = swath.conv2d(y, kw, padding=(0, w - 1), groups=3)
    at = lambda n: np.arange(n)[None] - np.arange(n)[:, None] + n - 1  # noqa: E731
    close(y, np.einsum("chi,ncij,cwj->nchw", kh[:, 0, :, 0][:, at(h)], x, kw[:, 0, 0][:, at(w)]))
    # Version 1 wraps around: the same matrix folded.
    full = swath.conv2d(x, kh[:, :, :h], padding=((0, h - 1), (0, 0)), groups=3,
                        padding_mode="circular")  # fmt: skip
    rows = (np.arange(h)[:, None] + np.arange(h)) % h
    close(full, np.einsum("ck,nchkw->nchw", kh[:, 0, :h, 0], x[:, :, rows]))


def test_s79_condconv_strided_like_tensorflow() -> None:
    x, experts, r = normal(2, 6, 8, 8), normal(4, 6, 1, 3, 3), sigmoid(normal(2, 4))
    y = swath.sample_conv2d(x, swath.mix_kernels(r, experts), stride=2, groups=6, padding="same_tf")
    parts = [
        swath.conv2d(x, w, stride=2, groups=6, padding=((0, 1), (0, 1))) for w in experts
    ]  # fmt: skip
    close(y, np.einsum("ne,enohw->nohw", r, np.stack(parts)))


def test_s81_space_to_depth_is_a_strided_convolution() -> None:
    x, w = normal(2, 2, 6, 8), normal(5, 8, 1, 1)
    y = swath.space_to_depth(x, 2, order="spd")
    slices = [x[:, :, dy::2, dx::2] for dx in (0, 1) for dy in (0, 1)]
    assert (y == np.concatenate(slices, 1)).all()
    assert (swath.space_to_depth(x, 2)[:, [0, 4, 2, 6, 1, 5, 3, 7]] == y).all()
    assert (swath.depth_to_space(y, 2, order="spd") == x).all()
    regrouped = w.reshape(5, 2, 2, 2).transpose(0, 3, 2, 1)  # (dx, dy, c) to (c, dy, dx)
    close(swath.conv2d(y, w), swath.conv2d(x, regrouped, stride=2))
    with pytest.raises(swath.ShapeError):
        swath.space_to_depth(x[:, :, :5], 2)


def test_s82_every_channel_its_own_dilation() -> None:
    x, w = normal(2, 3, 13, 13), normal(7, 3, 3, 3)
    pattern = [((1, 1), 2), ((2, 3), 1), ((4, 1), 4)]
    rows = np.concatenate([[d] * n for d, n in pattern])
    for stride in (1, 2):
        found = swath.conv2d(x, w, stride=stride, padding="same", dilation=rows)
        ends = np.cumsum([n for _, n in pattern])
        parts = [
            swath.conv2d(x, w[e - n : e], stride=stride, padding=d, dilation=d)
            for (d, n), e in zip(pattern, ends, strict=True)
        ]
        close(found, np.concatenate(parts, 1))
    with pytest.raises(swath.Error):
        swath.conv2d(x, w, padding="same", dilation=rows[:-1])


def test_s83_patches_with_fresh_halos_are_the_image() -> None:
    x, w = normal(1, 3, 12, 7), normal(4, 3, 5, 5)
    top = swath.conv2d(x[:, :, :8], w, padding=((2, 0), (2, 2)))
    bottom = swath.conv2d(x[:, :, 4:], w, padding=((0, 2), (2, 2)))
    close(np.concatenate([top, bottom], 2), swath.conv2d(x, w, padding=2))


def test_s88_block_cosine_transform() -> None:
    n = np.arange(8)
    basis = (
        np.cos(np.pi * (2 * n + 1) * n[:, None] / 16)
        * np.where(n[:, None] == 0, 0.125, 0.25) ** 0.5
    )
    filters = np.einsum("ui,vj->uvij", basis, basis).reshape(64, 1, 8, 8)
    x = normal(2, 3, 16, 24)
    y = swath.conv2d(x, np.tile(filters, (3, 1, 1, 1)), stride=8, groups=3)
    blocks = x.reshape(2, 3, 2, 8, 3, 8)
    close(y.reshape(2, 3, 8, 8, 2, 3), np.einsum("ui,vj,ncaibj->ncuvab", basis, basis, blocks))
    close((y**2).sum(), (x**2).sum(), 1e-9)
    back = swath.conv_transpose2d(y, np.tile(filters, (3, 1, 1, 1)), stride=8, groups=3)
    close(back, x)


def test_s93_max_plus_without_weights_is_max_pooling() -> None:
    x = normal(2, 3, 9, 9)
    rows = swath.sliding_reduce(x, 3, axis=2, op="max", padding=1)
    close(swath.sliding_reduce(rows, 3, op="max", padding=1),
          swath.max_pool2d(x, 3, stride=1, padding=1))  # fmt: skip


def test_s101_orthogonal_kernels_are_isometries() -> None:
    q, _ = np.linalg.qr(normal(4, 4))
    delta = np.zeros((4, 4, 3, 3))
    delta[:, :, 1, 1] = q
    x = normal(2, 4, 7, 8)
    y = swath.conv2d(x, delta, padding=1, padding_mode="circular")
    close((y**2).sum(), (x**2).sum(), 1e-9)
    gram = swath.conv2d(delta, delta, padding=2)
    gram[np.arange(4), np.arange(4), 2, 2] -= 1
    close(gram, 0 * gram)
    # The singular values of the unrolled operator are those of its frequencies.
    w, n = normal(3, 2, 3), 7
    matrix = swath.conv1d(np.eye(2 * n).reshape(2 * n, 2, n), w, padding=1, padding_mode="circular")
    spectrum = np.fft.fft(w, n).transpose(2, 0, 1)
    values = np.linalg.svd(spectrum, compute_uv=False).ravel()
    close(np.sort(np.linalg.svd(matrix.reshape(2 * n, -1), compute_uv=False)), np.sort(values))


def test_s102_hollow_convolution() -> None:
    """A^T A without the part of a group on itself."""
    w, z = normal(5, 3, 3, 3), np.zeros((1, 3, 7, 7))
    z[0, 1, 3, 3] = 1
    full = swath.conv_transpose2d(swath.conv2d(z, w, padding=1), w, padding=1)
    own = np.einsum("octl,odtl->cd", w, w)
    close(full[0, :, 3, 3] - own[:, 1], np.zeros(3))


def test_s111_stride_is_subsampling() -> None:
    x, w = normal(2, 3, 9, 11), normal(4, 3, 3, 3)
    dense = swath.conv2d(x, w, padding=1)
    assert np.allclose(swath.conv2d(x, w, padding=1, stride=2), dense[:, :, ::2, ::2], 1e-12, 1e-12)


@pytest.mark.parametrize("padding", ["same", "valid", "causal", ((1, 2), (0, 3))])
def test_s115_exact_adjoints(padding: object) -> None:
    x, w = normal(2, 4, 8, 9), normal(6, 2, 3, 4)
    arguments = {"dilation": (2, 1), "groups": 2, "padding": padding}
    y = swath.conv2d(x, w, **arguments)
    g = normal(*y.shape)
    close((y * g).sum(), (x * swath.conv_transpose2d(g, w, **arguments)).sum(), 1e-9)


def test_s17_softmax_over_pixels() -> None:
    x, logits = normal(2, 6, 5, 7), normal(2, 3, 5, 7) * 100
    a = softmax(logits.reshape(2, 3, -1)).reshape(logits.shape)
    expected = x * (1 + np.repeat(a, 2, 1))
    close(swath.spatial_softmax_gate(x, logits), expected)
    close(swath.spatial_softmax_gate(x, 0 * logits + 1e4), x * (1 + 1 / 35))
    only = swath.spatial_softmax_gate(x, logits, residual=False)
    close(only, expected - x)


def test_s11_s87_kernels_of_each_pixel() -> None:
    x, w = normal(2, 6, 7, 8), normal(2, 3, 9, 7, 8)
    taps = unfold(x, 3, 1)
    for name, groups in (("involution2d", np.arange(6) // 2), ("small_kernel_aggregation2d",
                                                               np.arange(6) % 3)):  # fmt: skip
        found = getattr(swath, name)(x, w, kernel=3)
        close(found, np.einsum("nctpq,nctpq->ncpq", w[:, groups], taps))
        still = np.broadcast_to(w[:1, :, :, :1, :1], w.shape)
        depthwise = w[0, groups, :, 0, 0].reshape(6, 1, 3, 3)
        close(getattr(swath, name)(x, still, kernel=3),
              swath.conv2d(x, depthwise, padding=1, groups=6))  # fmt: skip


def test_s67_s80_deformable_convolution() -> None:
    x, w = normal(2, 4, 7, 8), normal(4, 2, 3, 3)
    mask, offset = np.ones((2, 18, 7, 8)), np.zeros((2, 36, 7, 8))
    options = {"padding": 1, "groups": 2, "deform_groups": 2}
    close(swath.deform_conv2d(x, w, offset, mask, **options),
          swath.conv2d(x, w, padding=1, groups=2))  # fmt: skip
    close(swath.deform_conv2d(x, w, offset, mask / 2, **options),
          swath.conv2d(x, w, padding=1, groups=2) / 2)  # fmt: skip
    offset[:, ::2], offset[:, 1::2] = 1, -2
    moved = np.zeros_like(x)
    moved[:, :, :-1, 2:] = x[:, :, 1:, :-2]
    inner = swath.conv2d(moved, w, padding=1, groups=2)[:, :, 1:-2, 3:-1]
    close(swath.deform_conv2d(x, w, offset, mask, **options)[:, :, 1:-2, 3:-1], inner)
