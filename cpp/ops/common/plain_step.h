// Steps over a few numbers that need no kernel table: written in double, run as they are.
#pragma once

#include <functional>

#include "core/operator.h"

namespace swath {

struct PlainStep {
  std::function<void(const Buffers&, int64_t begin, int64_t end)>
      run;  // must not throw or allocate
  int64_t n_tasks = 1;
};
void add_plain_step(PlanImpl& plan, PlainStep step, double cost_seconds);

/// Writes zeros to n_bytes at `to`.
void add_zero_step(PlanImpl& plan, const ArrayRef& to, int64_t n_bytes);

}  // namespace swath
