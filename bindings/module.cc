// The private module swath._core. Each bind_* function lives in the file of its name.
#include "bindings.h"
#include "numpy_api.h"
#include "ops/attention.h"

#include <swath/registry.h>

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  using namespace swath::python;
  if (!import_numpy()) throw pybind11::error_already_set();
  m.doc() = "Private: the compiled part of swath. Use the functions of the package.";
  m.attr("__version__") = swath::version();
  bind_errors(m);
  bind_buffer(m);
  bind_host_arrays(m);
  bind_executor(m);
  bind_registry(m);
  bind_explain(m);
  bind_recorded(m);
  bind_sliding_conv(m);
  bind_gated_conv(m);
  bind_partial_conv(m);
  bind_conv_transpose(m);
  bind_conv_backward(m);
  bind_sample_conv(m);
  bind_deform_conv(m);
  bind_pooling(m);
  bind_gates(m);
  bind_dynamic_conv(m);
  bind_dynamic_stream(m);
  bind_channel_gate(m);
  bind_pooling_backward(m);
  bind_space_to_depth(m);
  bind_tokens(m);
  bind_merge_attention(m);
  bind_linear_attention(m);
  bind_select_blocks(m);
  bind_long_conv2d(m);
  bind_band_split(m);
  bind_long_conv(m);
  bind_attention(m);
  bind_attention_plan(m);
  bind_attention_backward(m);
  bind_plan(m);
  bind_long_plan(m);
}
