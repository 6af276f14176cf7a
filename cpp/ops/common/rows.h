// Rows between arrays of any stride and scratch memory, and sums of rows. Included by *.isa.cc
// only.
#pragma once

#include "simd/vec.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Terms of one float32 sum before it is added to a total: longer chains drift.
inline constexpr int64_t kSumRun = 512;

/// f(j, n) for n = kLanes elements at a time, at last for the rest.
template <class A, class F>
SWATH_ALWAYS_INLINE void for_lanes(int64_t n, const F& f) {
  constexpr int kLane = kLanes<A>;
  int64_t j = 0;
  for (; j + kLane <= n; j += kLane) f(j, kLane);
  if (j < n) f(j, static_cast<int>(n - j));
}

template <class A, class S>
SWATH_ALWAYS_INLINE Vec<A> load_part(const S* p, int n) {
  return n == kLanes<A> ? load_as<A>(p) : load_as_n<A>(p, n);
}
template <class S, class V>
SWATH_ALWAYS_INLINE void store_part(S* p, V v, int n) {
  if (n == kLanes<Elem<V>>) {
    store_as(p, v);
  } else {
    store_as_n(p, v, n);
  }
}

/// The same elements side by side.
template <class S>
SWATH_ALWAYS_INLINE void gather_row(const S* from, int64_t stride, S* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
}
template <class S>
SWATH_ALWAYS_INLINE void scatter_row(const S* from, S* to, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i * stride] = from[i];
}

/// As accumulators. `to` has room for whole vectors.
template <class A, class S>
SWATH_ALWAYS_INLINE void widen_row(const S* from, int64_t stride, A* to, int64_t n) {
  if (stride == 1) {
    for_lanes<A>(n, [&](int64_t j, int m) { store(to + j, load_part<A>(from + j, m)); });
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (sizeof(S) == sizeof(A)) {
      to[i] = from[i * stride];
    } else {
      to[i] = to_acc(from[i * stride]);
    }
  }
}
template <class A, class S>
SWATH_ALWAYS_INLINE void narrow_row(const A* from, S* to, int64_t stride, int64_t n) {
  if (stride == 1) {
    for_lanes<A>(n, [&](int64_t j, int m) { store_part(to + j, load(from + j), m); });
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (sizeof(S) == sizeof(A)) {
      to[i * stride] = from[i];
    } else {
      to[i * stride] = from_acc<S>(from[i]);
    }
  }
}

/// A long sum of numbers, made of runs.
template <class A>
struct LongSum {
  A total = 0, part = 0;
  int64_t n = 0;
  __attribute__((always_inline)) void add(A value) {
    part += value;
    if (++n % kSumRun == 0) {
      total += part;
      part = 0;
    }
  }
  __attribute__((always_inline)) A value() const { return total + part; }
};

/// The sum of f(j, n), vectors whose lanes beyond n are 0, over n elements.
template <class A, class F>
SWATH_ALWAYS_INLINE A sum_lanes(int64_t n, const F& f) {
  constexpr int kLane = kLanes<A>;
  constexpr int kWays = 4;  // an addition waits for the last one: four at a time
  Vec<A> total = zero<A>();
  int64_t j = 0;
  while (j < n) {
    Vec<A> part[kWays];
    for (Vec<A>& v : part) v = zero<A>();
    const int64_t end = n - j > kSumRun * kLane ? j + kSumRun * kLane : n;
    for (; j + kWays * kLane <= end; j += kWays * kLane) {
#pragma GCC unroll 4
      for (int u = 0; u < kWays; ++u) part[u] += f(j + u * kLane, kLane);
    }
    for (; j + kLane <= end; j += kLane) part[0] += f(j, kLane);
    if (j < end) {
      part[1] += f(j, static_cast<int>(end - j));
      j = end;
    }
    total += (part[0] + part[1]) + (part[2] + part[3]);
  }
  return reduce_add(total);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
