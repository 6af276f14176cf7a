"""Exact deformable convolution and its gradients, mixtures of kernels: sums, magnitudes, terms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracle import Result

Array = NDArray[Any]


def _corners(
    x: Array, offset: Array, geometry: dict[str, Any]
) -> list[tuple[Array, Array, Array, Array, Array]]:
    """For each corner: values (N, C, K, P), weights, their slopes, pixel indices (-1: none)."""
    n, c, height, width = x.shape
    kh, kw = geometry["kernel"]
    (sh, sw), (ph, pw), (dh, dw) = geometry["stride"], geometry["padding"], geometry["dilation"]
    groups, (ho, wo) = geometry["deform_groups"], offset.shape[2:]
    taps = np.arange(kh * kw)[:, None]
    p = np.arange(ho * wo)
    grid = np.stack(
        [p // wo * sh - ph + taps // kw * dh, p % wo * sw - pw + taps % kw * dw]
    )  # (2, K, P)
    moved = offset.reshape(n, groups, kh * kw, 2, ho * wo)
    at = grid[:, None, None] + moved.transpose(3, 0, 1, 2, 4)  # (2, N, G, K, P)
    is_nan = np.isnan(at).any(0)
    with np.errstate(invalid="ignore"):
        counts = (at[0] > -1) & (at[0] < height) & (at[1] > -1) & (at[1] < width)
    safe = np.where(counts, at, -2)
    low = np.floor(safe).astype(np.int64)
    beyond = np.where(is_nan, np.nan, safe - low)
    images = x.reshape(n, groups, c // groups, height * width)
    corners = []
    for i in (0, 1):
        for j in (0, 1):
            row, col = low[0] + i, low[1] + j
            inside = (row >= 0) & (row < height) & (col >= 0) & (col < width) & counts
            pixel = np.where(inside, row * width + col, -1)  # (N, G, K, P)
            value = np.where(
                inside[:, :, None],
                np.take_along_axis(
                    images[:, :, :, None], np.maximum(pixel, 0)[:, :, None], axis=-1
                ),
                0,
            )
            a = beyond[0] if i else 1 - beyond[0]
            b = beyond[1] if j else 1 - beyond[1]
            by_row = np.where(counts, (1 if i else -1) * b, 0)
            by_col = np.where(counts, (1 if j else -1) * a, 0)
            nan = np.where(is_nan, np.nan, 0)
            corners.append((value, a * b, by_row + nan, by_col + nan, pixel))
    return corners


def _columns(corners: list[Any], mask: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Samples (N, C, K, P) and the sums of their magnitudes."""
    with np.errstate(invalid="ignore"):
        samples = sum(np.where(w[:, :, None] == 0, 0, v * w[:, :, None]) for v, w, *_ in corners)
        sizes = sum(np.abs(v * w[:, :, None]) for v, w, *_ in corners)
    return (samples * mask[:, :, None]).reshape(shape), (sizes * np.abs(mask[:, :, None])).reshape(
        shape
    )


def _setup(x: Array, weight: Array, offset: Array, mask: Array | None, options: dict[str, Any]):
    def pair(name: str, default: int) -> tuple[int, int]:
        value = options.get(name, default)
        return (value, value) if isinstance(value, int) else tuple(value)

    geometry = {
        "kernel": weight.shape[2:],
        "stride": pair("stride", 1),
        "padding": pair("padding", 0),
        "dilation": pair("dilation", 1),
        "deform_groups": options.get("deform_groups", 1),
    }
    n, c = x.shape[:2]
    taps = weight.shape[2] * weight.shape[3]
    positions = offset.shape[2] * offset.shape[3]
    groups = geometry["deform_groups"]
    m = np.ones(()) if mask is None else mask
    m = np.broadcast_to(
        m.reshape(n, groups, taps, positions) if mask is not None else m,
        (n, groups, taps, positions),
    )
    corners = _corners(x, offset, geometry)
    samples, sizes = _columns(corners, m, (n, c, taps, positions))
    return corners, m, samples, sizes, (n, c, taps, positions)


