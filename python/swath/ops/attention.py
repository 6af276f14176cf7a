"""Attention over patterns of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from swath import _core, info
from swath._arguments import error_of
from swath._types import Array, AttentionLayout
from swath.patterns import Dense, Pattern, RelativeTable
from swath.patterns._base import Union

_BIAS_KINDS = {"key_minus_query": 1, "query_minus_key": 2}
_HAVE_PLACES = ("dense", "causal", "window1d", "neighborhood", "disk", "window", "halo")


def lower(op: str, pattern: Any) -> list[tuple[Any, ...]]:
    """Return the members of a pattern as the compiled part reads them."""
    if pattern is None:
        pattern = Dense()
    if not isinstance(pattern, Pattern):
        text = f"pattern is {pattern!r}, needed is one of swath.patterns"
        raise error_of(_core.ParamError, op, "pattern", text)
    members = pattern.members if isinstance(pattern, Union) else (pattern,)
    return [m._lower() for m in members]


def lower_bias(
    op: str, bias: Any, pattern: Any, q: Array, layout: AttentionLayout
) -> tuple[Array | None, int]:
    """Return (array, kind): the bias of all pairs, or a relative table that kernels read."""
    if not isinstance(bias, RelativeTable):
        return bias, 0
    kind = "dense" if pattern is None else pattern.kind
    n_axes = len(np.shape(bias.table)) - 1
    shape = np.shape(q)
    tokens = tuple(shape[2:-1] if layout == "heads_first" else shape[1:-2])
    is_sequence = kind in ("causal", "window1d")
    if kind in _HAVE_PLACES and not (is_sequence and n_axes > 1):
        return bias.table, _BIAS_KINDS[bias.order]
    grid = next((m.grid for m in getattr(pattern, "members", (pattern,)) if m.grid), tokens)
    if len(grid) != n_axes:
        text = f"bias is a table of {n_axes} axes, the tokens are on a grid {grid}"
        raise error_of(_core.ShapeError, op, "bias", text)
    n_prefix = int(np.prod(tokens)) - int(np.prod(grid))
    return bias.to_bias(grid, n_prefix), 0


def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    pattern: Pattern | None = None,
    causal: bool = False,
    scale: float | None = None,
    bias: Array | RelativeTable | None = None,
    bias_lowrank: tuple[Array, Array] | None = None,
    key_bias: Array | None = None,
    key_mask: Array | None = None,
    softcap: float | None = None,
    sink: Array | None = None,
    extra_kv: Sequence[tuple[Any, ...]] | None = None,
    return_lse: bool = False,
    layout: AttentionLayout = "heads_first",
    out: Array | None = None,
    threads: int | None = None,
) -> Any:
    """Attend to the keys that a pattern allows, without a matrix of all pairs.

    ::

        Z[i, j] = scale <q[i], k[j]>            with softcap c: c tanh(Z / c)
        S[i, j] = Z[i, j] + bias[i, j] + <a[i], b[j]> + key_bias[j] + ln w[j]
        lse[i]  = ln(sum over allowed j of exp S[i, j]  +  exp sink[h])
        o[i]    = sum over allowed j of exp(S[i, j] - lse[i]) v[j]

    Parameters
    ----------
    q : array, shape (B, H, *tokens, D), float32 | float64 | float16 | bfloat16
        One to three axes of tokens. D from 1 to 256.
    k, v : array, shape (B, H_kv, *tokens_kv, D | D_v), dtype of q
        H is a multiple of H_kv; head h reads ``h // (H / H_kv)``, without a copy. Views such as
        slices of a packed qkv are read as they are.
    pattern : swath.patterns.Pattern, optional
        Which keys each query sees; None for all.
    causal : bool
        Only keys up to the query's own place, both counted from the end. Not with a pattern of
        several axes, where `patterns.Neighborhood` has it per axis. Prefix tokens are exempt.
    scale : float, optional
        D**-0.5 unless given; 0.0 is 0.
    bias : array that broadcasts to (B, H, N_q, N_k), or patterns.RelativeTable, optional
    bias_lowrank : (a, b), shapes (B|1, H|1, N_q, R) and (B|1, H|1, N_k, R), optional
        A bias <a[i], b[j]>, added after scale and softcap.
    key_bias : array, shape (B|1, N_k), optional
        The logarithm of a key's multiplicity, for example.
    key_mask : bool array, shape (B|1, N_k), optional
        True: attend.
    softcap : float, optional
    sink : array, shape (H,), optional
        A logit that takes its share and gives nothing.
    extra_kv : list of (k, v, log_weight, "all" | "grid"), optional
        At most 6 arrays of more keys, (B, H_kv, M, D) in the layout of k; one fewer for each member
        of a union. ``log_weight`` is a
        number or an array (B|1, M). "grid": only for queries after the prefix, or after the shared
        tokens of `patterns.Grouped`.
    return_lse : bool
    layout : "heads_first" | "heads_last"
        The second is (B, *tokens, H, D).
    out : array, shape (B, H, *tokens, D_v), optional
        Where to write; must not share memory with an input.
    threads : int, optional
        Limit for this call.

    Returns
    -------
    o : array, shape (B, H, *tokens, D_v), dtype of q
    lse : array, shape of q without D, float32, or float64 for float64
        With ``return_lse``; natural logarithm.

    Raises
    ------
    ShapeError, DTypeError, DeviceError
        If the arrays do not fit together, or the pattern is about another number of tokens.
    ParamError
        If ``kernel_size * dilation`` is longer than an axis, a list of blocks is not ascending,
        repeats a pair or is out of range, or ``causal`` meets a pattern of several axes.

    Notes
    -----
    A query without any key (and without sink) gets 0 and an lse of -inf. A logit of -inf counts as
    not allowed. A NaN logit makes its own row NaN; NaN and Inf in values reach only the rows that
    see them. Weights below the smallest normal number are 0.

    Sums are kept in float32 (float64 for float64). Cost: 2 N_q n (D + D_v) operations a head for n
    keys in the box around each tile of up to 16 neighbouring queries (8 for float64); at most
    64 KB of memory a thread for bias_lowrank of moderate rank, no matrix of all pairs. Results do
    not depend on the number of threads.

    Means of keys (`patterns.Blocks` with levels) cannot have a bias, a mask or a causal order. A
    relative table with patterns that have no axes (blocks, segments, masks, unions) is expanded to
    all pairs first.

    Neighborhood attention: Hassani et al., 2023; generalized with strides, 2025. Windows: Liu et
    al., "Swin transformer", 2021. Online softmax: Milakov and Gimelshein, 2018.

    Examples
    --------
    >>> import numpy as np, swath
    >>> from swath import patterns
    >>> q = k = v = np.random.default_rng(0).normal(size=(1, 2, 14, 14, 8)).astype(np.float32)
    >>> swath.attention(q, k, v, pattern=patterns.Neighborhood(7)).shape
    (1, 2, 14, 14, 8)
    >>> o, lse = swath.attention(q, k, v, causal=True, return_lse=True)
    >>> lse.shape
    (1, 2, 14, 14)
    """
    members = lower("attention", pattern)
    array, kind = lower_bias("attention", bias, pattern, q, layout)
    return _core.attention(
        q, k, v, members, causal, scale, array, kind, bias_lowrank, key_bias, key_mask, softcap,
        sink, extra_kv, return_lse, layout, out, threads,
    )  # fmt: skip


class Attention:
    """A plan of `attention` with a constant pattern.

    Keeps the tables of the pattern for the last few kinds of arrays that it met. It is immutable,
    may be called from many threads at once, and can be copied and pickled.

    Parameters
    ----------
    pattern, causal, scale, bias, softcap, sink, layout, threads
        As in `attention`.

    Notes
    -----
    Calls are ``plan(q, k, v, *, bias_lowrank=None, key_bias=None, key_mask=None, extra_kv=None,
    return_lse=False, out=None, threads=None)``. A block list or mask of the pattern is read at
    every call, so that it must not change.

    Examples
    --------
    >>> import numpy as np, swath
    >>> from swath import patterns
    >>> plan = swath.Attention(patterns.Window1D(2, 2), causal=True)
    >>> plan
    Attention(pattern=Window1D(left=2, right=2), causal=True)
    >>> plan = swath.Attention(patterns.Neighborhood(3))
    >>> x = np.ones((1, 2, 8, 8, 16), np.float32)
    >>> plan(x, x, x).shape
    (1, 2, 8, 8, 16)
    >>> plan.flops(x.shape)
    73728
    """

    __slots__ = ("_options", "_plans")

    def __init__(
        self,
        pattern: Pattern | None = None,
        *,
        causal: bool = False,
        scale: float | None = None,
        bias: Array | RelativeTable | None = None,
        softcap: float | None = None,
        sink: Array | None = None,
        layout: AttentionLayout = "heads_first",
        threads: int | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "pattern": pattern, "causal": causal, "scale": scale, "bias": bias,
            "softcap": softcap, "sink": sink, "layout": layout, "threads": threads,
        }  # fmt: skip
        self._plans: dict[tuple[int, ...] | None, _core.AttentionPlan] = {}
        if not isinstance(bias, RelativeTable):
            self._plan_of(None)

    def _plan_of(self, q: Array) -> _core.AttentionPlan:
        """Return the compiled plan; a relative table may have to know q's tokens."""
        o = self._options
        key = tuple(np.shape(q)) if isinstance(o["bias"], RelativeTable) else None
        plan = self._plans.get(key)
        if plan is None:
            members = lower("Attention", o["pattern"])
            array, kind = lower_bias("Attention", o["bias"], o["pattern"], q, o["layout"])
            plan = _core.AttentionPlan(
                members, o["causal"], o["scale"], array, kind, o["softcap"], o["sink"], o["layout"]
            )
            self._plans[key] = plan
        return plan

    def __call__(
        self,
        q: Array,
        k: Array,
        v: Array,
        *,
        bias_lowrank: tuple[Array, Array] | None = None,
        key_bias: Array | None = None,
        key_mask: Array | None = None,
        extra_kv: Sequence[tuple[Any, ...]] | None = None,
        return_lse: bool = False,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Any:
        """Attend; arrays as in `attention`."""
        limit = self._options["threads"] if threads is None else threads
        return self._plan_of(q).run(
            q, k, v, bias_lowrank, key_bias, key_mask, extra_kv, return_lse, out, limit
        )

    def explain(self, q: Array, k: Array, v: Array, **options: Any) -> info.Explanation:
        """Return how the call ``self(q, k, v, ...)`` would be served, without running it."""
        return info.explain(self, q, k, v, **options)

    def _explain_shape(self, shape: Sequence[int], dtype: Any) -> info.Explanation:
        x = np.broadcast_to(np.zeros((), dtype), tuple(shape))
        return self.explain(x, x, x)

    def workspace_bytes(self, shape: Sequence[int], dtype: Any = np.float32) -> int:
        """Return the scratch memory of one call on q, k and v of this shape."""
        return self._explain_shape(shape, dtype).workspace_bytes

    def flops(self, shape: Sequence[int], dtype: Any = np.float32) -> int:
        """Return the floating-point operations of one call on q, k and v of this shape.

        Of the pairs that the pattern allows; of all pairs of listed blocks and of a mask.
        """
        return self._explain_shape(shape, dtype).flops

    def bytes(self, shape: Sequence[int], dtype: Any = np.float32) -> int:
        """Return the bytes of all arrays of one call on q, k and v of this shape."""
        return self._explain_shape(shape, dtype).bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._options,)

    def __repr__(self) -> str:
        defaults = {"causal": False, "layout": "heads_first"}
        shown = [
            f"{name}={' '.join(repr(value).split())}"
            for name, value in self._options.items()
            if value is not None and not (name in defaults and value == defaults[name])
        ]
        return f"Attention({', '.join(shown)})"


def _rebuild(options: dict[str, Any]) -> Attention:
    return Attention(**options)
