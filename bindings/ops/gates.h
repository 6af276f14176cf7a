// What the bindings of the gates share.
#pragma once

#include <swath/ops/gates.h>

#include "arguments.h"
#include "call.h"

namespace swath::python {

/// None or a number of axes; None: all axes of x but N and the channels.
int read_ndim(py::handle object, const TensorDesc& x, const char* op);

}  // namespace swath::python
