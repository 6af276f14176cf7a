#include <swath/ops/linear_attention.h>

#include "arguments.h"
#include "bindings.h"
#include "call.h"

namespace swath::python {
namespace {

LinearAttentionParams read_linear(const char* op, bool has_softmax, py::handle causal,
                                  py::handle scale, py::handle layout) {
  static constexpr std::string_view kLayouts[] = {"heads_first", "heads_last"};
  LinearAttentionParams p;
  p.name = op;
  p.has_softmax = has_softmax;
  p.is_causal = read_bool(causal, {op, "causal"});
  p.has_scale = !scale.is_none();
  if (p.has_scale) p.scale = read_number(scale, {op, "scale"});
  p.layout = static_cast<HeadLayout>(read_choice(layout, kLayouts, {op, "layout"}));
  return p;
}

py::object linear_attention(py::handle q, py::handle k, py::handle v, bool has_softmax,
                            py::handle causal, py::handle scale, py::handle layout, py::handle out,
                            py::handle threads) {
  constexpr const char* op = "linear_attention";
  Call call(op);
  const TensorDesc& q_desc = call.input(0, q, "q");
  const TensorDesc& k_desc = call.input(1, k, "k");
  const TensorDesc& v_desc = call.input(2, v, "v");
  const LinearAttentionParams p = read_linear(op, has_softmax, causal, scale, layout);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_linear_attention(q_desc, k_desc, v_desc, p, call.options()), n_threads);
}

py::object linear_attention_backward(py::handle d_o, py::handle q, py::handle k, py::handle v,
                                     bool has_softmax, py::handle causal, py::handle scale,
                                     py::handle layout, py::handle needs, py::handle threads) {
  constexpr const char* op = "grad.linear_attention";
  static constexpr std::string_view kInputs[] = {"q", "k", "v"};
  Call call(op);
  const TensorDesc& do_desc = call.input(0, d_o, "do");
  const TensorDesc& q_desc = call.input(1, q, "q");
  const TensorDesc& k_desc = call.input(2, k, "k");
  const TensorDesc& v_desc = call.input(3, v, "v");
  const LinearAttentionParams p = read_linear(op, has_softmax, causal, scale, layout);
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_linear_attention_backward(
      do_desc, q_desc, k_desc, v_desc, p, {needed[0], needed[1], needed[2]}, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

void bind_linear_attention(py::module_& m) {
  m.def("linear_attention", &linear_attention, py::arg("q"), py::arg("k"), py::arg("v"),
        py::arg("has_softmax"), py::arg("causal"), py::arg("scale"), py::arg("layout"),
        py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("linear_attention_backward", &linear_attention_backward, py::arg("do"), py::arg("q"),
        py::arg("k"), py::arg("v"), py::arg("has_softmax"), py::arg("causal"), py::arg("scale"),
        py::arg("layout"), py::arg("needs"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
