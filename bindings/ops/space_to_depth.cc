#include <swath/ops/space_to_depth.h>

#include "arguments.h"
#include "bindings.h"
#include "call.h"

namespace swath::python {
namespace {

py::object rearrange(const char* op, bool is_inverse, py::handle x, py::handle block,
                     py::handle order, py::handle layout, py::handle out, py::handle threads) {
  static constexpr std::string_view kOrders[] = {"torch", "tf", "spd"};
  Call call(op, Accept::any);
  const TensorDesc& x_desc = call.input(0, x, "x");
  SpaceToDepthParams p;
  p.name = op;
  p.inverse = is_inverse;
  p.block = read_int(block, {op, "block"});
  p.order = static_cast<BlockOrder>(read_choice(order, kOrders, {op, "order"}));
  p.layout = read_layout(layout, op);
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

}  // namespace

void bind_space_to_depth(py::module_& m) {
  const auto define = [&](const char* name, auto* fn) {
    m.def(name, fn, py::arg("x"), py::arg("block"), py::arg("order"), py::arg("layout"),
          py::arg("out"), py::arg("threads"), py::pos_only());
  };
  define("space_to_depth", &function<false>);
  define("depth_to_space", &function<true>);
}

}  // namespace swath::python
