#include <swath/ops/long_conv2d.h>

#include "arguments.h"
#include "bindings.h"
#include "call.h"

namespace swath::python {
namespace {

LongConv2dParams read_long_conv2d(const char* op, py::handle mode, py::handle method,
                                  py::handle layout) {
  static constexpr std::string_view kModes[] = {"same", "circular", "full"};
  static constexpr std::string_view kMethods[] = {"auto", "fft", "direct"};
  LongConv2dParams p;
  p.name = op;
  p.mode = static_cast<LongConvMode2d>(read_choice(mode, kModes, {op, "mode"}));
  p.method = static_cast<LongConvMethod2d>(read_choice(method, kMethods, {op, "method"}));
  p.layout = read_layout(layout, op);
  return p;
}

py::object long_conv2d(py::handle u, py::handle k, py::handle mode, py::handle method,
                       py::handle layout, py::handle out, py::handle threads) {
  constexpr const char* op = "long_conv2d";
  Call call(op);
  const TensorDesc& u_desc = call.input(0, u, "u");
  const TensorDesc& k_desc = call.input(1, k, "k");
  const LongConv2dParams p = read_long_conv2d(op, mode, method, layout);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_long_conv2d(u_desc, k_desc, p, call.options()), n_threads);
}

py::tuple long_conv2d_backward(py::handle dy, py::handle u, py::handle k, py::handle mode,
                               py::handle method, py::handle layout, py::handle needs,
                               py::handle threads) {
  constexpr const char* op = "grad.long_conv2d";
  static constexpr std::string_view kInputs[] = {"u", "k"};
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& u_desc = call.input(1, u, "u");
  const TensorDesc& k_desc = call.input(2, k, "k");
  const LongConv2dParams p = read_long_conv2d(op, mode, method, layout);
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan =
      plan_long_conv2d_backward(dy_desc, u_desc, k_desc, p, {needed[0], needed[1]}, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

void bind_long_conv2d(py::module_& m) {
  m.def("long_conv2d", &long_conv2d, py::arg("u"), py::arg("k"), py::arg("mode"), py::arg("method"),
        py::arg("layout"), py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("long_conv2d_backward", &long_conv2d_backward, py::arg("dy"), py::arg("u"), py::arg("k"),
        py::arg("mode"), py::arg("method"), py::arg("layout"), py::arg("needs"), py::arg("threads"),
        py::pos_only());
}

}  // namespace swath::python
