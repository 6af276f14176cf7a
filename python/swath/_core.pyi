# Checked against the built module by mypy.stubtest.
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, SupportsIndex, type_check_only

from swath._types import Array

__version__: str

class Error(Exception):
    op: str
    arg: str

class ShapeError(Error, ValueError): ...
class DTypeError(Error, TypeError): ...
class ParamError(Error, ValueError): ...
class DeviceError(Error, ValueError): ...
class LayoutError(Error, ValueError): ...
class UnsupportedError(Error, NotImplementedError): ...
class OutOfMemoryError(Error, MemoryError): ...
class DeviceFailure(Error, RuntimeError): ...
class InternalError(Error, RuntimeError): ...

@type_check_only
class _Pybind11Type(type): ...

class Buffer(metaclass=_Pybind11Type):
    def __init__(self, dtype: str, shape: Sequence[SupportsIndex], data: bytes) -> None: ...
    def __dlpack__(
        self,
        *,
        stream: object = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...

class LongConvPlan(metaclass=_Pybind11Type):
    def __init__(
        self,
        k: Array,
        skip: Array | None,
        bias: Array | None,
        response: Array | None,
        mode: object,
        offset: object,
        n_fft: object,
        correlate: object,
        head_map: object,
        method: object,
        layout: object,
        length: object,
        threads: object,
        /,
    ) -> None: ...
    def __call__(
        self,
        u: Array,
        *,
        pre_gate: Array | None = None,
        post_gate: Array | None = None,
        out: Array | None = None,
        threads: object = None,
    ) -> Array: ...
    def workspace_bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def flops(self, shape: Sequence[SupportsIndex]) -> int: ...
    def bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def _arrays(self) -> dict[str, Any]: ...
    def init_state(self, batch: object, channels: object, /) -> LongConvState: ...
    def step(
        self,
        u: Array,
        state: LongConvState,
        pre_gate: Array | None,
        post_gate: Array | None,
        threads: object,
        /,
    ) -> Array: ...
    def flush(self, state: LongConvState, post_gate: Array | None, threads: object, /) -> Array: ...

class LongConvState(metaclass=_Pybind11Type):
    def __init__(
        self,
        inputs: Buffer,
        sums: Buffer,
        block: Buffer,
        time: SupportsIndex,
        channels_are_open: bool = False,
        /,
    ) -> None: ...
    @property
    def time(self) -> int: ...
    def __copy__(self) -> LongConvState: ...
    def __deepcopy__(self, memo: object) -> LongConvState: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

class ConvPlan(metaclass=_Pybind11Type):
    def __init__(
        self,
        ndim: int,
        weight: Array,
        bias: Array | None,
        stride: object,
        padding: object,
        dilation: object,
        groups: object,
        padding_mode: object,
        layout: object,
        channels: object,
        passthrough: object,
        activation: object,
        scale: Array | None,
        shift: Array | None,
        residual_order: object,
        threads: object,
        /,
    ) -> None: ...
    def __call__(
        self,
        x: Array,
        *,
        residual: Array | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array: ...
    def workspace_bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def flops(self, shape: Sequence[SupportsIndex]) -> int: ...
    def bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def _arrays(self) -> dict[str, Buffer | None]: ...

class DynamicState(metaclass=_Pybind11Type):
    def __init__(
        self,
        dtype: str,
        layout: str,
        columns: SupportsIndex,
        batch: SupportsIndex,
        channels: SupportsIndex,
        n_seen: SupportsIndex,
        data: bytes,
        /,
    ) -> None: ...
    def _parts(self) -> tuple[str, str, int, int, int, int, bytes]: ...
    @property
    def batch(self) -> int: ...
    @property
    def channels(self) -> int | None: ...
    @property
    def n_seen(self) -> int: ...

class DynamicConvPlan(metaclass=_Pybind11Type):
    def __init__(
        self,
        weight: Array,
        padding: object,
        softmax: object,
        renormalize_padding: object,
        head_map: object,
        layout: object,
        threads: object,
        /,
    ) -> None: ...
    def __call__(
        self, x: Array, *, out: Array | None = None, threads: int | None = None
    ) -> Array: ...
    def _state_parts(
        self, batch: object, channels: object, /
    ) -> tuple[str, str, int, int, int, int, bytes]: ...
    def _step(
        self,
        x: Array,
        state: DynamicState,
        weight: Array | None,
        out: Array | None,
        threads: object,
        is_end: bool,
        /,
    ) -> Array: ...
    def workspace_bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def flops(self, shape: Sequence[SupportsIndex]) -> int: ...
    def bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def _weight(self) -> Buffer: ...

class GatedConvPlan(metaclass=_Pybind11Type):
    def __init__(
        self,
        ndim: int,
        weight: Array,
        bias: Array | None,
        activation: object,
        gate: object,
        order: object,
        stride: object,
        padding: object,
        dilation: object,
        groups: object,
        padding_mode: object,
        layout: object,
        channels: object,
        passthrough: object,
        scale: Array | None,
        shift: Array | None,
        threads: object,
        /,
    ) -> None: ...
    def __call__(
        self,
        x: Array,
        *,
        residual: Array | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array: ...
    def workspace_bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def flops(self, shape: Sequence[SupportsIndex]) -> int: ...
    def bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def _arrays(self) -> dict[str, Buffer | None]: ...

class PartialConvPlan(metaclass=_Pybind11Type):
    def __init__(
        self,
        ndim: int,
        weight: Array,
        bias: Array | None,
        stride: object,
        padding: object,
        dilation: object,
        groups: object,
        renormalize: object,
        mask_update: object,
        eps: object,
        layout: object,
        activation: object,
        threads: object,
        /,
    ) -> None: ...
    def __call__(
        self,
        x: Array,
        mask: Array | None = None,
        *,
        out: Array | None = None,
        threads: int | None = None,
    ) -> tuple[Array, Array]: ...
    def workspace_bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def flops(self, shape: Sequence[SupportsIndex]) -> int: ...
    def bytes(self, shape: Sequence[SupportsIndex]) -> int: ...
    def _arrays(self) -> dict[str, Buffer | None]: ...

def as_numpy(array: Array) -> Any: ...
def conv(
    ndim: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    padding_mode: object,
    layout: object,
    channels: object,
    passthrough: object,
    activation: object,
    scale: Array | None,
    shift: Array | None,
    residual: Array | None,
    residual_order: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def conv_transpose(
    ndim: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    output_padding: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def gated_conv(
    ndim: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    activation: object,
    gate: object,
    order: object,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    padding_mode: object,
    layout: object,
    channels: object,
    passthrough: object,
    scale: Array | None,
    shift: Array | None,
    residual: Array | None,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def partial_conv(
    ndim: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    mask: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    renormalize: object,
    mask_update: object,
    eps: object,
    layout: object,
    activation: object,
    out: Array | None,
    threads: object,
    /,
) -> tuple[Array, Array]: ...
def conv_grad(
    ndim: int,
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    padding_mode: object,
    layout: object,
    channels: object,
    passthrough: object,
    activation: object,
    scale: Array | None,
    shift: Array | None,
    residual: Array | None,
    residual_order: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Any, Any, Any, Any, Any, Any]: ...
def conv_transpose_grad(
    ndim: int,
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    output_padding: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Any, Any, Any]: ...
def avg_pool(
    ndim: int,
    x: Array,
    window: object,
    stride: object,
    padding: object,
    dilation: object,
    count_include_pad: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def max_pool(
    ndim: int,
    x: Array,
    window: object,
    stride: object,
    padding: object,
    dilation: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def sliding_reduce(
    x: Array,
    window: object,
    axis: object,
    op: object,
    padding: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def space_to_depth(
    x: Array, block: object, order: object, layout: object, out: Array | None, threads: object, /
) -> Array: ...
def depth_to_space(
    x: Array, block: object, order: object, layout: object, out: Array | None, threads: object, /
) -> Array: ...

class AttentionPlan(metaclass=_Pybind11Type):
    def __init__(
        self,
        patterns: list[tuple[object, ...]],
        causal: object,
        scale: object,
        bias: Array | None,
        bias_kind: int,
        softcap: object,
        sink: Array | None,
        layout: object,
        /,
    ) -> None: ...
    def run(
        self,
        q: Array,
        k: Array,
        v: Array,
        low_rank: object,
        key_bias: Array | None,
        key_mask: Array | None,
        extra_kv: object,
        return_lse: object,
        out: Array | None,
        threads: object,
        /,
    ) -> Any: ...

def attention(
    q: Array,
    k: Array,
    v: Array,
    patterns: list[tuple[object, ...]],
    causal: object,
    scale: object,
    bias: Array | None,
    bias_kind: int,
    low_rank: object,
    key_bias: Array | None,
    key_mask: Array | None,
    softcap: object,
    sink: Array | None,
    extra_kv: object,
    return_lse: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Any: ...
def dynamic_conv(
    which: int,
    x: Array,
    weight: Array,
    kernel: object,
    stride: object,
    dilation: object,
    padding: object,
    softmax: object,
    renormalize_padding: object,
    map: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def dynamic_conv_backward(
    which: int,
    dy: Array,
    x: Array,
    weight: Array,
    kernel: object,
    stride: object,
    dilation: object,
    padding: object,
    softmax: object,
    renormalize_padding: object,
    map: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> Any: ...
def attention_backward(
    do: Array,
    q: Array,
    k: Array,
    v: Array,
    o: Array,
    lse: Array,
    dlse: Array | None,
    patterns: list[tuple[object, ...]],
    causal: object,
    scale: object,
    bias: Array | None,
    bias_kind: int,
    low_rank: object,
    key_bias: Array | None,
    key_mask: Array | None,
    softcap: object,
    sink: Array | None,
    extra_kv: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Any, ...]: ...
def gate_mul(
    a: Array,
    b: Array,
    activation: object,
    gate: object,
    add: Array | None,
    tile: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def gate_mul_backward(
    dy: Array,
    a: Array,
    b: Array,
    activation: object,
    gate: object,
    add: Array | None,
    tile: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> Any: ...
def spatial_gate(
    is_softmax: bool,
    x: Array,
    logits: Array,
    residual: object,
    ndim: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def spatial_gate_backward(
    is_softmax: bool,
    dy: Array,
    x: Array,
    logits: Array,
    residual: object,
    ndim: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> Any: ...
def long_conv(
    u: Array,
    k: Array,
    mode: object,
    offset: object,
    skip: Array | None,
    bias: Array | None,
    pre_gate: Array | None,
    post_gate: Array | None,
    response: Array | None,
    n_fft: object,
    correlate: object,
    head_map: object,
    method: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def long_conv_backward(
    dy: Array,
    u: Array,
    k: Array,
    mode: object,
    offset: object,
    skip: Array | None,
    bias: Array | None,
    pre_gate: Array | None,
    post_gate: Array | None,
    response: Array | None,
    n_fft: object,
    correlate: object,
    head_map: object,
    method: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> Any: ...
def branch_select(
    branches: Array, logits: Array, layout: object, out: Array | None, threads: object, /
) -> Array: ...
def branch_select_backward(
    dy: Array, branches: Array, logits: Array, layout: object, needs: object, threads: object, /
) -> Any: ...
def channel_gate(
    x: Array,
    kind: object,
    weights: object,
    ndim: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def channel_gate_backward(
    dy: Array,
    x: Array,
    kind: object,
    weights: object,
    ndim: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> Any: ...
def avg_pool_backward(
    ndim: int,
    dy: Array,
    x: Array,
    window: object,
    stride: object,
    padding: object,
    dilation: object,
    count_include_pad: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None]: ...
def max_pool_backward(
    ndim: int,
    dy: Array,
    x: Array,
    window: object,
    stride: object,
    padding: object,
    dilation: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None]: ...
def sliding_reduce_backward(
    dy: Array,
    x: Array,
    window: object,
    axis: object,
    op: object,
    padding: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None]: ...
def space_to_depth_backward(
    dy: Array,
    x: Array,
    block: object,
    order: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None]: ...
def depth_to_space_backward(
    dy: Array,
    x: Array,
    block: object,
    order: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None]: ...
def long_conv2d(
    u: Array,
    k: Array,
    mode: object,
    method: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def long_conv2d_backward(
    dy: Array,
    u: Array,
    k: Array,
    mode: object,
    method: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None, ...]: ...
def band_split(x: Array, cutoffs: object, metric: object, threads: object, /) -> list[Array]: ...
def band_split_backward(
    dys: object, x: Array, cutoffs: object, metric: object, needs: object, threads: object, /
) -> tuple[Array | None]: ...
def host_values(array: Array, op: str, arg: str, /) -> tuple[Any, str]: ...
def host_result(values: Any, like: Array, op: str, /) -> Any: ...
def sample_conv(
    ndim: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    padding_mode: object,
    layout: object,
    channels: object,
    passthrough: object,
    activation: object,
    scale: Array | None,
    shift: Array | None,
    residual: Array | None,
    residual_order: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def sample_conv_backward(
    ndim: int,
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    padding_mode: object,
    layout: object,
    channels: object,
    passthrough: object,
    activation: object,
    scale: Array | None,
    shift: Array | None,
    residual: Array | None,
    residual_order: object,
    needs: object,
    threads: object,
    /,
) -> Any: ...
def mix_kernels(coeff: Array, experts: Array, out: Array | None, threads: object, /) -> Array: ...
def mix_kernels_backward(
    dw: Array, coeff: Array, experts: Array, needs: object, threads: object, /
) -> Any: ...
def deform_conv(
    x: Array,
    weight: Array,
    offset: Array,
    mask: Array | None,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    deform_groups: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def deform_conv_backward(
    dy: Array,
    x: Array,
    weight: Array,
    offset: Array,
    mask: Array | None,
    bias: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    deform_groups: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> Any: ...
def explain(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]: ...
def record(
    fn: Callable[..., Iterable[Any]], arrays: tuple[Any, ...], /
) -> tuple[tuple[Any, ...], int]: ...

run_recorded: object

def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def check_threads(n: int) -> int: ...
def set_thread_limit(n: int) -> int: ...
def operators() -> list[str]: ...
def kernels(op: str) -> list[str]: ...
def force_kernel(name: str) -> str: ...
def cpu() -> dict[str, Any]: ...
def build() -> dict[str, Any]: ...
def gated_conv_grad(
    ndim: int,
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    activation: object,
    gate: object,
    order: object,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    padding_mode: object,
    layout: object,
    channels: object,
    passthrough: object,
    scale: Array | None,
    shift: Array | None,
    residual: Array | None,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None, ...]: ...
def partial_conv_grad(
    ndim: int,
    dy: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    mask: Array | None,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    renormalize: object,
    mask_update: object,
    eps: object,
    layout: object,
    activation: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None, ...]: ...
def combine_tokens(
    op: str,
    arg: str,
    x: Array,
    offsets: Array | None,
    sources: Array,
    weights: Array | None,
    g: Array | None,
    options: dict[str, Any],
    threads: int | None,
    /,
) -> Array: ...

max_merge_parts: int

def merge_attention(parts: object, threads: object, /) -> tuple[Array, Array]: ...
def merge_attention_backward(
    do: Array, dlse: Array | None, parts: object, threads: object, /
) -> list[tuple[Array, Array]]: ...
def linear_attention(
    q: Array,
    k: Array,
    v: Array,
    has_softmax: bool,
    causal: object,
    scale: object,
    layout: object,
    out: Array | None,
    threads: object,
    /,
) -> Array: ...
def linear_attention_backward(
    do: Array,
    q: Array,
    k: Array,
    v: Array,
    has_softmax: bool,
    causal: object,
    scale: object,
    layout: object,
    needs: object,
    threads: object,
    /,
) -> tuple[Array | None, ...]: ...
def select_blocks(
    q: Array,
    k: Array,
    parent_indices: Array | None,
    parent_counts: Array | None,
    forced: Array | None,
    forced_rows: Array | None,
    options: dict[str, Any],
    threads: object,
    /,
) -> tuple[Array, Array, Array | None]: ...
