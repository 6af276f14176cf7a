// Slopes of logits. Included by *.isa.cc only.
#pragma once

#include "ops/attention/scores.h"

namespace swath::SWATH_ISA {
namespace {

/// Whether x - x is not 0 anywhere: something is NaN or infinite.
template <class A>
__attribute__((noinline)) bool has_infinite(const A* s, int64_t n) {
  Vec<A> sum = zero<A>();
  for (int64_t i = 0; i < n; i += kLanes<A>) {
    const Vec<A> x = load(s + i);
    sum += x - x;
  }
  const A all = reduce_add(sum);
  return !(all == 0);
}

/// Logits become P = exp(s - lse), products <grad, v> become dS = P (x - delta).
template <class A>
__attribute__((noinline)) void make_slopes(A* s, A* x, int64_t n, const A* lse, const A* delta) {
  const Vec<A> low = set1(-static_cast<A>(__builtin_inf()));
  for (int v = 0; v < kRow; ++v) {
    const Vec<A> given = load(lse + v * kLanes<A>), minus = load(delta + v * kLanes<A>);
    const Vec<A> shift = select(given == low, zero<A>(), given);
    for (int64_t j = 0; j < n; ++j) {
      A* weight = s + j * kQueries<A> + v * kLanes<A>;
      A* slope = x + j * kQueries<A> + v * kLanes<A>;
      const Vec<A> logit = load(weight);
      const Vec<A> p = select(logit == low, zero<A>(), exp_nonpositive(logit - shift));
      store(weight, p);
      store(slope, select(p == zero<A>(), zero<A>(), p * (load(slope) - minus)));
    }
  }
}

/// dZ = dS (1 - (z / cap)^2)
template <class A>
__attribute__((noinline)) void cap_slopes(A* slopes, const A* z, int64_t n, A cap) {
  const Vec<A> inverse = set1(1 / cap), one = set1(static_cast<A>(1));
  for (int64_t i = 0; i < n * kQueries<A>; i += kLanes<A>) {
    const Vec<A> t = load(z + i) * inverse, slope = load(slopes + i);
    store(slopes + i, select(slope == zero<A>(), zero<A>(), slope * ((one - t) * (one + t))));
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