def deform(
    x: Array,
    weight: Array,
    offset: Array,
    mask: Array | None = None,
    bias: Array | None = None,
    **options: Any,
) -> Result:
    _, _, samples, sizes, (n, _, taps, positions) = _setup(x, weight, offset, mask, options)
    groups = options.get("groups", 1)
    o, per = weight.shape[:2]
    w = weight.reshape(groups, o // groups, per, taps)
    y = np.einsum("gock,ngckp->ngop", w, samples.reshape(n, groups, per, taps, positions))
    size = np.einsum(
        "gock,ngckp->ngop", np.abs(w), np.abs(sizes).reshape(n, groups, per, taps, positions)
    )
    y, size = (v.reshape(n, o, *offset.shape[2:]) for v in (y, size))
    if bias is not None:
        y, size = y + bias[:, None, None], size + np.abs(bias)[:, None, None]
    return Result(y, size, 4 * per * taps + 1)


def deform_grads(
    dy: Array,
    x: Array,
    weight: Array,
    offset: Array,
    mask: Array | None = None,
    bias: Array | None = None,
    **options: Any,
) -> dict[str, Result]:
    del bias
    corners, m, samples, sizes, (n, c, taps, positions) = _setup(x, weight, offset, mask, options)
    groups, deform_groups = options.get("groups", 1), options.get("deform_groups", 1)
    o, per = weight.shape[:2]
    g = dy.reshape(n, groups, o // groups, positions)
    w = weight.reshape(groups, o // groups, per, taps)
    flat = (n, deform_groups, c // deform_groups, taps, positions)
    columns = np.einsum("gock,ngop->ngckp", w, g).reshape(flat)
    column_sizes = np.einsum("gock,ngop->ngckp", np.abs(w), np.abs(g)).reshape(flat)
    split = (n, groups, per, taps, positions)
    dweight = np.einsum("ngop,ngckp->gock", g, samples.reshape(split)).reshape(weight.shape)
    weight_size = np.einsum("ngop,ngckp->gock", np.abs(g), np.abs(sizes).reshape(split))
    found = {
        "dweight": Result(dweight, weight_size.reshape(weight.shape), 4 * n * positions),
        "dbias": Result(dy.sum((0, 2, 3)), np.abs(dy).sum((0, 2, 3)), n * positions),
    }
    shape = x.shape
    dx = np.zeros((n, deform_groups, c // deform_groups, shape[2] * shape[3] + 1), x.dtype)
    dx_size = np.zeros_like(dx)
    at = np.indices(flat)
    slopes = []
    for value, weights, by_row, by_col, pixel in corners:
        where = (at[0], at[1], at[2], np.broadcast_to(pixel[:, :, None], flat))
        share = np.where(pixel < 0, 0, weights * m)[:, :, None]
        np.add.at(dx, where, columns * share)
        np.add.at(dx_size, where, column_sizes * np.abs(share))
        slopes.append((value, weights, by_row, by_col))

    def dots(pick: Any) -> tuple[Array, Array]:
        total = sum((columns * v * pick(s)[:, :, None]).sum(2) for v, *s in slopes)
        size = sum((column_sizes * np.abs(v * pick(s)[:, :, None])).sum(2) for v, *s in slopes)
        return np.asarray(total), np.asarray(size)

    rows, cols = dots(lambda s: s[1] * m), dots(lambda s: s[2] * m)
    moved = [np.stack([r, q], 3).reshape(offset.shape) for r, q in zip(rows, cols, strict=True)]
    terms = 8 * c // deform_groups * (o // groups)
    found["dx"] = Result(
        dx[..., :-1].reshape(shape), dx_size[..., :-1].reshape(shape), 8 * o // groups * taps
    )
    found["doffset"] = Result(moved[0], moved[1], terms)
    if mask is not None:
        total, size = dots(lambda s: s[0])
        found["dmask"] = Result(total.reshape(mask.shape), size.reshape(mask.shape), terms)
    return found


def mix(coeff: Array, experts: Array) -> Result:
    value = np.tensordot(coeff, experts, 1)
    return Result(value, np.tensordot(np.abs(coeff), np.abs(experts), 1), coeff.shape[-1])


def mix_grads(dw: Array, coeff: Array, experts: Array) -> dict[str, Result]:
    flat, rows = experts.reshape(len(experts), -1), dw.reshape(*coeff.shape[:-1], -1)
    a = coeff.reshape(-1, len(experts))
    r = rows.reshape(len(a), -1)
    return {
        "dcoeff": Result(
            (r @ flat.T).reshape(coeff.shape),
            (np.abs(r) @ np.abs(flat).T).reshape(coeff.shape),
            flat.shape[1],
        ),
        "dexperts": Result(
            (a.T @ r).reshape(experts.shape),
            (np.abs(a).T @ np.abs(r)).reshape(experts.shape),
            len(a),
        ),
    }
