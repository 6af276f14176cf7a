// What the function of dynamic convolution and its plan share.
#pragma once

#include <swath/ops/dynamic_conv.h>

#include "arguments.h"

namespace swath::python {

/// The options as Python passes them. kernel None: taken from the weight (one axis, or a square).
struct DynamicOptions {
  py::handle kernel, stride, dilation, padding, softmax, renormalize_padding, map, layout;
};

/// `op` is the public function's name, a string literal.
DynamicConvParams read_dynamic(int ndim, const char* op, const DynamicOptions& options);

}  // namespace swath::python
