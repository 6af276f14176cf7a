// What conv1d..3d and the plans Conv1d..3d share.
#pragma once

#include <vector>

#include <swath/ops/sliding_conv.h>

#include "arguments.h"
#include "call.h"

namespace swath::python {

/// All arguments of a convolution that are not arrays, read once.
struct ConvSettings {
  SlidingConvParams params;
  std::vector<int64_t> dilation_rows;  // params.dilation_per_channel points here
  int n_threads = 0;
};

/// The same arguments as Python objects, in the order of the public signature. A null handle is an
/// argument that the function does not have.
struct ConvOptions {
  py::handle stride, padding, dilation, groups, padding_mode, layout, channels, passthrough,
      activation, residual_order, threads;
};

/// `op` is a string literal.
ConvSettings read_conv_settings(int ndim, const char* op, const ConvOptions& options);

}  // namespace swath::python
