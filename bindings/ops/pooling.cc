#include "ops/pooling.h"

#include "bindings.h"
#include "call.h"
#include "core/format.h"

namespace swath::python {

PoolingParams read_pooling(int ndim, const char* op, py::handle window, py::handle stride,
                           py::handle padding, py::handle dilation, py::handle layout) {
  PoolingParams p;
  p.ndim = ndim;
  p.name = op;
  p.window = read_extents(window, ndim, {op, "window"});
  p.stride = stride.is_none() ? p.window : read_extents(stride, ndim, {op, "stride"});
  p.padding = read_padding(padding, ndim, {op, "padding"});
  p.dilation = read_extents(dilation, ndim, {op, "dilation"});
  p.layout = read_layout(layout, op);
  return p;
}

ReduceParams read_reduce(const char* op, const TensorDesc& x, py::handle window, py::handle axis,
                         py::handle reduction, py::handle padding) {
  static constexpr std::string_view kReductions[] = {"sum", "mean", "max", "min"};
  ReduceParams p;
  p.window = read_int(window, {op, "window"});
  const int64_t at = read_int(axis, {op, "axis"});
  if (at < -x.rank || at >= x.rank) {
    refuse(ErrorCode::param, {op, "axis"},
           format("axis is {}, x has {} axes (x.shape={})", at, x.rank, shape_text(x)));
  }
  p.axis = static_cast<int>(at < 0 ? at + x.rank : at);
  p.op = static_cast<PoolOp>(read_choice(reduction, kReductions, {op, "op"}));
  p.padding = read_padding(padding, 1, {op, "padding"});
  return p;
}

namespace {

constexpr const char* kAvgNames[] = {"avg_pool1d", "avg_pool2d", "avg_pool3d"};
constexpr const char* kMaxNames[] = {"max_pool1d", "max_pool2d", "max_pool3d"};

py::object avg_pool(int ndim, py::handle x, py::handle window, py::handle stride,
                    py::handle padding, py::handle dilation, py::handle count_include_pad,
                    py::handle layout, py::handle out, py::handle threads) {
  const char* op = kAvgNames[ndim - 1];
  Call call(op);
  const TensorDesc& x_desc = call.input(0, x, "x");
  PoolingParams p = read_pooling(ndim, op, window, stride, padding, dilation, layout);
  p.op = PoolOp::mean;
  p.count_include_pad = read_bool(count_include_pad, {op, "count_include_pad"});
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_pooling(x_desc, p, call.options()), n_threads);
}

py::object max_pool(int ndim, py::handle x, py::handle window, py::handle stride,
                    py::handle padding, py::handle dilation, py::handle layout, py::handle out,
                    py::handle threads) {
  const char* op = kMaxNames[ndim - 1];
  Call call(op);
  const TensorDesc& x_desc = call.input(0, x, "x");
  PoolingParams p = read_pooling(ndim, op, window, stride, padding, dilation, layout);
  p.op = PoolOp::max;
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_pooling(x_desc, p, call.options()), n_threads);
}

py::object sliding_reduce(py::handle x, py::handle window, py::handle axis, py::handle reduction,
                          py::handle padding, py::handle out, py::handle threads) {
  constexpr const char* op = "sliding_reduce";
  Call call(op);
  const TensorDesc& x_desc = call.input(0, x, "x");
  const ReduceParams p = read_reduce(op, x_desc, window, axis, reduction, padding);
  const int n_threads = read_threads(threads, {op, "threads"});
  call.out(out);
  return call.run(plan_sliding_reduce(x_desc, p.axis, p.window, p.op, p.padding, call.options()),
                  n_threads);
}

}  // namespace

void bind_pooling(py::module_& m) {
  m.def("avg_pool", &avg_pool, py::arg("ndim"), py::arg("x"), py::arg("window"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("count_include_pad"), py::arg("layout"),
        py::arg("out"), py::arg("threads"), py::pos_only());
  m.def("max_pool", &max_pool, py::arg("ndim"), py::arg("x"), py::arg("window"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("layout"), py::arg("out"),
        py::arg("threads"), py::pos_only());
  m.def("sliding_reduce", &sliding_reduce, py::arg("x"), py::arg("window"), py::arg("axis"),
        py::arg("op"), py::arg("padding"), py::arg("out"), py::arg("threads"), py::pos_only());
}

}  // namespace swath::python
