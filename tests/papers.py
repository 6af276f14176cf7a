"""What the checks of published methods share: float64 data and plain formulas."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def close(found: Array, expected: Array, atol: float = 1e-11) -> None:
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=atol)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def unfold(x: Array, k: int, pad: int) -> Array:
    """(N, C, H, W) to (N, C, k*k, H', W'), taps in row-major order, zeros outside."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    h, w = (n - k + 1 for n in x.shape[2:])
    return np.stack([x[:, :, i : i + h, j : j + w] for i in range(k) for j in range(k)], 2)


def dense_attention(
    q: Array, k: Array, v: Array, mask: Array = True, bias: Array = 0.0, scale: float | None = None
) -> Array:
    """softmax(scale q k^T + bias) v over the keys that mask allows; every row has one."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    z = scale * q @ np.swapaxes(k, -1, -2) + bias
    return softmax(np.where(mask, z, -np.inf)) @ v
