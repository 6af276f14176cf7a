#include "bindings.h"
#include "ops/gates.h"

namespace swath::python {
namespace {

/// What both directions read after their arrays.
struct Weights {
  std::vector<const TensorDesc*> descs;

  /// A sequence of arrays or None, in input slots from `first_slot` on.
  Weights(Call& call, py::handle object, int first_slot, const char* op) {
    if (!PyTuple_Check(object.ptr()) && !PyList_Check(object.ptr())) {
      refuse({op, "weights"}, object, "a tuple of arrays");
    }
    const auto items = py::reinterpret_borrow<py::sequence>(object);
    if (items.size() < 1 || items.size() > kMaxGateWeights) {
      refuse({op, "weights"}, object, "1 to 4 arrays");
    }
    for (size_t i = 0; i < items.size(); ++i) {
      const py::object item = items[i];
      descs.push_back(call.optional_input(first_slot + static_cast<int>(i), item, "weights"));
    }
  }
  int count() const { return static_cast<int>(descs.size()); }
};

ChannelGateParams read_params(const char* op, const TensorDesc& x, py::handle kind, py::handle ndim,
                              py::handle layout) {
  static constexpr std::string_view kKinds[] = {"eca", "se", "cca", "mean_std"};
  ChannelGateParams p;
  p.name = op;
  p.kind = static_cast<ChannelGateKind>(read_choice(kind, kKinds, {op, "kind"}));
  p.ndim = read_ndim(ndim, x, op);
  p.layout = read_layout(layout, op);
  return p;
}

py::object channel_gate(py::handle x, py::handle kind, py::handle weights, py::handle ndim,
                        py::handle layout, py::handle out, py::handle threads) {
  constexpr const char* op = "channel_gate";
  Call call(op);
  const TensorDesc& x_desc = call.input(0, x, "x");
  const Weights given(call, weights, 1, op);
  const ChannelGateParams p = read_params(op, x_desc, kind, ndim, layout);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_channel_gate(x_desc, given.descs.data(), given.count(), p, call.options()),
                  n_threads);
}

/// (dx, gradients of the weights).
py::object channel_gate_backward(py::handle dy, py::handle x, py::handle kind, py::handle weights,
                                 py::handle ndim, py::handle layout, py::handle needs,
                                 py::handle threads) {
  constexpr const char* op = "grad.channel_gate";
  static constexpr std::string_view kInputs[] = {"x", "weights"};
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& x_desc = call.input(1, x, "x");
  const Weights given(call, weights, 2, op);
  const ChannelGateParams p = read_params(op, x_desc, kind, ndim, layout);
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_channel_gate_backward(dy_desc, x_desc, given.descs.data(), given.count(),
                                               p, {needed[0], needed[1]}, call.options());
  std::vector<py::object> found = call.run_all(plan, n_threads);
  py::object dx = py::none(), dweights = py::none();
  if (needed[0]) {
    dx = std::move(found.front());
    found.erase(found.begin());
  }
  if (needed[1]) {
    std::vector<bool> is_given;
    for (const TensorDesc* desc : given.descs) is_given.push_back(desc != nullptr);
    dweights = spread(std::move(found), is_given);
  }
  return py::make_tuple(dx, dweights);
}

}  // namespace

void bind_channel_gate(py::module_& m) {
  m.def("channel_gate", &channel_gate, py::arg("x"), py::arg("kind"), py::arg("weights"),
        py::arg("ndim"), py::arg("layout"), py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("channel_gate_backward", &channel_gate_backward, py::arg("dy"), py::arg("x"),
        py::arg("kind"), py::arg("weights"), py::arg("ndim"), py::arg("layout"), py::arg("needs"),
        py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
