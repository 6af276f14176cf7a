// What the kernels see that sum an array over its positions, channel by channel.
#pragma once

#include <cstdint>

#include "core/kernel.h"
#include "ops/common/walk.h"

namespace swath {

enum StatsArray : int { kStatsX, kStatsC, kStatsArrays };
using StatsAxis = WalkAxis<kStatsArrays>;
using StatsWalk = Walk<kStatsArrays>;

/// For every sample n and channel c, over the positions p of one part of them:
///   value 0: sum of x, or with moments its mean,
///   then with moments: sum of (x - mean)^2,
///   then with a product: sum of c x, c another array.
/// Results are accumulators in the order [part][value][n, c]. Vectors lie along the channels if
/// by_lanes, else along `run`, the contiguous axis of the positions.
struct StatsProblem {
  DType dtype = DType::f32;
  bool has_moments = false, has_product = false, by_lanes = false;
  ArrayRef x{}, c{}, sums{};
  StatsAxis batch{}, channels{}, run{};
  StatsWalk rows{};  // positions other than the run
  int64_t n_parts = 1, channel_block = 1;

  __attribute__((always_inline)) int64_t n_values() const {
    return 1 + (has_moments ? 1 : 0) + (has_product ? 1 : 0);
  }
  /// What is cut into parts: the rows, or the elements of a single row.
  __attribute__((always_inline)) int64_t n_units() const {
    const int64_t n_rows = rows.count();
    return n_rows > 1 ? n_rows : run.n;
  }
  __attribute__((always_inline)) int64_t part_begin(int64_t part) const {
    return part * n_units() / n_parts;
  }
  /// Positions of one part.
  __attribute__((always_inline)) int64_t part_count(int64_t part) const {
    const int64_t units = part_begin(part + 1) - part_begin(part);
    return rows.count() > 1 ? units * run.n : units;
  }
  __attribute__((always_inline)) int64_t n_channel_blocks() const {
    return (channels.n + channel_block - 1) / channel_block;
  }
  __attribute__((always_inline)) int64_t result(int64_t part, int64_t value, int64_t n,
                                                int64_t c_index) const {
    return ((part * n_values() + value) * batch.n + n) * channels.n + c_index;
  }
};

}  // namespace swath
