// The factor of partial padding as a plane: taps of the window over those that lie inside.
#pragma once

#include "core/operator.h"
#include "ops/sliding_conv/problem.h"

namespace swath {

/// Appends the step that computes the factors of all positions of `axis`, and returns where they
/// are. `dtype` is that of the data.
ConvMask add_ratio_plane(PlanImpl& plan, DType dtype, const ConvAxis (&axis)[3]);

}  // namespace swath
