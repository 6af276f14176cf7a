#include "ops/sliding_conv.h"

#include "bindings.h"
#include "core/format.h"

namespace swath::python {
namespace {

constexpr const char* kConvNames[] = {"conv1d", "conv2d", "conv3d"};

py::object conv(int ndim, py::handle x, py::handle weight, py::handle bias, py::handle stride,
                py::handle padding, py::handle dilation, py::handle groups, py::handle padding_mode,
                py::handle layout, py::handle channels, py::handle passthrough,
                py::handle activation, py::handle scale, py::handle shift, py::handle residual,
                py::handle residual_order, py::handle out, py::handle threads) {
  const char* op = kConvNames[ndim - 1];
  Call call(op);
  const TensorDesc& x_desc = call.input(kConvX, x, "x");
  const TensorDesc& weight_desc = call.input(kConvWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kConvBias, bias, "bias");
  const TensorDesc* scale_desc = call.optional_input(kConvScale, scale, "scale");
  const TensorDesc* shift_desc = call.optional_input(kConvShift, shift, "shift");
  const TensorDesc* residual_desc = call.optional_input(kConvResidual, residual, "residual");
  const ConvSettings settings =
      read_conv_settings(ndim, op,
                         {stride, padding, dilation, groups, padding_mode, layout, channels,
                          passthrough, activation, residual_order, threads});
  call.out(out, settings.params.has_channels ? OutMayBeX::yes : OutMayBeX::no);
  const Plan plan = plan_sliding_conv(x_desc, weight_desc, bias_desc, scale_desc, shift_desc,
                                      residual_desc, settings.params, call.options());
  return call.run(plan, settings.n_threads);
}

}  // namespace

ConvSettings read_conv_settings(int ndim, const char* op, const ConvOptions& options) {
  static constexpr std::string_view kPassThrough[] = {"copy", "none"};
  static constexpr std::string_view kOrders[] = {"after", "before"};
  ConvSettings s;
  SlidingConvParams& p = s.params;
  p.ndim = ndim;
  p.op = op;
  p.stride = read_extents(options.stride, ndim, {op, "stride"});
  p.padding = read_padding(options.padding, ndim, {op, "padding"});
  Dilation dilation = read_dilation(options.dilation, ndim, {op, "dilation"});
  p.dilation = dilation.all;
  s.dilation_rows = std::move(dilation.per_channel);
  if (!s.dilation_rows.empty()) {
    p.dilation_per_channel = s.dilation_rows.data();
    p.n_dilation_rows = dilation.n_rows;
  }
  p.groups = read_int(options.groups, {op, "groups"});
  if (options.padding_mode) p.padding_mode = read_padding_mode(options.padding_mode, op);
  p.layout = read_layout(options.layout, op);
  if (options.channels && !options.channels.is_none()) {
    p.has_channels = true;
    p.channels = read_pair(options.channels, {op, "channels"});
  }
  if (options.passthrough) {
    p.pass_through = read_choice(options.passthrough, kPassThrough, {op, "passthrough"}) == 0;
  }
  const ActivationChoice activation = read_activation(options.activation, {op, "activation"});
  p.activation = activation.kind;
  p.activation_value = activation.value;
  if (options.residual_order) {
    p.residual_before_activation =
        read_choice(options.residual_order, kOrders, {op, "residual_order"}) == 1;
  }
  s.n_threads = read_threads(options.threads, {op, "threads"});
  return s;
}

void bind_sliding_conv(py::module_& m) {
  m.def("conv", &conv, py::arg("ndim"), py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("padding_mode"), py::arg("layout"), py::arg("channels"), py::arg("passthrough"),
        py::arg("activation"), py::arg("scale"), py::arg("shift"), py::arg("residual"),
        py::arg("residual_order"), py::arg("out"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
