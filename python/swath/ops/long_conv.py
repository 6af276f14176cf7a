"""Convolution with taps as long as the sequence."""

from __future__ import annotations

from typing import Any

from swath import _core
from swath._types import Array, HeadMap, Layout, LongMethod, LongMode
from swath.ops import freq_mask as masks


def long_conv(
    u: Array,
    k: Array,
    *,
    mode: LongMode = "causal",
    offset: int | None = None,
    skip: Array | None = None,
    bias: Array | None = None,
    pre_gate: Array | None = None,
    post_gate: Array | None = None,
    freq_mask: Any = None,
    n_fft: int | None = None,
    correlate: bool = False,
    head_map: HeadMap = "blocked",
    method: LongMethod = "auto",
    layout: Layout = "channels_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve each channel with its own taps, of any number (true convolution).

    ::

        v = u * pre_gate
        c[b, d, t] = sum over j of k[h(d), j] * v[b, d, t - j + offset]
        y = post_gate * (c + skip[d] * v + bias[d])

    Positions outside v count as zero, or wrap around in mode "circular".

    Parameters
    ----------
    u : array, shape (B, D, L) or (D, L), float32 | float64 | float16 | bfloat16
        (B, L, D) or (L, D) with ``layout="channels_last"``. Any L, also 0.
    k : array, shape (H, K), dtype of u
        H divides D; k[h, 0] meets the current sample. Any K of at least 1, also K > L.
    mode : str
        "causal": offset 0, length L. "full": length L + K - 1. "valid": the L - K + 1 outputs
        whose taps all lie inside v, none if K > L. "two_sided": length L and the given `offset`.
        "same": two_sided with offset (K - 1) // 2. "circular": length L, positions modulo L; K is
        at most L.
    offset : int, optional
        Of mode "two_sided", (K - 1) // 2 if not given; any integer.
    skip, bias : array, shape (D,), dtype of u, optional
        skip needs a result of length L.
    pre_gate : array, shape and dtype of u, optional
    post_gate : array, shape of the result, dtype of u, optional
    freq_mask : array of bool or real numbers, or ("lowpass", cut), optional
        Multiplies the spectrum: ``c = irfft(freq_mask * rfft(k, n_fft) * rfft(v, n_fft))[:L]``.
        n_fft // 2 + 1 values, or n_fft of them if they are symmetric; "lowpass" keeps the bins of
        at most ``cut`` cycles per sample. The masked taps reach all positions: the result is not
        causal. Modes "causal" and "circular" only.
    n_fft : int, optional
        The mask's period, at least L and K; L by default in mode "circular". Given without a mask
        it asks for the same formula with a mask of ones, which wraps around where L + K - 1
        exceeds it.
    correlate : bool
        ``c[t] = sum of k[j] v[t + j - offset]`` instead, in modes "same" and "two_sided". The
        causal correlation of SMPConv is offset K - 1.
    head_map : "blocked" | "interleaved"
        The head of channel d: d // (D / H), or d % H.
    method : "auto" | "fft" | "direct" | "overlap_save"
        "direct" sums over the taps; "fft" takes one transform for a row; "overlap_save" several
        short ones, in memory that does not grow with L. "auto" takes what is estimated to be
        fastest for L and K; it never depends on B or on the threads.
    layout : "channels_first" | "channels_last"
    out : array, shape of the result, dtype of u, optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    array, shape (B, D, L') with the L' of the mode, in u's layout

    Raises
    ------
    ShapeError
        If k, skip, bias, a gate or the mask does not fit u, or K > L in mode "circular".
    ParamError
        If an option is unknown, or two do not go together: offset outside "two_sided", correlate
        or freq_mask in another mode, skip with a result of another length, n_fft below L or K, a
        mask over all bins that is not symmetric.
    DTypeError, LayoutError, DeviceError
        As `conv2d`.

    Notes
    -----
    Sums are kept in float32, float64 for float64. The error of the FFT methods is bounded for each
    row by a few roundings of ``||k||_2 ||v||_2``, so a small output beside large ones is less
    exact than by "direct"; and a NaN or infinity in a row of v or k spoils its whole row. Direct
    sums confine it to the outputs that depend on it. Results are bitwise the same for any number
    of threads, and each row's is its own.

    The transform is that of C[X] / (X^n - i): a causal convolution of two rows of n numbers is one
    complex transform of n elements, without padding; any other one is a part of such a product.
    Sizes are 256 times a power of two, or three or five times that. Cost: two transforms of a row
    and one of each row of k; `LongConv` keeps the latter.

    Long convolutions and their gates: Fu et al., "FlashFFTConv: efficient convolutions for long
    sequences with tensor cores", 2023. Correlation: Kim et al., "SMPConv: self-moving point
    representations for continuous convolution", 2023.

    Examples
    --------
    >>> import numpy as np, swath
    >>> u = np.array([[[1, 0, 0, 2]]], np.float32)
    >>> k = np.array([[3, 2, 1]], np.float32)
    >>> swath.long_conv(u, k)
    array([[[3., 2., 1., 6.]]], dtype=float32)
    >>> swath.long_conv(u, k, mode="circular")
    array([[[7., 4., 1., 6.]]], dtype=float32)
    """
    response, n_fft = masks.resolve("long_conv", freq_mask, n_fft, u, mode, layout)
    return _core.long_conv(
        u, k, mode, offset, skip, bias, pre_gate, post_gate, response, n_fft, correlate, head_map,
        method, layout, out, threads,
    )  # fmt: skip
