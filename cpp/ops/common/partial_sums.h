// Sums over a batch that are made in a fixed number of parts: where the parts are kept, and the
// step that adds them in a fixed order.
#pragma once

#include "core/operator.h"

namespace swath {

/// n sums, each of n_partials parts: [partial][pitch] of the dtype's accumulator (float64 for f64,
/// else float32).
struct PartialSums {
  DType dtype;
  int64_t n_partials, n;
  int64_t pitch;
};

/// Of sums of data of this dtype.
constexpr int64_t accumulator_bytes(DType dtype) { return dtype == DType::f64 ? 8 : 4; }

ArrayRef reserve_partials(PlanImpl& plan, const PartialSums& sums);

/// to[to_offset + i] = sum over the partials, in order.
void add_partial_sums(PlanImpl& plan, const PartialSums& sums, const ArrayRef& from,
                      const ArrayRef& to, int64_t to_offset);

/// Zeros in every element of a C-contiguous array.
void add_zeros(PlanImpl& plan, const Operand& to);

}  // namespace swath
