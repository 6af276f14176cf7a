// A convolution of a channel range whose output is its own input.
#pragma once

#include "ops/sliding_conv/call.h"

namespace swath {

/// Appends the steps of a call with y = x: blocks of rows along the first spatial axis, each
/// convolved from a copy. The copy of a block is made before the block in front of it is written,
/// so two copies are enough.
void add_in_place_conv(PlanImpl& plan, const ConvCall& call, const Operand& y);

}  // namespace swath
