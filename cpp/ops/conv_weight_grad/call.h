// The gradient of a convolution's weight as steps of a plan.
#pragma once

#include "ops/conv_weight_grad/problem.h"
#include "ops/sliding_conv/call.h"

namespace swath {

/// Appends the steps for dweight of `call`, of which only x and the geometry count. `dy` has the
/// shape of the sum over taps (y without what passes through); `dweight` the weight's shape,
/// C-contiguous.
void add_weight_grad(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                     const Operand& dweight);

/// Appends the steps of one problem; its partial sums and the order of its axes are not set yet.
void add_weight_grad(PlanImpl& plan, WeightGradProblem problem, const std::string& op);

}  // namespace swath
