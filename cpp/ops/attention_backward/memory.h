// Scratch memory of a worker of attention's backward. Included by *.isa.cc only.
#pragma once

#include "ops/attention/attend.h"
#include "ops/attention_backward/problem.h"

namespace swath::SWATH_ISA {
namespace {

/// Keys between two rounds of products: their scores, weights and slopes stay in the first cache.
inline constexpr int64_t kGradChunk = 128;

template <class S>
struct GradMemory {
  using A = typename AccOf<S>::type;
  AttendMemory<S> attend;
  int64_t chunk, d, d_v, rank;  // whole vectors
  A *q, *grad, *grad_lanes, *dq;
  A *weights, *slopes, *capped;
  A *k_stage, *v_stage, *mean_stage;
  A *low_rows, *low_stage, *da;
  A* own;  // sums of dk and dv of a whole head, if few enough; else null
  int64_t used;

  GradMemory(const AttentionGradProblem& g, void* base)
      : attend(g.walk, base),
        d(padded<A>(g.walk.d)),
        d_v(padded<A>(g.walk.d_v)),
        rank(padded<A>(g.walk.rank)) {
    constexpr int64_t n = kQueries<A>;
    Carver carver{static_cast<char*>(base), attend.used};
    chunk = attend.chunk < kGradChunk ? attend.chunk : kGradChunk;
    q = carver.take<A>(n * d);
    grad = carver.take<A>(n * d_v);
    grad_lanes = carver.take<A>(n * d_v);
    dq = carver.take<A>(n * d);
    weights = carver.take<A>(n * chunk);
    slopes = carver.take<A>(n * chunk);
    capped = carver.take<A>(g.softcap > 0 ? n * chunk : 0);
    k_stage = carver.take<A>(chunk * d);
    v_stage = carver.take<A>(chunk * d_v);
    const bool has_levels = g.walk.patterns[0].has_levels;
    mean_stage = carver.take<A>(has_levels ? chunk * (d > d_v ? d : d_v) : 0);
    low_rows = carver.take<A>(n * rank);
    low_stage = carver.take<A>(chunk * rank);
    da = carver.take<A>(n * rank);
    own = carver.take<A>(g.own_in_scratch() ? g.own_elements() : 0);
    used = carver.used;
  }
};

/// Sums of dk and dv of one source in one unit, and which rows have been started.
template <class A>
struct OwnRows {
  A *dk, *dv;
  int64_t k_width, v_width, begin, end;

  void clear(int64_t from, int64_t to) const {
    for (int64_t i = from * k_width; i < to * k_width; i += kLanes<A>) store(dk + i, zero<A>());
    for (int64_t i = from * v_width; i < to * v_width; i += kLanes<A>) store(dv + i, zero<A>());
  }
  /// Rows [from, to) are about to be added to.
  void touch(int64_t from, int64_t to) {
    if (begin == end) {
      clear(from, to);
      begin = from;
      end = to;
      return;
    }
    if (from < begin) {
      clear(from, begin);
      begin = from;
    }
    if (to > end) {
      clear(end, to);
      end = to;
    }
  }
};

}  // namespace
}  // namespace swath::SWATH_ISA
