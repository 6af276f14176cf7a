// The backward of a gated convolution as steps of a plan.
#pragma once

#include "ops/conv_backward/steps.h"

namespace swath {

/// Appends the steps for the gradients that are there: dx and dweight, and `grads` with values for
/// both halves in the weight's order. `call` convolves all of its channels.
void add_gated_backward(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                        const EpilogueGrads& grads, const Operand& dx, const Operand& dweight);

}  // namespace swath
