// For gates that begin with a softmax.
#pragma once

#include <string>

#include "core/operator.h"
#include "ops/common/walk_axes.h"
#include "ops/spatial_gate/problem.h"

namespace swath {

using SoftmaxAxes = WalkAxes<kSoftmaxArrays>;

/// The axes of a softmax, in the order of p. None is empty.
struct SoftmaxCall {
  SoftmaxAxes outer, axis;
  SoftmaxAxis lanes;
};

/// Appends the step of a problem whose arrays are given.
void add_softmax_step(PlanImpl& plan, const std::string& op, SoftmaxProblem problem,
                      SoftmaxCall call);

}  // namespace swath
