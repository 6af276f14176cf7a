// The intervals of keys that each pattern gives on one axis. Used by describe only.
#pragma once

#include <vector>

#include "ops/attention/lower.h"

namespace swath {

inline int64_t on_axis(const std::vector<int64_t>& values, int axis) {
  return values.size() == 1 ? values[0] : values[static_cast<size_t>(axis)];
}

inline int64_t modulo(int64_t a, int64_t n) { return n == 0 ? 0 : ((a % n) + n) % n; }

/// The intervals of one axis under construction.
struct AxisTable {
  std::vector<int64_t> lo, hi, region_lo, region_hi;
  void add(int64_t begin, int64_t end) {
    lo.push_back(begin);
    hi.push_back(end);
  }
};

AxisTable neighborhood_axis(const PatternContext& c, const AttentionPattern& p, int axis, int64_t n,
                            KeyAxis& key);
AxisTable window_axis(const AttentionPattern& p, int axis, int64_t n, KeyAxis& key);
AxisTable halo_axis(const AttentionPattern& p, int axis, int64_t n);
AxisTable sequence_axis(const PatternContext& c, const AttentionPattern& p, int64_t n_q,
                        int64_t n_k, KeyAxis& key, std::vector<int64_t>& cuts);

}  // namespace swath
