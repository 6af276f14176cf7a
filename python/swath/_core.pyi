# Checked against the built module by mypy.stubtest.
from collections.abc import Callable, Mapping, Sequence
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
    threads: object,
    /,
) -> Array: ...
def max_pool_backward(
    ndim: int,
    dy: Array,
    x: Array,
    window: object,
    stride: object,
    padding: object,
    dilation: object,
    layout: object,
    threads: object,
    /,
) -> Array: ...
def sliding_reduce_backward(
    dy: Array,
    x: Array,
    window: object,
    axis: object,
    op: object,
    padding: object,
    threads: object,
    /,
) -> Array: ...
def space_to_depth_backward(
    dy: Array, x: Array, block: object, order: object, layout: object, threads: object, /
) -> Array: ...
def depth_to_space_backward(
    dy: Array, x: Array, block: object, order: object, layout: object, threads: object, /
) -> Array: ...
def explain(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]: ...
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
