#include <swath/ops/tokens.h>

#include <pybind11/stl.h>
#include "arguments.h"

#include "bindings.h"
#include "call.h"

namespace swath::python {
namespace {

/// What swath/ops/_tokens.py has computed: the fields of CombineTokensParams by name.
struct Options {
  py::dict given;

  bool has(const char* name) const { return given.contains(name); }
  template <class T>
  void read(const char* name, T& into) const {
    if (has(name)) into = given[name].cast<T>();
  }
};

CombineTokensParams read_params(const Options& options, const std::string& op) {
  static constexpr std::string_view kModes[] = {"sum", "mean", "max", "max_grad", "dot"};
  static constexpr std::string_view kWeights[] = {"none", "source", "row"};
  CombineTokensParams p;
  p.name = op;
  p.mode = static_cast<TokenMode>(read_choice(options.given["mode"], kModes, {op.c_str(), "mode"}));
  if (options.has("weight")) {
    p.weight = static_cast<TokenWeight>(
        read_choice(options.given["weight"], kWeights, {op.c_str(), "weight"}));
  }
  options.read("x_axes", p.x_axes);
  options.read("y_axes", p.y_axes);
  options.read("g_axes", p.g_axes);
  options.read("y_shape", p.y_shape);
  options.read("n_weight_axes", p.n_weight_axes);
  options.read("weights_are_sums", p.weights_are_sums);
  options.read("table_strides", p.table_strides);
  options.read("weights_result", p.weights_result);
  options.read("places", p.places);
  return p;
}

/// `arg` is what the public function calls x.
py::object combine_tokens(const std::string& op, const std::string& arg, py::handle x,
                          py::handle offsets, py::handle sources, py::handle weights, py::handle g,
                          const py::dict& given, py::handle threads) {
  Call call(op.c_str());
  const TensorDesc& x_desc = call.input(0, x, arg.c_str());
  CombineTokensParams p = read_params({given}, op);
  const TensorDesc* offsets_desc = nullptr;
  if (!offsets.is_none()) offsets_desc = &call.input(1, offsets, "offsets", Accept::any);
  p.has_offsets = offsets_desc != nullptr;
  const TensorDesc& sources_desc = call.input(2, sources, "idx", Accept::any);
  const TensorDesc* weights_desc = call.optional_input(3, weights, "weights");
  const TensorDesc* g_desc = call.optional_input(4, g, "dy");
  const int n_threads = read_threads(threads, {op.c_str(), "threads"});
  return call.run(plan_combine_tokens(x_desc, offsets_desc, sources_desc, weights_desc, g_desc, p,
                                      call.options()),
                  n_threads);
}

}  // namespace

void bind_tokens(py::module_& m) {
  m.def("combine_tokens", &combine_tokens, py::arg("op"), py::arg("arg"), py::arg("x"),
        py::arg("offsets"), py::arg("sources"), py::arg("weights"), py::arg("g"),
        py::arg("options"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
