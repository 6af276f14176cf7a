#include "bindings.h"
#include "call.h"
#include "ops/pooling.h"

namespace swath::python {
namespace {

constexpr const char* kAvgGradNames[] = {"grad.avg_pool1d", "grad.avg_pool2d", "grad.avg_pool3d"};
constexpr const char* kMaxGradNames[] = {"grad.max_pool1d", "grad.max_pool2d", "grad.max_pool3d"};
constexpr std::string_view kPoolInputs[] = {"x"};

py::tuple avg_pool_backward(int ndim, py::handle dy, py::handle x, py::handle window,
                            py::handle stride, py::handle padding, py::handle dilation,
                            py::handle count_include_pad, py::handle layout, py::handle needs,
                            py::handle threads) {
  const char* op = kAvgGradNames[ndim - 1];
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& x_desc = call.input(1, x, "x");
  PoolingParams p = read_pooling(ndim, op, window, stride, padding, dilation, layout);
  p.op = PoolOp::mean;
  p.count_include_pad = read_bool(count_include_pad, {op, "count_include_pad"});
  const std::vector<bool> needed = read_needs(needs, kPoolInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_pooling_backward(dy_desc, x_desc, p, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

py::tuple max_pool_backward(int ndim, py::handle dy, py::handle x, py::handle window,
                            py::handle stride, py::handle padding, py::handle dilation,
                            py::handle layout, py::handle needs, py::handle threads) {
  const char* op = kMaxGradNames[ndim - 1];
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& x_desc = call.input(1, x, "x");
  PoolingParams p = read_pooling(ndim, op, window, stride, padding, dilation, layout);
  p.op = PoolOp::max;
  const std::vector<bool> needed = read_needs(needs, kPoolInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_pooling_backward(dy_desc, x_desc, p, call.options());
  return call.run_gradients(plan, n_threads, needed);
}

py::tuple sliding_reduce_backward(py::handle dy, py::handle x, py::handle window, py::handle axis,
                                  py::handle reduction, py::handle padding, py::handle needs,
                                  py::handle threads) {
  constexpr const char* op = "grad.sliding_reduce";
  Call call(op);
  const TensorDesc& dy_desc = call.input(0, dy, "dy");
  const TensorDesc& x_desc = call.input(1, x, "x");
  const ReduceParams p = read_reduce(op, x_desc, window, axis, reduction, padding);
  const std::vector<bool> needed = read_needs(needs, kPoolInputs, op);
  const int n_threads = read_threads(threads, {op, "threads"});
  const Plan plan = plan_sliding_reduce_backward(dy_desc, x_desc, p.axis, p.window, p.op, p.padding,
                                                 call.options());
  return call.run_gradients(plan, n_threads, needed);
}

}  // namespace

void bind_pooling_backward(py::module_& m) {
  m.def("avg_pool_backward", &avg_pool_backward, py::arg("ndim"), py::arg("dy"), py::arg("x"),
        py::arg("window"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("count_include_pad"), py::arg("layout"), py::arg("needs"), py::arg("threads"),
        py::pos_only());
  m.def("max_pool_backward", &max_pool_backward, py::arg("ndim"), py::arg("dy"), py::arg("x"),
        py::arg("window"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("layout"), py::arg("needs"), py::arg("threads"), py::pos_only());
  m.def("sliding_reduce_backward", &sliding_reduce_backward, py::arg("dy"), py::arg("x"),
        py::arg("window"), py::arg("axis"), py::arg("op"), py::arg("padding"), py::arg("needs"),
        py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
