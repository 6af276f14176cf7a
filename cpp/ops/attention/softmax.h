// Logits of a chunk of keys to weights: the online softmax. Included by *.isa.cc only.
#pragma once

#include "ops/attention/scores.h"

namespace swath::SWATH_ISA {
namespace {

/// Sum and largest logit of each query so far.
template <class A>
struct RunningSoftmax {
  Vec<A> max[kRow], sum[kRow];

  RunningSoftmax() {
    for (int v = 0; v < kRow; ++v) {
      max[v] = set1(-static_cast<A>(__builtin_inf()));
      sum[v] = zero<A>();
    }
  }
};

/// Turns n rows of logits into weights exp(s - max), and gives the factor for all before them.
template <class A>
__attribute__((noinline)) void soften(A* s, int64_t n, const Vec<A>* chunk_max,
                                      RunningSoftmax<A>& state, A* alpha) {
  constexpr int kWays = 4;  // exponentials at a time: each is a long chain
  const A low = -static_cast<A>(__builtin_inf());
  for (int v = 0; v < kRow; ++v) {
    const Vec<A> max = max_or_second(chunk_max[v], state.max[v]);
    const Vec<A> shift = select(max == set1(low), zero<A>(), max);  // no -inf - -inf
    const Vec<A> scale = exp_nonpositive(state.max[v] - shift);
    store(alpha + v * kLanes<A>, scale);
    state.max[v] = max;
    Vec<A> sum[kWays];
    for (Vec<A>& part : sum) part = zero<A>();
    A* at = s + v * kLanes<A>;
    int64_t j = 0;
    for (; j + kWays <= n; j += kWays) {
#pragma GCC unroll 4
      for (int i = 0; i < kWays; ++i) {
        A* row = at + (j + i) * kQueries<A>;
        const Vec<A> e = exp_nonpositive(load(row) - shift);
        store(row, e);
        sum[i] += e;
      }
    }
    for (; j < n; ++j) {
      A* row = at + j * kQueries<A>;
      const Vec<A> e = exp_nonpositive(load(row) - shift);
      store(row, e);
      sum[0] += e;
    }
    state.sum[v] = state.sum[v] * scale + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
}

/// s = cap tanh(s / cap).
template <class A>
__attribute__((noinline)) void cap_scores(A* s, int64_t n, A cap) {
  const Vec<A> inverse = set1(1 / cap);
  for (int64_t i = 0; i < n * kQueries<A>; i += kLanes<A>) {
    store(s + i, set1(cap) * tanh(load(s + i) * inverse));
  }
}

/// Hides keys from the lanes of `all` that are not in `lanes` or, if there are `bits`, not in those
/// of the key; and takes part in the maxima.
template <class A>
__attribute__((noinline)) void hide_scores(A* s, int64_t n, const uint16_t* bits, uint32_t lanes,
                                           uint32_t all, Vec<A>* max) {
  const Vec<A> low = set1(-static_cast<A>(__builtin_inf()));
  for (int v = 0; v < kRow; ++v) {
    Vec<A> most = max[v];
    A* at = s + v * kLanes<A>;
    for (int64_t j = 0; j < n; ++j) {
      Vec<A> x = load(at + j * kQueries<A>);
      if (bits != nullptr || lanes != all) {
        const uint32_t seen = bits == nullptr ? lanes : bits[j] & lanes;
        x = select(bits_mask<A>(seen, v), x, low);
        store(at + j * kQueries<A>, x);
      }
      most = max_or_second(x, most);  // a NaN is left to the exponential
    }
    max[v] = most;
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
