#include "ops/partial_conv.h"

#include "bindings.h"

namespace swath::python {
namespace {

constexpr const char* kPartialNames[] = {"partial_conv1d", "partial_conv2d", "partial_conv3d"};

py::object partial_conv(int ndim, py::handle x, py::handle weight, py::handle bias, py::handle mask,
                        py::handle stride, py::handle padding, py::handle dilation,
                        py::handle groups, py::handle renormalize, py::handle mask_update,
                        py::handle eps, py::handle layout, py::handle activation, py::handle out,
                        py::handle threads) {
  const char* op = kPartialNames[ndim - 1];
  Call call(op);
  const TensorDesc& x_desc = call.input(kPartialX, x, "x");
  const TensorDesc& weight_desc = call.input(kPartialWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kPartialBias, bias, "bias");
  const TensorDesc* mask_desc =
      mask.is_none() ? nullptr : &call.input(kPartialMask, mask, "mask", Accept::masks);
  const ConvSettings settings = read_conv_settings(
      ndim, op, {stride, padding, dilation, groups, {}, layout, {}, {}, activation, {}, threads});
  const PartialOptions options = read_partial_options(renormalize, mask_update, eps, op);
  call.out(out);
  const Plan plan = plan_partial_conv(x_desc, weight_desc, bias_desc, mask_desc,
                                      options.with(settings.params), call.options());
  return run_partial(call, plan, settings.n_threads);
}

}  // namespace

PartialOptions read_partial_options(py::handle renormalize, py::handle mask_update, py::handle eps,
                                    const char* op) {
  static constexpr std::string_view kUpdates[] = {"any", "same"};
  return {read_bool(renormalize, {op, "renormalize"}),
          static_cast<MaskUpdate>(read_choice(mask_update, kUpdates, {op, "mask_update"})),
          read_number(eps, {op, "eps"})};
}

py::object run_partial(Call& call, const Plan& plan, int n_threads) {
  std::vector<py::object> results = call.run_all(plan, n_threads);
  return py::make_tuple(std::move(results[0]), std::move(results[1]));
}

void bind_partial_conv(py::module_& m) {
  m.def("partial_conv", &partial_conv, py::arg("ndim"), py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("mask"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("renormalize"), py::arg("mask_update"),
        py::arg("eps"), py::arg("layout"), py::arg("activation"), py::arg("out"),
        py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
