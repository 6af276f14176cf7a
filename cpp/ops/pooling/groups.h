// Windows along whole rows with three operations per output, whatever their length: the outputs
// come in groups of one window's length, each the op of a suffix of one group of rows and a prefix
// of the next (van Herk, Gil and Werman). Included by *.isa.cc only.
#pragma once

#include "ops/pooling/fold.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// One group: rows of which [begin, end) exist, the first one at `raw`.
template <class T, class A>
struct RowGroup {
  const T* raw;
  int64_t raw_step, begin, end;
  int64_t window, n_outputs;  // at most window
  A* to;
  int64_t to_step;
  A divisor;  // of sums
};

/// to[i] = op of rows [i, i + window), in vectors from element j on.
template <class Op, int kVectors, class Load, class A>
SWATH_ALWAYS_INLINE void fold_group_at(const RowGroup<typename Load::Element, A>& g, Load row,
                                       int64_t j, int n_tail) {
  constexpr int kLane = kLanes<A>;
  const auto get = [&](int64_t i, Vec<A>(&acc)[kVectors]) __attribute__((always_inline)) {
    if (i < g.begin || i >= g.end) return;
    const auto* p = g.raw + i * g.raw_step + row.offset(j);
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) {
      acc[u] = Op{}(acc[u], n_tail > 0 ? row.get_n(p, n_tail) : row.get(p + row.offset(u * kLane)));
    }
  };
  const auto put = [&](A* to, Vec<A> v) __attribute__((always_inline)) {
    if (n_tail > 0) {
      store_n(to, v, n_tail);
    } else {
      store(to, v);
    }
  };
  Vec<A> acc[kVectors];
#pragma GCC unroll 4
  for (int u = 0; u < kVectors; ++u) acc[u] = set1(Op::kIdentity);
  for (int64_t i = g.window - 1; i >= 0; --i) {
    get(i, acc);
    if (i >= g.n_outputs) continue;
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) put(g.to + i * g.to_step + j + u * kLane, acc[u]);
  }
#pragma GCC unroll 4
  for (int u = 0; u < kVectors; ++u) acc[u] = set1(Op::kIdentity);
  for (int64_t i = 0; i < g.n_outputs; ++i) {
    if (i > 0) get(g.window + i - 1, acc);
    A* to = g.to + i * g.to_step + j;
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) {
      const Vec<A> suffix = n_tail > 0 ? load_n(to, n_tail) : load(to + u * kLane);
      const Vec<A> v = Op{}(suffix, acc[u]);
      put(to + u * kLane, Op::kIsSum && g.divisor != 1 ? v / set1(g.divisor) : v);
    }
  }
}

template <class Op, class Load, class A>
__attribute__((noinline)) void fold_group(const RowGroup<typename Load::Element, A>& source,
                                          Load row, int64_t len) {
  constexpr int kLane = kLanes<A>, kVectors = 4;
  const RowGroup<typename Load::Element, A> g = source;  // what no store can change
  int64_t j = 0;
  for (; j + kVectors * kLane <= len; j += kVectors * kLane) {
    fold_group_at<Op, kVectors>(g, row, j, 0);
  }
  for (; j < len; j += kLane) {
    const int64_t n = len - j;
    fold_group_at<Op, 1>(g, row, j, n < kLane ? static_cast<int>(n) : kLane);
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
