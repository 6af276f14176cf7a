"""Hypothesis strategies for legal calls, as cases."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import oracle
from cases.case import Case, Shape
from cases.sliding_conv import ACTIVATIONS

Draw = Any
# The longest axes of a small image, and of one that is cut into several blocks.
_MOST = {
    False: ((40,), (12, 12), (7, 7, 7)),
    True: ((5000,), (70, 500), (6, 12, 90)),
}
_LIMITED = {"reflect": 1, "circular": 0, "replicate": -1000}


def _axes(draw: Draw, ndim: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(low, high)) for _ in range(ndim))


def _spell(draw: Draw, values: tuple[int, ...]) -> Any:
    """An int where all axes agree and the draw says so, else one value an axis."""
    return values[0] if len(set(values)) == 1 and draw(st.booleans()) else values


def _padding(draw: Draw, ndim: int, strings: tuple[str, ...]) -> Any:
    kinds = ["int", "axes", "pairs", *(["string"] if strings else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "string":
        return draw(st.sampled_from(strings))
    if kind == "int":
        return draw(st.integers(0, 4))
    if kind == "axes" and ndim > 1:
        return _axes(draw, ndim, 0, 4)
    return tuple((draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in range(ndim))


def _spatial(
    draw: Draw,
    padding: Any,
    kernel: Shape,
    stride: Shape,
    dilation: Shape,
    mode: str,
    is_large: bool,
) -> Shape:
    """Lengths that give at least one output and obey the border's limits."""
    lengths = []
    for axis in range(len(kernel)):
        most = _MOST[is_large][len(kernel) - 1][axis]
        here = (kernel[axis],), (stride[axis],), (dilation[axis],)
        n = draw(st.integers(1, most))
        while True:
            pads = padding if isinstance(padding, (str, int)) else (padding[axis],)
            rule = "same" if pads == "causal" and axis > 0 else pads
            (pair,) = oracle.resolve_pads(rule, (n,), *here)
            (out,) = oracle.out_lengths((n,), [pair], *here)
            if out >= 1 and n >= max(pair) + _LIMITED.get(mode, -1000):
                break
            n += 1
        lengths.append(n)
    return tuple(lengths)


def _layout(draw: Draw, n: int, channels: int, spatial: Shape) -> tuple[Shape, dict[str, Any]]:
    batch = (n,) if draw(st.integers(0, 4)) else ()
    if draw(st.booleans()):
        return (*batch, *spatial, channels), {"layout": "channels_last"}
    return (*batch, channels, *spatial), {}


