// What conv_transpose1d..3d and their gradients share.
#pragma once

#include <swath/ops/sliding_conv.h>

#include "arguments.h"

namespace swath::python {

/// The arguments of a transposed convolution that are not arrays, as Python objects.
struct ConvTransposeOptions {
  py::handle stride, padding, dilation, groups, output_padding, layout;
};

/// `op` is a string literal.
ConvTransposeParams read_conv_transpose(int ndim, const char* op,
                                        const ConvTransposeOptions& options);

}  // namespace swath::python
