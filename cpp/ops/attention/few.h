// Logits of a tile of few queries: vectors lie along D, as one lane in sixteen is too little.
// Included by *.isa.cc only.
#pragma once

#include "ops/attention/stage.h"

namespace swath::SWATH_ISA {
namespace {

/// With up to this many queries, a dot product for each pair is less work than a row of lanes for
/// each key. Over 2048 keys of 64, measured as a whole: one query 2.0 times faster, four 1.3 times.
inline constexpr int kFew = 4;

/// Lane j of the result is the sum of the lanes of x[j]; x is used up.
template <int kN, class V>
SWATH_ALWAYS_INLINE V sum_each(V* x) {
  if constexpr (kN == 1) {
    return x[0];
  } else {
#pragma GCC unroll 16
    for (int j = 0; j < kN / 2; ++j) {
      x[j] = unzip<0>(x[2 * j], x[2 * j + 1]) + unzip<1>(x[2 * j], x[2 * j + 1]);
    }
    return sum_each<kN / 2>(x);
  }
}

/// to[j] = sum_d q[d] k[j pitch + d] for a vector of keys, of which there are n; `width` is whole
/// vectors.
template <class A>
SWATH_ALWAYS_INLINE void dot_keys(const A* q, const A* k, int64_t pitch, int64_t width, int64_t n,
                                  A* to) {
  constexpr int kN = kLanes<A>;
  Vec<A> sum[kN];
#pragma GCC unroll 16
  for (int j = 0; j < kN; ++j) {
    const A* row = k + (j < n ? j : n - 1) * pitch;
    Vec<A> part = load(row) * load(q);
    for (int64_t d = kN; d < width; d += kN) part = mul_add(load(row + d), load(q + d), part);
    sum[j] = part;
  }
  store(to, sum_each<kN>(sum));
}

/// s[j][lane] = sum_d k[j pitch + d] q[lane width + d] for n keys and n_q queries. Lanes without a
/// query repeat the first.
template <class A>
__attribute__((noinline)) void score_few(const A* q, int n_q, const A* k, int64_t pitch,
                                         int64_t width, A* s, int64_t n) {
  constexpr int kN = kLanes<A>;
  alignas(64) A dots[kFew * kN];
  for (int64_t at = 0; at < n; at += kN) {
    const int64_t m = n - at < kN ? n - at : kN;
    for (int l = 0; l < n_q; ++l) {
      dot_keys(q + l * width, k + at * pitch, pitch, width, m, dots + l * kN);
    }
    for (int64_t j = 0; j < m; ++j) {
      A* row = s + (at + j) * kQueries<A>;
      const Vec<A> first = set1(dots[j]);
      for (int v = 0; v < kRow; ++v) store(row + v * kN, first);
      for (int l = 1; l < n_q; ++l) row[l] = dots[l * kN + j];
    }
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
