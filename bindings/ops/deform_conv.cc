#include <swath/ops/deform_conv.h>

#include "bindings.h"
#include "ops/gates.h"

namespace swath::python {
namespace {

DeformConvParams read_deform(const char* op, py::handle stride, py::handle padding,
                             py::handle dilation, py::handle groups, py::handle deform_groups,
                             py::handle layout) {
  DeformConvParams p;
  p.op = op;
  p.stride = read_extents(stride, 2, {op, "stride"});
  p.padding = read_padding(padding, 2, {op, "padding"});
  p.dilation = read_extents(dilation, 2, {op, "dilation"});
  p.groups = read_int(groups, {op, "groups"});
  p.deform_groups = read_int(deform_groups, {op, "deform_groups"});
  p.layout = read_layout(layout, op);
  return p;
}

py::object deform_conv(py::handle x, py::handle weight, py::handle offset, py::handle mask,
                       py::handle bias, py::handle stride, py::handle padding, py::handle dilation,
                       py::handle groups, py::handle deform_groups, py::handle layout,
                       py::handle out, py::handle threads) {
  constexpr const char* op = "deform_conv2d";
  Call call(op);
  const TensorDesc& x_desc = call.input(kDeformX, x, "x");
  const TensorDesc& weight_desc = call.input(kDeformWeight, weight, "weight");
  const TensorDesc& offset_desc = call.input(kDeformOffset, offset, "offset");
  const TensorDesc* mask_desc = call.optional_input(kDeformMask, mask, "mask");
  const TensorDesc* bias_desc = call.optional_input(kDeformBias, bias, "bias");
  const DeformConvParams p =
      read_deform(op, stride, padding, dilation, groups, deform_groups, layout);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  const Plan plan =
      plan_deform_conv(x_desc, weight_desc, offset_desc, mask_desc, bias_desc, p, call.options());
  return call.run(plan, n_threads);
}

py::object deform_conv_backward(py::handle dy, py::handle x, py::handle weight, py::handle offset,
                                py::handle mask, py::handle bias, py::handle stride,
                                py::handle padding, py::handle dilation, py::handle groups,
                                py::handle deform_groups, py::handle layout, py::handle needs,
                                py::handle threads) {
  constexpr const char* op = "grad.deform_conv2d";
  static constexpr std::string_view kInputs[] = {"x", "weight", "offset", "mask", "bias"};
  Call call(op);
  const TensorDesc& dy_desc = call.input(kDeformGradDy, dy, "dy");
  const TensorDesc& x_desc = call.input(kDeformGradX, x, "x");
  const TensorDesc& weight_desc = call.input(kDeformGradWeight, weight, "weight");
  const TensorDesc& offset_desc = call.input(kDeformGradOffset, offset, "offset");
  const TensorDesc* mask_desc = call.optional_input(kDeformGradMask, mask, "mask");
  const TensorDesc* bias_desc = call.optional_input(kDeformGradBias, bias, "bias");
  const DeformConvParams p =
      read_deform(op, stride, padding, dilation, groups, deform_groups, layout);
  std::vector<bool> needed = read_needs(needs, kInputs, op);
  needed[3] = needed[3] && mask_desc != nullptr;
  const int n_threads = read_threads(threads, {op, "threads"});
  const DeformNeeds wanted{needed[0], needed[1], needed[2], needed[3], needed[4]};
  const Plan plan = plan_deform_conv_backward(dy_desc, x_desc, weight_desc, offset_desc, mask_desc,
                                              bias_desc, p, wanted, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

void bind_deform_conv(py::module_& m) {
  m.def("deform_conv", &deform_conv, py::arg("x"), py::arg("weight"), py::arg("offset"),
        py::arg("mask"), py::arg("bias"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("deform_groups"), py::arg("layout"),
        py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("deform_conv_backward", &deform_conv_backward, py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("offset"), py::arg("mask"), py::arg("bias"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("groups"), py::arg("deform_groups"),
        py::arg("layout"), py::arg("needs"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
