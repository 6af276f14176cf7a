"""Long convolutions with constant taps, whose spectra are computed once."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from swath import _core, info
from swath._types import Array, HeadMap, Layout, LongMethod, LongMode
from swath.ops import freq_mask as masks

_DEFAULTS: dict[str, Any] = {
    "length": None, "mode": "causal", "offset": None, "freq_mask": None, "n_fft": None,
    "correlate": False, "head_map": "blocked", "method": "auto", "layout": "channels_first",
    "threads": None,
}  # fmt: skip


class LongConv:
    """A plan of `long_conv` with constant taps.

    Holds copies of the arrays, and the spectra of the taps for the last few lengths that it met. It
    is immutable, may be called from many threads at once, and can be copied and pickled.

    Parameters
    ----------
    k : array, shape (H, K), float32 | float64 | float16 | bfloat16
    length : int, optional
        Of the rows to come: their spectra are then computed at once. Other lengths are served too.
    mode, offset, skip, bias, freq_mask, n_fft, correlate, head_map, method, layout, threads
        As in `long_conv`. A mask in mode "circular" needs n_fft or `length`.

    Notes
    -----
    Calls are ``plan(u, *, pre_gate=None, post_gate=None, out=None, threads=None)``, with arrays as
    in `long_conv` and its bits. Errors are raised as by `long_conv`; those that depend on u by the
    call. Spectra take as much memory as two to four copies of k for each length, of at most four
    lengths; none where "auto" takes direct sums.

    Examples
    --------
    >>> import numpy as np, swath
    >>> plan = swath.LongConv(np.ones((8, 1000), np.float32), length=1000)
    >>> plan
    LongConv(k=f32[8, 1000], length=1000)
    >>> plan(np.ones((2, 8, 1000), np.float32)).shape
    (2, 8, 1000)
    >>> plan.spectrum.shape, plan.n_fft
    ((8, 1001), 2000)
    """

    __slots__ = ("_made", "_options")
    _made: _core.LongConvPlan
    _options: dict[str, Any]

    def __init__(
        self,
        k: Array,
        *,
        length: int | None = None,
        mode: LongMode = "causal",
        offset: int | None = None,
        skip: Array | None = None,
        bias: Array | None = None,
        freq_mask: Any = None,
        n_fft: int | None = None,
        correlate: bool = False,
        head_map: HeadMap = "blocked",
        method: LongMethod = "auto",
        layout: Layout = "channels_first",
        threads: int | None = None,
    ) -> None:
        period = n_fft
        if freq_mask is not None and n_fft is None and mode == "circular":
            period = length  # the rows' own
        response = None
        if freq_mask is not None or n_fft is not None:
            response, period = masks.resolve("LongConv", freq_mask, period, None, mode, layout)
        made = _core.LongConvPlan(
            k, skip, bias, response, mode, offset, period, correlate, head_map, method, layout,
            length, threads,
        )  # fmt: skip
        values = (
            length, mode, offset, freq_mask, n_fft, correlate, head_map, method, layout, threads,
        )  # fmt: skip
        object.__setattr__(self, "_made", made)
        options = copy.deepcopy(dict(zip(_DEFAULTS, values, strict=True)))
        object.__setattr__(self, "_options", options)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a LongConv is immutable: {name!r} cannot be set")

    @classmethod
    def from_spectrum(
        cls, spectrum: Array, *, n_fft: int | None = None, taps: int | None = None, **options: Any
    ) -> LongConv:
        """Return the plan whose taps have a given spectrum: ``irfft(spectrum, n_fft)[:, :taps]``.

        Parameters
        ----------
        spectrum : array of complex64 | complex128, shape (H, n_fft // 2 + 1)
            In the order of rfft. The taps are float32 or float64.
        n_fft : int, optional
            Default 2 (bins - 1).
        taps : int, optional
            How many of the n_fft taps count; default all.
        **options
            As in `LongConv`; ``skip`` and ``bias`` have the taps' dtype.

        Raises
        ------
        DTypeError, ShapeError, ParamError
            If the spectrum is not complex, not of two axes or not of n_fft // 2 + 1 bins, or
            ``taps`` is not within 1 to n_fft.

        Examples
        --------
        >>> import numpy as np, swath
        >>> k = np.random.default_rng(0).normal(size=(2, 6))
        >>> plan = swath.LongConv.from_spectrum(np.fft.rfft(k, 16), taps=6)
        >>> u = np.ones((1, 2, 9))
        >>> bool(np.allclose(plan(u), swath.long_conv(u, k)))
        True
        """
        op = "LongConv.from_spectrum"
        bins = np.asarray(spectrum)
        if bins.dtype not in (np.complex64, np.complex128):
            raise masks.refuse(
                _core.DTypeError, op, "spectrum",
                f"spectrum has dtype {bins.dtype}, needed is complex64 or complex128",
            )  # fmt: skip
        if bins.ndim != 2 or bins.shape[1] < 1:
            raise masks.refuse(
                _core.ShapeError, op, "spectrum",
                f"spectrum has shape {bins.shape}, needed is (heads, n_fft // 2 + 1)",
            )  # fmt: skip
        period = 2 * (bins.shape[1] - 1) if n_fft is None else n_fft
        if not isinstance(period, (int, np.integer)) or period < 1:
            raise masks.refuse(
                _core.ParamError, op, "n_fft", f"n_fft is {period!r}, needed is a positive integer"
            )
        if bins.shape[1] != period // 2 + 1:
            raise masks.refuse(
                _core.ShapeError, op, "spectrum",
                f"spectrum has {bins.shape[1]} bins, needed are {period // 2 + 1} for "
                f"n_fft={period}",
            )  # fmt: skip
        count = period if taps is None else taps
        if not isinstance(count, (int, np.integer)) or not 1 <= count <= period:
            raise masks.refuse(
                _core.ParamError, op, "taps", f"taps is {taps!r}, needed is 1 to n_fft={period}"
            )
        k = np.fft.irfft(bins.astype(np.complex128), int(period))[:, :count]
        real = np.float32 if bins.dtype == np.complex64 else np.float64
        return cls(k.astype(real), **options)

    @property
    def n_fft(self) -> int:
        """The period of `spectrum`.

        That of the mask if there is one; else the least even number from L + K - 1, with L the
        ``length`` given or K: room for the whole convolution of a row.
        """
        period = self._options["n_fft"]
        n_taps = int(self._core._arrays()["k"].shape[1])
        length = self._options["length"] or n_taps
        if period is None and self._options["freq_mask"] is not None:
            period = length
        return int(period) if period is not None else (length + n_taps) // 2 * 2

    @property
    def spectrum(self) -> Array:
        """The taps' spectrum, ``rfft(k, n_fft)``, times the mask if there is one.

        A NumPy array (H, n_fft // 2 + 1), complex128 for float64 taps, else complex64.
        """
        k = self._core._arrays()["k"]
        bins = np.fft.rfft(np.asarray(_core.as_numpy(k), np.float64), self.n_fft)
        mask = self._options["freq_mask"]
        if mask is not None:
            bins = bins * masks.half("LongConv", mask, self.n_fft)
        return bins if k.dtype == "f64" else bins.astype(np.complex64)

    def __call__(
        self,
        u: Array,
        *,
        pre_gate: Array | None = None,
        post_gate: Array | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        """Convolve u (B, D, L) with the plan's taps."""
        return self._core(u, pre_gate=pre_gate, post_gate=post_gate, out=out, threads=threads)

    def init_state(self, batch: int, channels: int | None = None) -> _core.LongConvState:
        """Return the state of a new stream of ``batch`` rows.

        Parameters
        ----------
        batch : int
        channels : int, optional
            Default that of skip or bias; without them the first chunk says it.

        Raises
        ------
        ParamError
            If the plan is not causal or full, has a mask, or channels is no multiple of the heads.

        Notes
        -----
        A state remembers about two to four times the K last inputs of each row, in float32 or
        float64. States can be copied and pickled; one stream belongs to one thread at a time.
        """
        return self._core.init_state(batch, channels)

    def step(
        self,
        u: Array,
        state: _core.LongConvState,
        *,
        pre_gate: Array | None = None,
        post_gate: Array | None = None,
        threads: int | None = None,
    ) -> tuple[Array, _core.LongConvState]:
        """Continue a stream by a chunk of any length.

        Parameters
        ----------
        u : array, shape (B, D, T), or (B, T, D) with ``layout="channels_last"``
            The next T inputs.
        state : as `init_state` or the last step gave it; it is changed.
        pre_gate, post_gate : array, shape and dtype of u, optional
        threads : int, optional

        Returns
        -------
        (y, state)
            The next T outputs: those of the whole sequence in mode "causal", within the error
            bound of `long_conv`, whatever the chunks were.

        Notes
        -----
        One position at a time costs O(log^2 K) operations on average. Every 2^i-th one takes a
        transform of that many positions; the largest one spans K. Steps of shapes that the plan
        has met take no memory but their result.

        Examples
        --------
        >>> import numpy as np, swath
        >>> u, k = np.ones((1, 2, 300), np.float32), np.ones((2, 200), np.float32)
        >>> plan = swath.LongConv(k)
        >>> y, state = plan.prefill(u[..., :250])
        >>> for t in range(250, 300):
        ...     token, state = plan.step(u[..., t : t + 1], state)
        >>> bool(np.allclose(token[..., 0], swath.long_conv(u, k)[..., -1]))
        True
        """
        return self._core.step(u, state, pre_gate, post_gate, threads), state

    def prefill(
        self,
        u: Array,
        *,
        pre_gate: Array | None = None,
        post_gate: Array | None = None,
        threads: int | None = None,
    ) -> tuple[Array, _core.LongConvState]:
        """Return the outputs of a first chunk (B, D, T), and the state behind it."""
        shape = np.shape(u) if not hasattr(u, "shape") else u.shape
        if len(shape) not in (2, 3):
            raise masks.refuse(
                _core.ShapeError, "LongConv.prefill", "u",
                f"u has {len(shape)} axes {tuple(shape)}, needed are 3, or 2 for one row",
            )  # fmt: skip
        is_first = self._options["layout"] == "channels_first"
        batch = int(shape[0]) if len(shape) == 3 else 1
        state = self.init_state(batch, int(shape[-2] if is_first else shape[-1]))
        return self.step(u, state, pre_gate=pre_gate, post_gate=post_gate, threads=threads)

    def flush(
        self,
        state: _core.LongConvState,
        *,
        post_gate: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        """Return what follows the last input: K - 1 outputs of a full plan, none of a causal one.

        A NumPy array; post_gate has its shape.
        """
        return self._core.flush(state, post_gate, threads)

    def explain(self, u: Array, **options: Any) -> info.Explanation:
        """Return how the call ``self(u, ...)`` would be served, without running it."""
        return info.explain(self, u, **options)

    def workspace_bytes(self, shape: Sequence[int]) -> int:
        """Scratch memory of one call on a u of this shape."""
        return self._core.workspace_bytes(shape)

    def flops(self, shape: Sequence[int]) -> int:
        """Floating-point operations of one call on a u of this shape."""
        return self._core.flops(shape)

    def bytes(self, shape: Sequence[int]) -> int:
        """Bytes of all arrays of one call on a u of this shape."""
        return self._core.bytes(shape)

    @property
    def _core(self) -> _core.LongConvPlan:
        if not hasattr(self, "_made"):
            raise TypeError("this plan's constructor has not finished")
        return self._made

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._core._arrays(), self._options)

    def __repr__(self) -> str:
        parts = [
            f"{name}={array.dtype}{list(array.shape)}"
            for name, array in self._core._arrays().items()
            if array is not None
        ]
        for name, value in self._options.items():
            default = _DEFAULTS[name]
            if type(value) is not type(default) or value != default:
                parts.append(f"{name}={' '.join(repr(value).split())}")
        return f"LongConv({', '.join(parts)})"


def _rebuild(
    cls: type[LongConv], arrays: Mapping[str, Any], options: Mapping[str, Any]
) -> LongConv:
    given = {name: array for name, array in arrays.items() if array is not None}
    return cls(**given, **options)
