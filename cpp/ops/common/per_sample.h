// One sample's plan as steps of a plan for many samples: every sample runs the same kernels on the
// same problems, with pointers of its own. Results are those of the one plan, bit for bit.
#pragma once

#include <vector>

#include "core/operator.h"

namespace swath {

/// Where an array of the one plan is in the plan for all: at `ref`, and how far the next sample's
/// is from it (0: shared).
struct SampleArray {
  ArrayRef ref;
  int64_t step_bytes = 0;
};

/// By the one plan's slots.
struct SampleArrays {
  std::vector<SampleArray> inputs, outputs;
};

/// Appends the steps of `one` for n_samples samples. Each sample has temporaries and packed weights
/// of its own.
void add_per_sample(PlanImpl& plan, const Plan& one, int64_t n_samples, const SampleArrays& arrays);

}  // namespace swath
