#include "ops/dynamic_conv.h"

#include "bindings.h"
#include "call.h"
#include "ops/gates.h"

namespace swath::python {
namespace {

/// The public functions, by the index that they pass.
struct DynamicNames {
  int ndim;
  const char *forward, *backward;
};
constexpr DynamicNames kDynamicNames[] = {
    {1, "dynamic_conv1d", "grad.dynamic_conv1d"},
    {2, "dynamic_conv2d", "grad.dynamic_conv2d"},
    {1, "lightweight_conv1d", "grad.lightweight_conv1d"},
    {2, "involution2d", "grad.involution2d"},
    {2, "small_kernel_aggregation2d", "grad.small_kernel_aggregation2d"},
};

py::object dynamic_conv(int which, py::handle x, py::handle weight, py::handle kernel,
                        py::handle stride, py::handle dilation, py::handle padding,
                        py::handle softmax, py::handle renormalize_padding, py::handle map,
                        py::handle layout, py::handle out, py::handle threads) {
  const char* op = kDynamicNames[which].forward;
  Call call(op);
  const TensorDesc& x_desc = call.input(0, x, "x");
  const TensorDesc& weight_desc = call.input(1, weight, "weight");
  const DynamicConvParams p =
      read_dynamic(kDynamicNames[which].ndim, op,
                   {kernel, stride, dilation, padding, softmax, renormalize_padding, map, layout});
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_dynamic_conv(x_desc, weight_desc, p, call.options()), n_threads);
}

py::object dynamic_conv_backward(int which, py::handle dy, py::handle x, py::handle weight,
                                 py::handle kernel, py::handle stride, py::handle dilation,
                                 py::handle padding, py::handle softmax,
                                 py::handle renormalize_padding, py::handle map, py::handle layout,
                                 py::handle needs, py::handle threads) {
  const char* op = kDynamicNames[which].backward;
  static constexpr std::string_view kInputs[] = {"x", "weight"};
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& x_desc = call.input(1, x, "x");
  const TensorDesc& weight_desc = call.input(2, weight, "weight");
  const DynamicConvParams p =
      read_dynamic(kDynamicNames[which].ndim, op,
                   {kernel, stride, dilation, padding, softmax, renormalize_padding, map, layout});
  const std::vector<bool> needed = read_needs(needs, kInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_dynamic_conv_backward(dy_desc, x_desc, weight_desc, p,
                                               {needed[0], needed[1]}, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

DynamicConvParams read_dynamic(int ndim, const char* op, const DynamicOptions& options) {
  static constexpr std::string_view kMaps[] = {"blocked", "interleaved"};
  DynamicConvParams p;
  p.ndim = ndim;
  p.name = op;
  if (ndim == 2) {
    p.has_kernel = !options.kernel.is_none();
    if (p.has_kernel) p.kernel = read_extents(options.kernel, 2, {op, "kernel"});
    p.stride = read_extents(options.stride, 2, {op, "stride"});
    p.dilation = read_extents(options.dilation, 2, {op, "dilation"});
  }
  p.needs_odd_kernel = options.padding.is_none();
  p.padding.rule = PaddingRule::same;
  if (!p.needs_odd_kernel) p.padding = read_padding(options.padding, ndim, {op, "padding"});
  p.softmax = read_bool(options.softmax, {op, "softmax"});
  p.renormalize_padding = read_bool(options.renormalize_padding, {op, "renormalize_padding"});
  p.is_interleaved =
      read_choice(options.map, kMaps, {op, ndim == 1 ? "head_map" : "group_map"}) == 1;
  p.layout = read_layout(options.layout, op);
  return p;
}

void bind_dynamic_conv(py::module_& m) {
  m.def("dynamic_conv", &dynamic_conv, py::arg("which"), py::arg("x"), py::arg("weight"),
        py::arg("kernel"), py::arg("stride"), py::arg("dilation"), py::arg("padding"),
        py::arg("softmax"), py::arg("renormalize_padding"), py::arg("map"), py::arg("layout"),
        py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("dynamic_conv_backward", &dynamic_conv_backward, py::arg("which"), py::arg("dy"),
        py::arg("x"), py::arg("weight"), py::arg("kernel"), py::arg("stride"), py::arg("dilation"),
        py::arg("padding"), py::arg("softmax"), py::arg("renormalize_padding"), py::arg("map"),
        py::arg("layout"), py::arg("needs"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
