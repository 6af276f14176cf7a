#include "ops/gates.h"

#include "bindings.h"

namespace swath::python {
namespace {

/// None, an activation, or ("asym_gauss", (height, mu, left, right)).
Gate read_gate(py::handle object, ArgName name) {
  Gate gate;
  const bool is_pair = PyTuple_Check(object.ptr()) && PyTuple_GET_SIZE(object.ptr()) == 2;
  const py::handle kind = is_pair ? py::handle(PyTuple_GET_ITEM(object.ptr(), 0)) : object;
  static constexpr const char* kAsymGauss = "asym_gauss";
  if (!PyUnicode_Check(kind.ptr()) ||
      PyUnicode_CompareWithASCIIString(kind.ptr(), kAsymGauss) != 0) {
    const ActivationChoice choice = read_activation(object, name);
    gate.kind = choice.kind;
    gate.value = choice.value;
    return gate;
  }
  if (!is_pair) refuse(name, object, "('asym_gauss', (a, mu, s1, s2))");
  const std::vector<double> numbers = read_numbers(PyTuple_GET_ITEM(object.ptr(), 1), 4, name);
  gate.is_asym_gauss = true;
  gate.height = numbers[0];
  gate.mu = numbers[1];
  gate.left = numbers[2];
  gate.right = numbers[3];
  return gate;
}

GateMulParams read_gate_mul(const char* op, py::handle activation, py::handle gate, py::handle tile,
                            py::handle layout) {
  GateMulParams p;
  p.name = op;
  const ActivationChoice choice = read_activation(activation, {op, "activation"});
  p.activation = choice.kind;
  p.activation_value = choice.value;
  p.gate = read_gate(gate, {op, "gate"});
  p.tile = read_int(tile, {op, "tile"});
  p.layout = read_layout(layout, op);
  return p;
}

py::object gate_mul(py::handle a, py::handle b, py::handle activation, py::handle gate,
                    py::handle add, py::handle tile, py::handle layout, py::handle out,
                    py::handle threads) {
  constexpr const char* op = "gate_mul";
  Call call(op);
  const TensorDesc& a_desc = call.input(0, a, "a");
  const TensorDesc& b_desc = call.input(1, b, "b");
  const TensorDesc* add_desc = call.optional_input(2, add, "add");
  const GateMulParams p = read_gate_mul(op, activation, gate, tile, layout);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_gate_mul(a_desc, b_desc, add_desc, p, call.options()), n_threads);
}

py::object gate_mul_backward(py::handle dy, py::handle a, py::handle b, py::handle activation,
                             py::handle gate, py::handle add, py::handle tile, py::handle layout,
                             py::handle needs, py::handle threads) {
  constexpr const char* op = "grad.gate_mul";
  static constexpr std::string_view kInputs[] = {"a", "b", "add", "gate"};
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& a_desc = call.input(1, a, "a");
  const TensorDesc& b_desc = call.input(2, b, "b");
  const TensorDesc* add_desc = call.optional_input(3, add, "add");
  const GateMulParams p = read_gate_mul(op, activation, gate, tile, layout);
  std::vector<bool> needed = read_needs(needs, kInputs, op);
  needed[2] = needed[2] && add_desc != nullptr;
  needed[3] = needed[3] && p.gate.is_asym_gauss;
  const int n_threads = read_threads(threads, {op, "threads"});
  const GateMulNeeds wanted{needed[0], needed[1], needed[2], needed[3]};
  const Plan plan =
      plan_gate_mul_backward(dy_desc, a_desc, b_desc, add_desc, p, wanted, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

SpatialGateParams read_spatial(const char* op, const TensorDesc& x, bool is_softmax,
                               py::handle residual, py::handle ndim, py::handle layout) {
  SpatialGateParams p;
  p.name = op;
  p.is_softmax = is_softmax;
  p.residual = read_bool(residual, {op, "residual"});
  p.ndim = read_ndim(ndim, x, op);
  p.layout = read_layout(layout, op);
  return p;
}

py::object spatial_gate(bool is_softmax, py::handle x, py::handle logits, py::handle residual,
                        py::handle ndim, py::handle layout, py::handle out, py::handle threads) {
  const char* op = is_softmax ? "spatial_softmax_gate" : "spatial_gate";
  Call call(op);
  const TensorDesc& x_desc = call.input(0, x, "x");
  const TensorDesc& logits_desc = call.input(1, logits, "logits");
  const SpatialGateParams p = read_spatial(op, x_desc, is_softmax, residual, ndim, layout);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_spatial_gate(x_desc, logits_desc, p, call.options()), n_threads);
}

py::object spatial_gate_backward(bool is_softmax, py::handle dy, py::handle x, py::handle logits,
                                 py::handle residual, py::handle ndim, py::handle layout,
                                 py::handle needs, py::handle threads) {
  const char* op = is_softmax ? "grad.spatial_softmax_gate" : "grad.spatial_gate";
  static constexpr std::string_view kInputs[] = {"x", "logits"};
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& x_desc = call.input(1, x, "x");
  const TensorDesc& logits_desc = call.input(2, logits, "logits");
  const SpatialGateParams p = read_spatial(op, x_desc, is_softmax, residual, ndim, layout);
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_spatial_gate_backward(dy_desc, x_desc, logits_desc, p,
                                               {needed[0], needed[1]}, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

py::object branch_select(py::handle branches, py::handle logits, py::handle layout, py::handle out,
                         py::handle threads) {
  constexpr const char* op = "branch_select";
  Call call(op);
  const TensorDesc& branches_desc = call.input(0, branches, "branches");
  const TensorDesc& logits_desc = call.input(1, logits, "logits");
  const BranchSelectParams p{read_layout(layout, op), op};
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_branch_select(branches_desc, logits_desc, p, call.options()), n_threads);
}

py::object branch_select_backward(py::handle dy, py::handle branches, py::handle logits,
                                  py::handle layout, py::handle needs, py::handle threads) {
  constexpr const char* op = "grad.branch_select";
  static constexpr std::string_view kInputs[] = {"branches", "logits"};
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& branches_desc = call.input(1, branches, "branches");
  const TensorDesc& logits_desc = call.input(2, logits, "logits");
  const BranchSelectParams p{read_layout(layout, op), op};
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_branch_select_backward(dy_desc, branches_desc, logits_desc, p,
                                                {needed[0], needed[1]}, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

int read_ndim(py::handle object, const TensorDesc& x, const char* op) {
  if (object.is_none()) return x.rank - 2;
  const int64_t ndim = read_int(object, {op, "ndim"});
  if (ndim < 1 || ndim > 3) refuse({op, "ndim"}, object, "1, 2 or 3 spatial axes");
  return static_cast<int>(ndim);
}

void bind_gates(py::module_& m) {
  m.def("gate_mul", &gate_mul, py::arg("a"), py::arg("b"), py::arg("activation"), py::arg("gate"),
        py::arg("add"), py::arg("tile"), py::arg("layout"), py::arg("out"), py::arg("threads"),
        py::pos_only());
  m.def("gate_mul_backward", &gate_mul_backward, py::arg("dy"), py::arg("a"), py::arg("b"),
        py::arg("activation"), py::arg("gate"), py::arg("add"), py::arg("tile"), py::arg("layout"),
        py::arg("needs"), py::arg("threads"), py::pos_only());
  m.def("spatial_gate", &spatial_gate, py::arg("is_softmax"), py::arg("x"), py::arg("logits"),
        py::arg("residual"), py::arg("ndim"), py::arg("layout"), py::arg("out"), py::arg("threads"),
        py::pos_only());
  m.def("spatial_gate_backward", &spatial_gate_backward, py::arg("is_softmax"), py::arg("dy"),
        py::arg("x"), py::arg("logits"), py::arg("residual"), py::arg("ndim"), py::arg("layout"),
        py::arg("needs"), py::arg("threads"), py::pos_only());
  m.def("branch_select", &branch_select, py::arg("branches"), py::arg("logits"), py::arg("layout"),
        py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("branch_select_backward", &branch_select_backward, py::arg("dy"), py::arg("branches"),
        py::arg("logits"), py::arg("layout"), py::arg("needs"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
