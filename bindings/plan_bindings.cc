// The plan classes as Python sees them.
#include <pybind11/stl.h>

#include "bindings.h"
#include "plan.h"

namespace swath::python {
namespace {

constexpr const char* kNames[] = {"Conv1d", "Conv2d", "Conv3d"};
constexpr const char* kGatedNames[] = {"GatedConv1d", "GatedConv2d", "GatedConv3d"};
constexpr const char* kPartialNames[] = {"PartialConv1d", "PartialConv2d", "PartialConv3d"};

std::unique_ptr<ConvPlan> make_plain(int ndim, py::handle weight, py::handle bias,
                                     py::handle stride, py::handle padding, py::handle dilation,
                                     py::handle groups, py::handle padding_mode, py::handle layout,
                                     py::handle channels, py::handle passthrough,
                                     py::handle activation, py::handle scale, py::handle shift,
                                     py::handle residual_order, py::handle threads) {
  const char* op = kNames[ndim - 1];
  return ConvPlan::make<ConvPlan>(
      op,
      read_conv_settings(ndim, op,
                         {stride, padding, dilation, groups, padding_mode, layout, channels,
                          passthrough, activation, residual_order, threads}),
      ConvConstants{weight, bias, scale, shift});
}

std::unique_ptr<GatedConvPlan> make_gated(int ndim, py::handle weight, py::handle bias,
                                          py::handle activation, py::handle gate, py::handle order,
                                          py::handle stride, py::handle padding,
                                          py::handle dilation, py::handle groups,
                                          py::handle padding_mode, py::handle layout,
                                          py::handle channels, py::handle passthrough,
                                          py::handle scale, py::handle shift, py::handle threads) {
  const char* op = kGatedNames[ndim - 1];
  return ConvPlan::make<GatedConvPlan>(op,
                                       read_conv_settings(ndim, op,
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
                                                           threads}),
                                       ConvConstants{weight, bias, scale, shift},
                                       read_gate(gate, order, op));
}

std::unique_ptr<PartialConvPlan> make_partial(int ndim, py::handle weight, py::handle bias,
                                              py::handle stride, py::handle padding,
                                              py::handle dilation, py::handle groups,
                                              py::handle renormalize, py::handle mask_update,
                                              py::handle eps, py::handle layout,
                                              py::handle activation, py::handle threads) {
  const char* op = kPartialNames[ndim - 1];
  return ConvPlan::make<PartialConvPlan>(
      op,
      read_conv_settings(
          ndim, op,
          {stride, padding, dilation, groups, {}, layout, {}, {}, activation, {}, threads}),
      ConvConstants{weight, bias, {}, {}}, read_partial_options(renormalize, mask_update, eps, op));
}

/// What all plans share.
template <class P>
void bind_common(py::class_<P>& plan) {
  plan.def(
          "workspace_bytes",
          [](const P& self, const std::vector<int64_t>& shape) {
            return ConvPlan::checked(self).workspace_bytes(shape);
          },
          py::arg("shape"), "Scratch memory of one call on an x of this shape.")
      .def(
          "flops",
          [](const P& self, const std::vector<int64_t>& shape) {
            return ConvPlan::checked(self).plan_for(shape).flops();
          },
          py::arg("shape"), "Floating-point operations of one call on an x of this shape.")
      .def(
          "bytes",
          [](const P& self, const std::vector<int64_t>& shape) {
            return ConvPlan::checked(self).plan_for(shape).bytes();
          },
          py::arg("shape"), "Bytes of all arrays of one call on an x of this shape.")
      .def("_arrays", [](const P& self) { return ConvPlan::checked(self).arrays(); });
}

template <class P>
void bind_call_with_residual(py::class_<P>& plan) {
  plan.def(
      "__call__",
      [](const P& self, py::handle x, py::handle residual, py::handle out, py::handle threads) {
        return ConvPlan::checked(self).run(x, residual, out, threads);
      },
      py::arg("x"), py::kw_only(), py::arg("residual") = py::none(), py::arg("out") = py::none(),
      py::arg("threads") = py::none(), "Convolves x (N, C, *spatial); residual has y's shape.");
}

}  // namespace

void bind_plan(py::module_& m) {
  py::class_<ConvPlan> plain(m, "ConvPlan");
  plain.def(py::init(&make_plain), py::arg("ndim"), py::arg("weight"), py::arg("bias"),
            py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
            py::arg("padding_mode"), py::arg("layout"), py::arg("channels"), py::arg("passthrough"),
            py::arg("activation"), py::arg("scale"), py::arg("shift"), py::arg("residual_order"),
            py::arg("threads"), py::pos_only());
  bind_call_with_residual(plain);
  bind_common(plain);

  py::class_<GatedConvPlan> gated(m, "GatedConvPlan");
  gated.def(py::init(&make_gated), py::arg("ndim"), py::arg("weight"), py::arg("bias"),
            py::arg("activation"), py::arg("gate"), py::arg("order"), py::arg("stride"),
            py::arg("padding"), py::arg("dilation"), py::arg("groups"), py::arg("padding_mode"),
            py::arg("layout"), py::arg("channels"), py::arg("passthrough"), py::arg("scale"),
            py::arg("shift"), py::arg("threads"), py::pos_only());
  bind_call_with_residual(gated);
  bind_common(gated);

  py::class_<PartialConvPlan> partial(m, "PartialConvPlan");
  partial.def(py::init(&make_partial), py::arg("ndim"), py::arg("weight"), py::arg("bias"),
              py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
              py::arg("renormalize"), py::arg("mask_update"), py::arg("eps"), py::arg("layout"),
              py::arg("activation"), py::arg("threads"), py::pos_only());
  partial.def(
      "__call__",
      [](const PartialConvPlan& self, py::handle x, py::handle mask, py::handle out,
         py::handle threads) { return ConvPlan::checked(self).run(x, mask, out, threads); },
      py::arg("x"), py::arg("mask") = py::none(), py::kw_only(), py::arg("out") = py::none(),
      py::arg("threads") = py::none(), "Convolves x (N, C, *spatial) under a mask.");
  bind_common(partial);
}

}  // namespace swath::python
