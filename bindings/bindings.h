// What module.cc calls, one function per file.
#pragma once

#include <pybind11/pybind11.h>

namespace swath::python {

namespace py = pybind11;

void bind_errors(py::module_& m);
void bind_buffer(py::module_& m);
void bind_host_arrays(py::module_& m);
void bind_executor(py::module_& m);
void bind_registry(py::module_& m);
void bind_explain(py::module_& m);
void bind_recorded(py::module_& m);
void bind_plan(py::module_& m);
void bind_long_plan(py::module_& m);

void bind_sliding_conv(py::module_& m);
void bind_gated_conv(py::module_& m);
void bind_partial_conv(py::module_& m);
void bind_conv_transpose(py::module_& m);
void bind_conv_backward(py::module_& m);
void bind_sample_conv(py::module_& m);
void bind_deform_conv(py::module_& m);
void bind_pooling(py::module_& m);
void bind_gates(py::module_& m);
void bind_dynamic_conv(py::module_& m);
void bind_dynamic_stream(py::module_& m);
void bind_channel_gate(py::module_& m);
void bind_pooling_backward(py::module_& m);
void bind_space_to_depth(py::module_& m);
void bind_tokens(py::module_& m);
void bind_merge_attention(py::module_& m);
void bind_linear_attention(py::module_& m);
void bind_select_blocks(py::module_& m);
void bind_long_conv2d(py::module_& m);
void bind_band_split(py::module_& m);
void bind_long_conv(py::module_& m);
void bind_attention(py::module_& m);
void bind_attention_plan(py::module_& m);

}  // namespace swath::python
