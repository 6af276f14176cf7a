// How the window arguments of pooling are read: for pooling and for its backward.
#pragma once

#include <swath/ops/pooling.h>

#include "arguments.h"

namespace swath::python {

PoolingParams read_pooling(int ndim, const char* op, py::handle window, py::handle stride,
                           py::handle padding, py::handle dilation, py::handle layout);

struct ReduceParams {
  int64_t window;
  int axis;
  PoolOp op;
  Padding padding;
};
ReduceParams read_reduce(const char* op, const TensorDesc& x, py::handle window, py::handle axis,
                         py::handle reduction, py::handle padding);

}  // namespace swath::python
