// What the kernels that merge parts of an attention see.
#pragma once

#include <cstdint>

#include <swath/ops/merge_attention.h>

#include "core/kernel.h"
#include "ops/common/walk.h"

namespace swath {

/// Arrays of the walk over the rows: the result's o and lse (of the backward do and dlse, which are
/// inputs), then each part's. Results of the backward are contiguous: row r is at r and r D.
inline constexpr int kMergeArrays = 2 + 2 * kMaxMergeParts;
constexpr int merge_o(int part) { return 2 + 2 * part; }
constexpr int merge_lse(int part) { return 3 + 2 * part; }

struct MergeProblem {
  DType dtype = DType::f32;
  bool is_backward = false, has_dlse = false;
  int32_t n_parts = 0;
  int64_t n_channels = 0;
  int64_t o_step[kMaxMergeParts + 1] = {};  // of the channels; the last one of the result or do
  Walk<kMergeArrays> rows{};

  static constexpr int64_t kTaskRows = 64;
  __attribute__((always_inline)) int64_t n_tasks() const {
    return (rows.count() + kTaskRows - 1) / kTaskRows;
  }
  /// Input slots of a part's o; its lse follows.
  __attribute__((always_inline)) int o_slot(int part) const {
    return (is_backward ? 2 : 0) + 2 * part;
  }
};

}  // namespace swath
