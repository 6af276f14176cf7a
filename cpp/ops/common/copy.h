// A strided copy as a plan step: pass-through channels, and inputs that must be read from a copy.
#pragma once

#include "core/operator.h"

namespace swath {

/// Copies `from`-shaped data of an input; `to` has the same shape.
struct CopyProblem {
  TensorDesc from, to;
  int64_t from_offset = 0, to_offset = 0;
  int input_slot = 0;
  bool to_temp = false;
};
void add_copy_step(PlanImpl& plan, const CopyProblem& problem);

/// Copies x, which starts `offset` elements into input `slot`, to Buffers::temp, C-contiguous, and
/// returns the copy's description.
TensorDesc add_temp_copy(PlanImpl& plan, const TensorDesc& x, int slot, int64_t offset = 0);

}  // namespace swath
