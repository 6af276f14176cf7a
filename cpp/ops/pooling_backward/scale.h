// Multiplies an array by factors that depend on one axis each, as a plan step: what the mean of the
// elements inside divides by differs from window to window near the border. May also convert.
#pragma once

#include <vector>

#include "core/operator.h"

namespace swath {

/// y[i, j, ...] = x[i, j, ...] factor[0][i] factor[1][j] ...; an empty factor is 1. Both of one
/// dtype, or one of the two float32 and the other of 16 bits.
struct ScaleProblem {
  TensorDesc x, y;
  ArrayRef x_ref, y_ref;
  std::vector<double> factor[kMaxRank];
};
void add_scale_step(PlanImpl& plan, ScaleProblem problem);

}  // namespace swath
