"""Dynamic convolution with taps that a plan holds, and streams of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from swath import _core
from swath._types import Array, HeadMap, Layout, Padding
from swath.ops.conv_plan import _PlanTools
from swath.ops.dynamic_conv import shared_taps

_STREAM: dict[str, Any] = {
    "padding": "causal", "softmax": False, "renormalize_padding": False, "head_map": "blocked",
    "layout": "channels_first", "threads": None,
}  # fmt: skip


class DynamicConvState(_core.DynamicState):
    """What a stream of `DynamicConv1d` has to remember: the last K - 1 elements.

    Made by ``init_state``. Copies (``copy.copy``, ``copy.deepcopy``) go their own way, and it
    pickles.

    Attributes
    ----------
    batch : int
    channels : int or None
        None until the first chunk tells.
    n_seen : int
        Positions so far.
    """

    __slots__ = ("_empty",)
    _empty: Any

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._parts()

    def __repr__(self) -> str:
        return (
            f"DynamicConvState(batch={self.batch}, channels={self.channels}, n_seen={self.n_seen})"
        )


class DynamicConv1d(_core.DynamicConvPlan, _PlanTools):
    """A plan of `dynamic_conv1d` with taps that all positions share, and streams of it.

    Parameters
    ----------
    weight : array, shape (H, K) or (H, 1, K), float32 | float64 | float16 | bfloat16
        Copied; the softmax is taken once for each shape of x.
    padding, softmax, renormalize_padding, head_map, layout
        As in `dynamic_conv1d`.
    threads : int, optional
        Limit for every call that has none of its own.

    Notes
    -----
    Immutable and safe to call from many threads at once. ``plan(x)`` is
    ``dynamic_conv1d(x, weight, ...)``. ``plan.explain(x)``, ``plan.workspace_bytes(shape)``,
    ``plan.flops(shape)`` and ``plan.bytes(shape)`` tell about a call; plans copy and pickle.

    A stream is a state that its caller keeps: ``init_state``, ``step`` for each chunk, ``flush`` at
    the end. The results put together are bitwise those of one call on all chunks together, however
    they are cut. With zeros to be added behind x (padding "same", say) the results come later:
    ``step`` returns what is complete and ``flush`` the rest.

    Raises
    ------
    ShapeError, DTypeError, ParamError
        As `dynamic_conv1d`.

    Examples
    --------
    >>> import numpy as np, swath
    >>> plan = swath.DynamicConv1d(np.array([[1, 2]], np.float32))
    >>> state = plan.init_state(1)
    >>> first, state = plan.step(np.array([[[1, 1]]], np.float32), state)
    >>> second, state = plan.step(np.array([[[3]]], np.float32), state)
    >>> first, second
    (array([[[2., 3.]]], dtype=float32), array([[[7.]]], dtype=float32))
    """

    __slots__ = ("_options",)
    _ndim = 1
    _defaults = _STREAM
    __reduce__ = _PlanTools.__reduce__
    __repr__ = _PlanTools.__repr__

    def __init__(
        self,
        weight: Array,
        *,
        padding: Padding = "causal",
        softmax: bool = False,
        renormalize_padding: bool = False,
        head_map: HeadMap = "blocked",
        layout: Layout = "channels_first",
        threads: int | None = None,
    ) -> None:
        super().__init__(
            shared_taps(weight), padding, softmax, renormalize_padding, head_map, layout, threads
        )
        self._options = self._kept(padding, softmax, renormalize_padding, head_map, layout, threads)

    def _arrays(self) -> dict[str, Any]:
        return {"weight": self._weight()}

    def init_state(self, batch: int, channels: int | None = None) -> DynamicConvState:
        """Return the state of a stream that has seen nothing.

        Parameters
        ----------
        batch : int
        channels : int, optional
            A multiple of H; None: as many as the first chunk has.
        """
        return DynamicConvState(*self._state_parts(batch, channels))

    def step(
        self,
        x: Array,
        state: DynamicConvState,
        weight: Array | None = None,
        *,
        out: Array | None = None,
        threads: int | None = None,
    ) -> tuple[Array, DynamicConvState]:
        """Feed one chunk.

        Parameters
        ----------
        x : array, shape (B, C, t), or (B, t, C) with the channels last; t may be 0
        state : DynamicConvState
            Changed, unless the call is refused.
        weight : array, shape (B, H, K, t), or (B, t, H, K) with the channels last, optional
            Taps for each position that the step returns, instead of the plan's.
        out : array of the result's shape, optional
        threads : int, optional

        Returns
        -------
        y : array, shape (B, C, t)
            Fewer positions at first, where the padding is not causal.
        state : DynamicConvState
            The same object.

        Notes
        -----
        Allocates nothing but y once the channels are known.
        """
        y = self._step(x, state, weight, out, threads, False)
        if not hasattr(state, "_empty") and isinstance(state, DynamicConvState):
            state._empty = _empty_like(x, self._empty_shape(state))
        return y, state

    def flush(
        self, state: DynamicConvState, weight: Array | None = None, *, threads: int | None = None
    ) -> Array:
        """Return what the zeros behind the stream's end add: nothing if the padding is causal.

        ``weight`` as in `step`, for as many positions as are left. The state is not changed.
        """
        empty = getattr(state, "_empty", None)
        if empty is None and isinstance(state, DynamicConvState):
            empty = np.empty(self._empty_shape(state), _numpy_dtype(self._weight().dtype))
        return self._step(empty, state, weight, None, threads, True)

    def _empty_shape(self, state: DynamicConvState) -> tuple[int, ...]:
        channels = self._weight().shape[0] if state.channels is None else state.channels
        is_last = self._options["layout"] == "channels_last"
        return (state.batch, 0, channels) if is_last else (state.batch, channels, 0)


def _empty_like(x: Array, shape: tuple[int, ...]) -> Array:
    """No elements, but x's library and dtype."""
    if hasattr(x, "new_empty"):
        return x.new_empty(shape)
    if isinstance(x, np.ndarray):
        return np.empty(shape, x.dtype)
    return None


def _numpy_dtype(name: str) -> Any:
    if name == "bf16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return {"f32": np.float32, "f64": np.float64, "f16": np.float16}[name]
