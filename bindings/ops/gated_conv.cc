#include "ops/gated_conv.h"

#include "bindings.h"

namespace swath::python {
namespace {

constexpr const char* kGatedNames[] = {"gated_conv1d", "gated_conv2d", "gated_conv3d"};

py::object gated_conv(int ndim, py::handle x, py::handle weight, py::handle bias,
                      py::handle activation, py::handle gate, py::handle order, py::handle stride,
                      py::handle padding, py::handle dilation, py::handle groups,
                      py::handle padding_mode, py::handle layout, py::handle channels,
                      py::handle passthrough, py::handle scale, py::handle shift,
                      py::handle residual, py::handle out, py::handle threads) {
  const char* op = kGatedNames[ndim - 1];
  Call call(op);
  const TensorDesc& x_desc = call.input(kConvX, x, "x");
  const TensorDesc& weight_desc = call.input(kConvWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kConvBias, bias, "bias");
  const TensorDesc* scale_desc = call.optional_input(kConvScale, scale, "scale");
  const TensorDesc* shift_desc = call.optional_input(kConvShift, shift, "shift");
  const TensorDesc* residual_desc = call.optional_input(kConvResidual, residual, "residual");
  const ConvSettings settings = read_conv_settings(ndim, op,
                                                   {stride,
                                                    padding,
                                                    dilation,
                                                    groups,
                                                    padding_mode,
                                                    layout,
                                                    channels,
                                                    passthrough,
                                                    activation,
                                                    {},
                                                    threads});
  const GatedConvParams params{settings.params, read_gate(gate, order, op)};
  call.out(out, params.conv.has_channels ? OutMayBeX::yes : OutMayBeX::no);
  const Plan plan = plan_gated_conv(x_desc, weight_desc, bias_desc, scale_desc, shift_desc,
                                    residual_desc, params, call.options());
  return call.run(plan, settings.n_threads);
}

}  // namespace

ConvGate read_gate(py::handle gate, py::handle order, const char* op) {
  static constexpr std::string_view kOrders[] = {"feature_first", "gate_first"};
  const bool is_identity =
      PyUnicode_Check(gate.ptr()) && PyUnicode_CompareWithASCIIString(gate.ptr(), "identity") == 0;
  const ActivationChoice choice =
      is_identity ? ActivationChoice{} : read_activation(gate, {op, "gate"});
  return {choice.kind, choice.value, read_choice(order, kOrders, {op, "order"}) == 1};
}

void bind_gated_conv(py::module_& m) {
  m.def("gated_conv", &gated_conv, py::arg("ndim"), py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("activation"), py::arg("gate"), py::arg("order"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("padding_mode"), py::arg("layout"), py::arg("channels"), py::arg("passthrough"),
        py::arg("scale"), py::arg("shift"), py::arg("residual"), py::arg("out"), py::arg("threads"),
        py::pos_only());
}

}  // namespace swath::python
