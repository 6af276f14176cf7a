// What gated_conv1d..3d and the plans GatedConv1d..3d share.
#pragma once

#include <swath/ops/gated_conv.h>

#include "ops/sliding_conv.h"

namespace swath::python {

/// `order` is "feature_first" or "gate_first".
ConvGate read_gate(py::handle gate, py::handle order, const char* op);

}  // namespace swath::python
