// dk and dv out of the sums of the parts.
#pragma once

#include "core/operator.h"
#include "ops/attention/problem.h"

namespace swath {

/// to[b, head, key, :n_d] = sum over the parts, in order, of the rows that they have filled.
struct CombineRows {
  DType dtype = DType::f32;
  ArrayRef from{}, range{};
  TokenArray to;
  int64_t offset = 0;
  int64_t n_batch = 0, n_heads = 0, n_parts = 0;
  int64_t n = 0, n_d = 0, width = 0;
};

void add_combine_step(PlanImpl& plan, const CombineRows& rows);

}  // namespace swath
