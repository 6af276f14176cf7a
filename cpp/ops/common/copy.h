// A strided copy as a plan step: pass-through channels, and inputs that must be read from a copy.
#pragma once

#include "core/operator.h"

namespace swath {

/// Copies the elements of `from`; `to` has the same shape.
struct CopyProblem {
  TensorDesc from, to;
  int64_t from_offset = 0, to_offset = 0;
  ArrayRef from_ref = input_ref(0), to_ref = output_ref(0);
};
void add_copy_step(PlanImpl& plan, const CopyProblem& problem);

/// A C-contiguous copy in temporary memory.
struct TempCopy {
  TensorDesc desc;
  ArrayRef ref;
};
/// Copies x, which starts `offset` elements into the array at `ref`.
TempCopy add_temp_copy(PlanImpl& plan, const TensorDesc& x, const ArrayRef& ref,
                       int64_t offset = 0);

}  // namespace swath
