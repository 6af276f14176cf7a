#include <swath/ops/conv_backward.h>

#include "bindings.h"
#include "ops/conv_transpose.h"
#include "ops/gated_conv.h"
#include "ops/partial_conv.h"
#include "ops/sliding_conv.h"

namespace swath::python {
namespace {

constexpr const char* kConvGradNames[] = {"grad.conv1d", "grad.conv2d", "grad.conv3d"};
constexpr const char* kGatedGradNames[] = {"grad.gated_conv1d", "grad.gated_conv2d",
                                           "grad.gated_conv3d"};
constexpr const char* kPartialGradNames[] = {"grad.partial_conv1d", "grad.partial_conv2d",
                                             "grad.partial_conv3d"};
constexpr const char* kTransposeGradNames[] = {"grad.conv_transpose1d", "grad.conv_transpose2d",
                                               "grad.conv_transpose3d"};
constexpr std::string_view kConvInputs[] = {"x", "weight", "bias", "scale", "shift", "residual"};

ConvNeeds read_conv_needs(py::handle object, std::span<const std::string_view> inputs,
                          const char* op) {
  std::vector<bool> needed = read_needs(object, inputs, op);
  needed.resize(6);
  return {needed[0], needed[1], needed[2], needed[3], needed[4], needed[5]};
}

py::tuple conv_grad(int ndim, py::handle dy, py::handle x, py::handle weight, py::handle bias,
                    py::handle stride, py::handle padding, py::handle dilation, py::handle groups,
                    py::handle padding_mode, py::handle layout, py::handle channels,
                    py::handle passthrough, py::handle activation, py::handle scale,
                    py::handle shift, py::handle residual, py::handle residual_order,
                    py::handle needs, py::handle threads) {
  const char* op = kConvGradNames[ndim - 1];
  Call call(op);
  const TensorDesc& dy_desc = call.input(kGradDy, dy, "dy");
  const TensorDesc& x_desc = call.input(kGradX, x, "x");
  const TensorDesc& weight_desc = call.input(kGradWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kGradBias, bias, "bias");
  const TensorDesc* scale_desc = call.optional_input(kGradScale, scale, "scale");
  const TensorDesc* shift_desc = call.optional_input(kGradShift, shift, "shift");
  const TensorDesc* residual_desc = call.optional_input(kGradResidual, residual, "residual");
  const ConvSettings settings =
      read_conv_settings(ndim, op,
                         {stride, padding, dilation, groups, padding_mode, layout, channels,
                          passthrough, activation, residual_order, threads});
  const ConvNeeds n = read_conv_needs(needs, kConvInputs, op);
  const std::vector<bool> wanted = {n.x,
                                    n.weight,
                                    n.bias,
                                    n.scale && scale_desc != nullptr,
                                    n.shift && shift_desc != nullptr,
                                    n.residual && residual_desc != nullptr};
  const Plan plan =
      plan_sliding_conv_backward(dy_desc, x_desc, weight_desc, bias_desc, scale_desc, shift_desc,
                                 residual_desc, settings.params, n, call.options());
  return call.run_gradients(plan, settings.n_threads, wanted);
}

py::tuple gated_conv_grad(int ndim, py::handle dy, py::handle x, py::handle weight, py::handle bias,
                          py::handle activation, py::handle gate, py::handle order,
                          py::handle stride, py::handle padding, py::handle dilation,
                          py::handle groups, py::handle padding_mode, py::handle layout,
                          py::handle channels, py::handle passthrough, py::handle scale,
                          py::handle shift, py::handle residual, py::handle needs,
                          py::handle threads) {
  const char* op = kGatedGradNames[ndim - 1];
  Call call(op);
  const TensorDesc& dy_desc = call.input(kGradDy, dy, "dy");
  const TensorDesc& x_desc = call.input(kGradX, x, "x");
  const TensorDesc& weight_desc = call.input(kGradWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kGradBias, bias, "bias");
  const TensorDesc* scale_desc = call.optional_input(kGradScale, scale, "scale");
  const TensorDesc* shift_desc = call.optional_input(kGradShift, shift, "shift");
  const TensorDesc* residual_desc = call.optional_input(kGradResidual, residual, "residual");
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
  const ConvNeeds n = read_conv_needs(needs, kConvInputs, op);
  const std::vector<bool> wanted = {n.x,
                                    n.weight,
                                    n.bias,
                                    n.scale && scale_desc != nullptr,
                                    n.shift && shift_desc != nullptr,
                                    n.residual && residual_desc != nullptr};
  const Plan plan = plan_gated_conv_backward(dy_desc, x_desc, weight_desc, bias_desc, scale_desc,
                                             shift_desc, residual_desc, params, n, call.options());
  return call.run_gradients(plan, settings.n_threads, wanted);
}

py::tuple partial_conv_grad(int ndim, py::handle dy, py::handle x, py::handle weight,
                            py::handle bias, py::handle mask, py::handle stride, py::handle padding,
                            py::handle dilation, py::handle groups, py::handle renormalize,
                            py::handle mask_update, py::handle eps, py::handle layout,
                            py::handle activation, py::handle needs, py::handle threads) {
  const char* op = kPartialGradNames[ndim - 1];
  Call call(op);
  const TensorDesc& dy_desc = call.input(kPartialGradDy, dy, "dy");
  const TensorDesc& x_desc = call.input(kPartialGradX, x, "x");
  const TensorDesc& weight_desc = call.input(kPartialGradWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kPartialGradBias, bias, "bias");
  const TensorDesc* mask_desc =
      mask.is_none() ? nullptr : &call.input(kPartialGradMask, mask, "mask", Accept::masks);
  const ConvSettings settings = read_conv_settings(
      ndim, op, {stride, padding, dilation, groups, {}, layout, {}, {}, activation, {}, threads});
  const PartialOptions options = read_partial_options(renormalize, mask_update, eps, op);
  const ConvNeeds n = read_conv_needs(needs, std::span(kConvInputs).first(3), op);
  const std::vector<bool> wanted = {n.x, n.weight, n.bias};
  const Plan plan = plan_partial_conv_backward(dy_desc, x_desc, weight_desc, bias_desc, mask_desc,
                                               options.with(settings.params), n, call.options());
  return call.run_gradients(plan, settings.n_threads, wanted);
}

py::tuple conv_transpose_grad(int ndim, py::handle dy, py::handle x, py::handle weight,
                              py::handle bias, py::handle stride, py::handle padding,
                              py::handle dilation, py::handle groups, py::handle output_padding,
                              py::handle layout, py::handle needs, py::handle threads) {
  const char* op = kTransposeGradNames[ndim - 1];
  Call call(op);
  const TensorDesc& dy_desc = call.input(kGradDy, dy, "dy");
  const TensorDesc& x_desc = call.input(kGradX, x, "x");
  const TensorDesc& weight_desc = call.input(kGradWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kGradBias, bias, "bias");
  const ConvTransposeParams p =
      read_conv_transpose(ndim, op, {stride, padding, dilation, groups, output_padding, layout});
  const ConvNeeds n = read_conv_needs(needs, std::span(kConvInputs).first(3), op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const std::vector<bool> wanted = {n.x, n.weight, n.bias};
  const Plan plan =
      plan_conv_transpose_backward(dy_desc, x_desc, weight_desc, bias_desc, p, n, call.options());
  return call.run_gradients(plan, n_threads, wanted);
}

}  // namespace

void bind_conv_backward(py::module_& m) {
  m.def("conv_grad", &conv_grad, py::arg("ndim"), py::arg("dy"), py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("padding_mode"), py::arg("layout"), py::arg("channels"),
        py::arg("passthrough"), py::arg("activation"), py::arg("scale"), py::arg("shift"),
        py::arg("residual"), py::arg("residual_order"), py::arg("needs"), py::arg("threads"),
        py::pos_only());
  m.def("gated_conv_grad", &gated_conv_grad, py::arg("ndim"), py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("bias"), py::arg("activation"), py::arg("gate"),
        py::arg("order"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("padding_mode"), py::arg("layout"), py::arg("channels"),
        py::arg("passthrough"), py::arg("scale"), py::arg("shift"), py::arg("residual"),
        py::arg("needs"), py::arg("threads"), py::pos_only());
  m.def("partial_conv_grad", &partial_conv_grad, py::arg("ndim"), py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("bias"), py::arg("mask"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("renormalize"), py::arg("mask_update"),
        py::arg("eps"), py::arg("layout"), py::arg("activation"), py::arg("needs"),
        py::arg("threads"), py::pos_only());
  m.def("conv_transpose_grad", &conv_transpose_grad, py::arg("ndim"), py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("bias"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("output_padding"), py::arg("layout"),
        py::arg("needs"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
