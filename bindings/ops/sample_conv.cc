#include <swath/ops/sample_conv.h>

#include "bindings.h"
#include "ops/gates.h"
#include "ops/sliding_conv.h"

namespace swath::python {
namespace {

constexpr const char* kSampleNames[] = {"sample_conv1d", "sample_conv2d"};
constexpr const char* kGradNames[] = {"grad.sample_conv1d", "grad.sample_conv2d"};

/// The arrays of a call, from slot `first` on.
struct Inputs {
  const TensorDesc &x, &weight;
  const TensorDesc *bias, *scale, *shift, *residual;

  Inputs(Call& call, int first, py::handle x_object, py::handle weight_object, py::handle b,
         py::handle scale_object, py::handle shift_object, py::handle residual_object)
      : x(call.input(first + kConvX, x_object, "x")),
        weight(call.input(first + kConvWeight, weight_object, "weight")),
        bias(call.optional_input(first + kConvBias, b, "bias")),
        scale(call.optional_input(first + kConvScale, scale_object, "scale")),
        shift(call.optional_input(first + kConvShift, shift_object, "shift")),
        residual(call.optional_input(first + kConvResidual, residual_object, "residual")) {}
};

py::object sample_conv(int ndim, py::handle x, py::handle weight, py::handle bias,
                       py::handle stride, py::handle padding, py::handle dilation,
                       py::handle groups, py::handle padding_mode, py::handle layout,
                       py::handle channels, py::handle passthrough, py::handle activation,
                       py::handle scale, py::handle shift, py::handle residual,
                       py::handle residual_order, py::handle out, py::handle threads) {
  const char* op = kSampleNames[ndim - 1];
  Call call(op);
  const Inputs in(call, kConvX, x, weight, bias, scale, shift, residual);
  const ConvSettings settings =
      read_conv_settings(ndim, op,
                         {stride, padding, dilation, groups, padding_mode, layout, channels,
                          passthrough, activation, residual_order, threads});
  call.out(out, settings.params.has_channels ? OutMayBeX::yes : OutMayBeX::no);
  const Plan plan = plan_sample_conv(in.x, in.weight, in.bias, in.scale, in.shift, in.residual,
                                     settings.params, call.options());
  return call.run(plan, settings.n_threads);
}

py::object sample_conv_backward(int ndim, py::handle dy, py::handle x, py::handle weight,
                                py::handle bias, py::handle stride, py::handle padding,
                                py::handle dilation, py::handle groups, py::handle padding_mode,
                                py::handle layout, py::handle channels, py::handle passthrough,
                                py::handle activation, py::handle scale, py::handle shift,
                                py::handle residual, py::handle residual_order, py::handle needs,
                                py::handle threads) {
  static constexpr std::string_view kInputs[] = {"x",     "weight", "bias",
                                                 "scale", "shift",  "residual"};
  const char* op = kGradNames[ndim - 1];
  Call call(op);
  const TensorDesc& dy_desc = call.input(kGradDy, dy, "dy");
  const Inputs in(call, kGradX, x, weight, bias, scale, shift, residual);
  const ConvSettings settings =
      read_conv_settings(ndim, op,
                         {stride, padding, dilation, groups, padding_mode, layout, channels,
                          passthrough, activation, residual_order, threads});
  std::vector<bool> needed = read_needs(needs, kInputs, op);
  needed[3] = needed[3] && in.scale != nullptr;
  needed[4] = needed[4] && in.shift != nullptr;
  needed[5] = needed[5] && in.residual != nullptr;
  const ConvNeeds wanted{needed[0], needed[1], needed[2], needed[3], needed[4], needed[5]};
  const Plan plan = plan_sample_conv_backward(dy_desc, in.x, in.weight, in.bias, in.scale, in.shift,
                                              in.residual, settings.params, wanted, call.options());
  return call.run_gradients(plan, settings.n_threads, needed);
}

py::object mix_kernels(py::handle coeff, py::handle experts, py::handle out, py::handle threads) {
  constexpr const char* op = "mix_kernels";
  Call call(op);
  const TensorDesc& coeff_desc = call.input(0, coeff, "coeff");
  const TensorDesc& experts_desc = call.input(1, experts, "experts");
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_mix_kernels(coeff_desc, experts_desc, op, call.options()), n_threads);
}

py::object mix_kernels_backward(py::handle dw, py::handle coeff, py::handle experts,
                                py::handle needs, py::handle threads) {
  static constexpr std::string_view kInputs[] = {"coeff", "experts"};
  constexpr const char* op = "grad.mix_kernels";
  Call call(op);
  const TensorDesc& dw_desc = call.input(0, dw, "dw");
  const TensorDesc& coeff_desc = call.input(1, coeff, "coeff");
  const TensorDesc& experts_desc = call.input(2, experts, "experts");
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_mix_kernels_backward(dw_desc, coeff_desc, experts_desc, op,
                                              {needed[0], needed[1]}, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

void bind_sample_conv(py::module_& m) {
  m.def("sample_conv", &sample_conv, py::arg("ndim"), py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("padding_mode"), py::arg("layout"), py::arg("channels"),
        py::arg("passthrough"), py::arg("activation"), py::arg("scale"), py::arg("shift"),
        py::arg("residual"), py::arg("residual_order"), py::arg("out"), py::arg("threads"),
        py::pos_only());
  m.def("sample_conv_backward", &sample_conv_backward, py::arg("ndim"), py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("bias"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("padding_mode"), py::arg("layout"),
        py::arg("channels"), py::arg("passthrough"), py::arg("activation"), py::arg("scale"),
        py::arg("shift"), py::arg("residual"), py::arg("residual_order"), py::arg("needs"),
        py::arg("threads"), py::pos_only());
  m.def("mix_kernels", &mix_kernels, py::arg("coeff"), py::arg("experts"), py::arg("out"),
        py::arg("threads"), py::pos_only());
  m.def("mix_kernels_backward", &mix_kernels_backward, py::arg("dw"), py::arg("coeff"),
        py::arg("experts"), py::arg("needs"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
