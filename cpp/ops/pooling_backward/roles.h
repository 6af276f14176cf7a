// From a call's windows to an ExtremeProblem. Used by describe only.
#pragma once

#include "ops/pooling/compose.h"
#include "ops/pooling_backward/problem.h"

namespace swath {

/// `windows` are the forward's, with x's strides; arrays as in the call.
ExtremeProblem make_extreme_problem(const Windows& windows, const TensorDesc& dy,
                                    const TensorDesc& dx);

}  // namespace swath
