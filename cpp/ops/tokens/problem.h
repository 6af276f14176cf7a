// What the kernels that combine rows of tokens see.
#pragma once

#include <cstdint>

#include <swath/ops/tokens.h>

#include "core/kernel.h"
#include "ops/common/walk.h"

namespace swath {

enum TokenArray : int { kTokenX, kTokenY, kTokenW, kTokenG, kTokenTable, kTokenArrays };

/// Where the row of a token is: one axis where the strides allow it.
struct TokenRows {
  int32_t n_axes = 0;
  int64_t n[kMaxRank] = {}, stride[kMaxRank] = {};

  __attribute__((always_inline)) int64_t at(int64_t i) const {
    if (n_axes == 1) return i * stride[0];
    int64_t offset = 0;
    for (int a = n_axes - 1; a >= 0; --a) {
      offset += i % n[a] * stride[a];
      i /= n[a];
    }
    return offset;
  }
};

/// Channels of y are side by side. A task is kTokenTask rows of one place of `lead`.
struct TokensProblem {
  DType dtype = DType::f32;
  TokenMode mode = TokenMode::sum;
  TokenWeight weight = TokenWeight::none;
  bool has_offsets = false;
  bool w_is_acc = false, y_is_acc = false;  // hold accumulators
  ArrayRef x{}, y{}, w{}, g{}, offsets{}, sources{};
  Walk<kTokenArrays> lead{};  // kTokenTable counts tables
  TokenRows x_rows, y_rows, w_rows, g_rows;
  int64_t n_rows = 0, n_channels = 0, x_step = 1, g_step = 1;

  static constexpr int64_t kTokenTask = 64;
  __attribute__((always_inline)) int64_t tasks_per_place() const {
    return (n_rows + kTokenTask - 1) / kTokenTask;
  }
  __attribute__((always_inline)) int64_t n_tasks() const {
    return lead.count() * tasks_per_place();
  }
  /// Where the sources of a row begin; those of the next row follow.
  __attribute__((always_inline)) int64_t first_source(const int64_t* table_offsets, int64_t table,
                                                      int64_t row) const {
    return has_offsets ? table_offsets[table * (n_rows + 1) + row] : table * n_rows + row;
  }
  __attribute__((always_inline)) int64_t end_source(const int64_t* table_offsets, int64_t table,
                                                    int64_t row) const {
    return has_offsets ? table_offsets[table * (n_rows + 1) + row + 1] : table * n_rows + row + 1;
  }
};

}  // namespace swath
