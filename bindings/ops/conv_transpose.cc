#include "ops/conv_transpose.h"

#include "bindings.h"
#include "call.h"

namespace swath::python {
namespace {

constexpr const char* kTransposeNames[] = {"conv_transpose1d", "conv_transpose2d",
                                           "conv_transpose3d"};

py::object conv_transpose(int ndim, py::handle x, py::handle weight, py::handle bias,
                          py::handle stride, py::handle padding, py::handle dilation,
                          py::handle groups, py::handle output_padding, py::handle layout,
                          py::handle out, py::handle threads) {
  const char* op = kTransposeNames[ndim - 1];
  Call call(op);
  const TensorDesc& x_desc = call.input(kConvX, x, "x");
  const TensorDesc& weight_desc = call.input(kConvWeight, weight, "weight");
  const TensorDesc* bias_desc = call.optional_input(kConvBias, bias, "bias");
  const ConvTransposeParams p =
      read_conv_transpose(ndim, op, {stride, padding, dilation, groups, output_padding, layout});
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_conv_transpose(x_desc, weight_desc, bias_desc, p, call.options()),
                  n_threads);
}

}  // namespace

ConvTransposeParams read_conv_transpose(int ndim, const char* op,
                                        const ConvTransposeOptions& options) {
  ConvTransposeParams p;
  p.ndim = ndim;
  p.op = op;
  p.stride = read_extents(options.stride, ndim, {op, "stride"});
  p.dilation = read_extents(options.dilation, ndim, {op, "dilation"});
  p.padding = read_padding(options.padding, ndim, {op, "padding"});
  p.output_padding = read_extents(options.output_padding, ndim, {op, "output_padding"});
  p.groups = read_int(options.groups, {op, "groups"});
  p.layout = read_layout(options.layout, op);
  return p;
}

void bind_conv_transpose(py::module_& m) {
  m.def("conv_transpose", &conv_transpose, py::arg("ndim"), py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("output_padding"), py::arg("layout"), py::arg("out"),
        py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
