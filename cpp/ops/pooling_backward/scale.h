// Multiplies dy by window / elements inside, as a plan step: what the mean of the elements inside
// divides by differs from window to window near the border.
#pragma once

#include <vector>

#include "core/operator.h"

namespace swath {

/// y[i, j, ...] = x[i, j, ...] factor[0][i] factor[1][j] ...; an empty factor is 1.
struct ScaleProblem {
  TensorDesc x, y;
  ArrayRef x_ref, y_ref;
  std::vector<double> factor[kMaxRank];
};
void add_scale_step(PlanImpl& plan, ScaleProblem problem);

}  // namespace swath
