#include <swath/ops/space_to_depth.h>

#include "arguments.h"
#include "bindings.h"
#include "call.h"

namespace swath::python {
namespace {

SpaceToDepthParams read_blocks(const char* op, bool is_inverse, py::handle block, py::handle order,
                               py::handle layout) {
  static constexpr std::string_view kOrders[] = {"torch", "tf", "spd"};
  SpaceToDepthParams p;
  p.name = op;
  p.inverse = is_inverse;
  p.block = read_int(block, {op, "block"});
  p.order = static_cast<BlockOrder>(read_choice(order, kOrders, {op, "order"}));
  p.layout = read_layout(layout, op);
  return p;
}

py::object rearrange(const char* op, bool is_inverse, py::handle x, py::handle block,
                     py::handle order, py::handle layout, py::handle out, py::handle threads) {
  Call call(op, Accept::any);
  const TensorDesc& x_desc = call.input(0, x, "x");
  const SpaceToDepthParams p = read_blocks(op, is_inverse, block, order, layout);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_space_to_depth(x_desc, p, call.options()), n_threads);
}

template <bool kIsInverse>
py::object function(py::handle x, py::handle block, py::handle order, py::handle layout,
                    py::handle out, py::handle threads) {
  return rearrange(kIsInverse ? "depth_to_space" : "space_to_depth", kIsInverse, x, block, order,
                   layout, out, threads);
}

template <bool kIsInverse>
py::tuple backward(py::handle dy, py::handle x, py::handle block, py::handle order,
                   py::handle layout, py::handle needs, py::handle threads) {
  static constexpr std::string_view kInputs[] = {"x"};
  const char* op = kIsInverse ? "grad.depth_to_space" : "grad.space_to_depth";
  Call call(op, Accept::any);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& x_desc = call.input(1, x, "x");
  const SpaceToDepthParams p = read_blocks(op, kIsInverse, block, order, layout);
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_space_to_depth_backward(dy_desc, x_desc, p, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

void bind_space_to_depth(py::module_& m) {
  const auto define = [&](const char* name, auto* fn) {
    m.def(name, fn, py::arg("x"), py::arg("block"), py::arg("order"), py::arg("layout"),
          py::arg("out"), py::arg("threads"), py::pos_only());
  };
  define("space_to_depth", &function<false>);
  define("depth_to_space", &function<true>);
  const auto define_backward = [&](const char* name, auto* fn) {
    m.def(name, fn, py::arg("dy"), py::arg("x"), py::arg("block"), py::arg("order"),
          py::arg("layout"), py::arg("needs"), py::arg("threads"), py::pos_only());
  };
  define_backward("space_to_depth_backward", &backward<false>);
  define_backward("depth_to_space_backward", &backward<true>);
}

}  // namespace swath::python