@st.composite
def convolutions(draw: Draw) -> Case:
    ndim = draw(st.sampled_from([1, 2, 2, 3]))
    # Now and then one dimension of the work is large, never two of them.
    size = draw(st.sampled_from(["small", "small", "small", "image", "channels", "kernel"]))
    most_channels = 80 if size == "channels" else 7
    groups, per_group = draw(st.sampled_from([1, 1, 2, 3, 8])), draw(st.integers(1, most_channels))
    c_in, c_out = groups * per_group, groups * draw(st.integers(1, max(5, most_channels // 2)))
    kernel = _axes(
        draw, ndim, 1, (40, 19, 5)[ndim - 1] if size == "kernel" else (5, 5, 3)[ndim - 1]
    )
    stride, dilation = _axes(draw, ndim, 1, 3), _axes(draw, ndim, 1, 4)
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular", "partial"]))
    padding = _padding(draw, ndim, ("valid", "same", "same_tf", "causal"))
    kwargs: dict[str, Any] = {"padding": padding, "padding_mode": mode, "groups": groups}
    kwargs |= {"stride": _spell(draw, stride), "dilation": _spell(draw, dilation)}
    spatial = _spatial(draw, padding, kernel, stride, dilation, mode, size == "image")
    before, after = (draw(st.integers(0, 3)) for _ in range(2)) if draw(st.booleans()) else (0, 0)
    if before or after:
        kwargs |= {"channels": (before, before + c_in), "passthrough": "none"}
    x, layout = _layout(draw, draw(st.integers(0, 3)), before + c_in + after, spatial)
    extras = draw(st.sets(st.sampled_from(["bias", "scale", "shift", "residual"])))
    if draw(st.booleans()):
        kwargs["activation"] = draw(st.sampled_from(ACTIVATIONS))
    if "residual" in extras:
        kwargs["residual_order"] = draw(st.sampled_from(["after", "before"]))
    name = f"drawn_{draw(st.integers(0, 9))}"
    weight = (c_out, per_group, *kernel)
    return Case(name, f"conv{ndim}d", x, weight, kwargs | layout, tuple(sorted(extras)))


@st.composite
def gated(draw: Draw) -> Case:
    """A drawn convolution with twice the output channels."""
    plain = draw(convolutions())
    kwargs = {k: v for k, v in plain.kwargs.items() if k != "residual_order"}
    kwargs["gate"] = draw(st.sampled_from(["sigmoid", "hardsigmoid", "identity", "tanh", "relu"]))
    kwargs["order"] = draw(st.sampled_from(["feature_first", "gate_first"]))
    assert plain.weight is not None
    weight = (2 * plain.weight[0], *plain.weight[1:])
    return Case("drawn", f"gated_{plain.function}", plain.x, weight, kwargs, plain.extras)


@st.composite
def masked(draw: Draw) -> Case:
    """A drawn convolution under a mask."""
    plain = draw(convolutions().filter(lambda c: "channels" not in c.kwargs))
    options = ("padding", "stride", "dilation", "groups", "layout", "activation")
    kwargs = {k: v for k, v in plain.kwargs.items() if k in options}
    kwargs["renormalize"] = draw(st.booleans())
    assert plain.weight is not None
    ndim = len(plain.weight) - 2
    batched = len(plain.x) == ndim + 2
    channel = len(plain.x) - 1 if "layout" in kwargs else int(batched)
    shape = list(plain.x)
    if batched and draw(st.booleans()):
        shape[0] = 1
    if draw(st.integers(0, 2)) or plain.x[channel] == 1:
        shape[channel] = 1
        kwargs["mask_update"] = draw(st.sampled_from(["any", "same"]))
    kind = draw(st.sampled_from(["bool", "uint8", "x", "float32", "zeros", "ones"]))
    extras = tuple(e for e in plain.extras if e == "bias")
    function = f"partial_{plain.function}"
    return Case("drawn", function, plain.x, plain.weight, kwargs, extras, mask=(kind, tuple(shape)))


@st.composite
def own_dilations(draw: Draw) -> Case:
    """Each output channel with its own dilation, under the paddings that give one length."""
    ndim = draw(st.sampled_from([1, 2]))
    groups, per_group = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 3))
    c_out = groups * draw(st.integers(1, 3))
    rows = np.array([_axes(draw, ndim, 1, 5) for _ in range(c_out)])
    kernel = _axes(draw, ndim, 1, 4)
    kwargs = {
        "dilation": rows,
        "groups": groups,
        "stride": _spell(draw, _axes(draw, ndim, 1, 2)),
        "padding": draw(st.sampled_from(["same", "causal"])),
    }
    x, layout = _layout(draw, 1, groups * per_group, _axes(draw, ndim, 1, 15))
    return Case("drawn", f"conv{ndim}d", x, (c_out, per_group, *kernel), kwargs | layout, ("bias",))


@st.composite
def transposed(draw: Draw) -> Case:
    ndim = draw(st.sampled_from([1, 2, 2, 3]))
    groups = draw(st.sampled_from([1, 1, 2, 5]))
    c_in, out_per_group = groups * draw(st.integers(1, 5)), draw(st.integers(1, 5))
    kernel = _axes(draw, ndim, 1, 5 if ndim < 3 else 3)
    stride, dilation = _axes(draw, ndim, 1, 3), _axes(draw, ndim, 1, 3)
    extra = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    padding = _padding(draw, ndim, ())
    pads = oracle.resolve_pads(padding, kernel, kernel, stride, dilation)
    spatial = tuple(
        max(1, -(-(b + a - d * (k - 1) - e) // s) + 1) + draw(st.integers(0, 9 // ndim))
        for (b, a), k, s, d, e in zip(pads, kernel, stride, dilation, extra, strict=True)
    )
    x, layout = _layout(draw, draw(st.integers(0, 2)), c_in, spatial)
    kwargs = {
        "stride": _spell(draw, stride),
        "padding": padding,
        "dilation": _spell(draw, dilation),
        "output_padding": _spell(draw, extra),
        "groups": groups,
    }
    extras = ("bias",) if draw(st.booleans()) else ()
    weight = (c_in, out_per_group, *kernel)
    return Case("drawn", f"conv_transpose{ndim}d", x, weight, kwargs | layout, extras)


@st.composite
def pools(draw: Draw) -> Case:
    ndim = draw(st.sampled_from([1, 2, 2, 3]))
    window = _axes(draw, ndim, 1, (20, 9, 4)[ndim - 1])
    stride, dilation = _axes(draw, ndim, 1, 4), _axes(draw, ndim, 1, 3)
    # Up to (k - 1) // 2 taps on each side: no window lies wholly in the padding.
    padding = tuple(
        tuple(draw(st.integers(0, d * (k - 1) // 2)) for _ in range(2))
        for k, d in zip(window, dilation, strict=True)
    )
    spatial = tuple(
        d * (k - 1) + 1 + draw(st.integers(0, (40, 12, 6)[ndim - 1]))
        for k, d in zip(window, dilation, strict=True)
    )
    kwargs: dict[str, Any] = {"window": _spell(draw, window), "padding": padding}
    kwargs |= {"stride": _spell(draw, stride), "dilation": _spell(draw, dilation)}
    kind = draw(st.sampled_from(["avg", "max"]))
    if kind == "avg":
        kwargs["count_include_pad"] = draw(st.booleans())
    x, layout = _layout(draw, draw(st.integers(0, 2)), draw(st.integers(1, 20)), spatial)
    return Case("drawn", f"{kind}_pool{ndim}d", x, None, kwargs | layout)


@st.composite
def reductions(draw: Draw) -> Case:
    shape = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    window = draw(st.integers(1, 40))
    padding = draw(st.sampled_from([0, (window - 1) // 2, (window - 1, 0), "same", "causal"]))
    most = list(shape)
    (pair,) = oracle.resolve_pads(padding, (1,), (window,), (1,), (1,))
    most[axis] += max(window - 1 - sum(pair), max(pair)) + 1
    kwargs = {"window": window, "axis": axis, "padding": padding}
    kwargs["op"] = draw(st.sampled_from(["sum", "mean", "max", "min"]))
    return Case("drawn", "sliding_reduce", tuple(most), None, kwargs)


@st.composite
def rearrangements(draw: Draw) -> Case:
    n, c, h, w = (draw(st.integers(low, 6)) for low in (0, 1, 1, 1))
    block = draw(st.integers(1, 4))
    kwargs: dict[str, Any] = {"block": block}
    kwargs["order"] = draw(st.sampled_from(["torch", "tf", "spd"]))
    down = draw(st.booleans())
    channels, spatial = (c, (h * block, w * block)) if down else (c * block**2, (h, w))
    x: Shape = (n, channels, *spatial)
    if draw(st.booleans()):
        x = (n, *spatial, channels)
        kwargs["layout"] = "channels_last"
    return Case("drawn", "space_to_depth" if down else "depth_to_space", x, None, kwargs)
