// What long_conv and the plan LongConv share.
#pragma once

#include <optional>

#include <swath/ops/long_conv.h>

#include "arguments.h"
#include "call.h"

namespace swath::python {

/// The arguments that are not arrays, as Python objects; a null handle is one that is not there.
struct LongOptions {
  py::handle mode, offset, n_fft, correlate, head_map, method, layout;
};
LongConvParams read_long_params(const char* op, const LongOptions& options);

/// The float64 response of a frequency mask in the accumulators of `dtype`; nothing for None.
std::optional<Buffer> read_response(py::handle response, DType dtype, const char* op);

}  // namespace swath::python
