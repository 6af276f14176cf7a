"""ONNX Runtime: a session made in memory, weights as constants (prepacked), bound buffers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from peers.base import (
    Geometry,
    Peer,
    Prepared,
    Unsupported,
    channels_first,
    geometry,
    in_layout,
    reject,
)
from workload import Array, Workload

OPSET, IR_VERSION = 17, 8
ELEMENT = {"f16": TensorProto.FLOAT16, "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE}


class OnnxRuntime(Peer):
    name = "onnxruntime"
    version = ort.__version__

    def __init__(self) -> None:
        self.n_threads = 1

    def set_threads(self, n_threads: int) -> None:
        self.n_threads = n_threads

    def prepare(self, workload: Workload, values: Mapping[str, Array]) -> Prepared:
        reject(workload, "scale", "shift", "residual", "activation")
        if "x" not in values:
            raise Unsupported("no such operator")
        if workload.in_place or workload.dtype not in ELEMENT:
            raise Unsupported("in place" if workload.in_place else workload.dtype)
        x = channels_first(workload, values["x"])
        session = self.session(model(workload, values, x))
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
        binding.bind_output("y")
        session.run_with_iobinding(binding)  # finds the output's shape
        y = ort.OrtValue.ortvalue_from_numpy(binding.copy_outputs_to_cpu()[0])
        binding.bind_ortvalue_output("y", y)

        def call() -> Any:
            session.run_with_iobinding(binding)
            return y

        return Prepared(call, lambda value: in_layout(workload, value.numpy()))

    def session(self, proto: onnx.ModelProto) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.n_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            return ort.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its classes are private; the text says what is missing
            raise Unsupported(str(error).splitlines()[0].split(" : ")[-1]) from None


def model(workload: Workload, values: Mapping[str, Array], x: Array) -> onnx.ModelProto:
    """The graph x -> y; every other array is a constant."""
    nodes, constants = operation(workload)
    stored = {k: v for k, v in values.items() if k != "x"} | constants
    element = ELEMENT[workload.dtype]
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("x", element, x.shape)],
        [helper.make_tensor_value_info("y", element, None)],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in stored.items()],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )


def operation(workload: Workload) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    if workload.function == "space_to_depth" and workload.kwargs.get("order") == "tf":
        block = workload.kwargs["block"]
        return [helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=block)], {}
    if workload.op not in ("sliding_conv", "conv_transpose", "pooling"):
        raise Unsupported("no such operator")
    if workload.function == "sliding_reduce":
        raise Unsupported("no such operator")
    g = geometry(workload)
    attributes = window_attributes(g)
    if workload.op == "pooling":
        if workload.function.startswith("max"):
            return [helper.make_node("MaxPool", ["x"], ["y"], **attributes)], {}
        include = int(workload.kwargs.get("count_include_pad", True))
        del attributes["dilations"]  # AveragePool has them from opset 19 on
        node = helper.make_node(
            "AveragePool", ["x"], ["y"], count_include_pad=include, **attributes
        )
        return [node], {}
    inputs = ["x", "weight", *(["bias"] if "bias" in workload.arrays else [])]
    attributes["group"] = g.groups
    if workload.op == "conv_transpose":
        extra = workload.kwargs.get("output_padding", 0)
        attributes["output_padding"] = [extra] * len(g.kernel) if isinstance(extra, int) else extra
        return [helper.make_node("ConvTranspose", inputs, ["y"], **attributes)], {}
    if "channels" not in workload.kwargs:
        return [helper.make_node("Conv", inputs, ["y"], **attributes)], {}
    return partial_channels(workload, inputs, attributes)


def window_attributes(g: Geometry) -> dict[str, Any]:
    pads = [before for before, _ in g.pads] + [after for _, after in g.pads]
    return {
        "kernel_shape": g.kernel,
        "strides": g.stride,
        "dilations": g.dilation,
        "pads": pads,
    }


def partial_channels(
    workload: Workload, inputs: list[str], attributes: dict[str, Any]
) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Split, convolve the middle part, concatenate."""
    start, stop = workload.kwargs["channels"]
    n_channels = workload.shape("x")[-1 if workload.is_channels_last else 1]
    sizes = {"before": start, "middle": stop - start, "after": n_channels - stop}
    parts = [name for name, n in sizes.items() if n]
    nodes = [
        helper.make_node("Split", ["x", "sizes"], parts, axis=1),
        helper.make_node("Conv", ["middle", *inputs[1:]], ["done"], **attributes),
        helper.make_node("Concat", ["done" if p == "middle" else p for p in parts], ["y"], axis=1),
    ]
    return nodes, {"sizes": np.array([sizes[p] for p in parts], np.int64)}
