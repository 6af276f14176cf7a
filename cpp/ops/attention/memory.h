// Scratch memory of a worker. Included by *.isa.cc only.
#pragma once

#include "ops/attention/stage.h"
#include "ops/common/carver.h"

namespace swath::SWATH_ISA {
namespace {

// Keys between two steps of the online softmax: with 64 keys of 64 values, which stay in L1, dense
// attention is 15 % slower.
inline constexpr int64_t kMaxChunk = 256;
inline constexpr int64_t kMinChunk = 8;
inline constexpr int kMaxPieces = 64;
inline constexpr int64_t kScratchBytes = 62 * 1024;  // the contract: 64 KB a thread

/// Whether rows must be copied: another type than the sums', strided, or no whole vectors.
template <class S>
bool stages_k(const TokenArray& k) {
  return sizeof(S) == 2 || k.unit != 1;
}
template <class S>
bool stages_v(const TokenArray& v, int64_t d_v) {
  return stages_k<S>(v) || d_v % kLanes<typename AccOf<S>::type> != 0;
}

/// Scratch memory of a worker.
template <class S>
struct AttendMemory {
  using A = typename AccOf<S>::type;
  int64_t chunk;
  A *q, *low_a, *o, *scores, *stage;
  uint16_t *bits, *map;
  int64_t used;

  AttendMemory(const AttentionProblem& p, void* base) {
    int64_t width = 0;  // of a staged row
    const auto stage_width = [&](int64_t n) { width = width > n ? width : padded<A>(n); };
    bool stages_keys = stages_k<S>(p.k), stages_values = stages_v<S>(p.v, p.d_v);
    for (int e = 0; e < p.n_extras; ++e) {
      stages_keys = stages_keys || stages_k<S>(p.extras[e].k);
      stages_values = stages_values || stages_v<S>(p.extras[e].v, p.d_v);
    }
    const bool has_levels = p.patterns[0].has_levels;
    if (stages_keys || has_levels) stage_width(p.d);
    if (stages_values || has_levels) stage_width(p.d_v);
    if (p.has_low_rank) stage_width(p.rank);
    Carver carver{static_cast<char*>(base)};
    q = carver.take<A>(padded<A>(p.d) * kQueries<A>);
    low_a = carver.take<A>(padded<A>(p.rank) * kQueries<A>);
    o = carver.take<A>(padded<A>(p.d_v) * kQueries<A>);
    map = carver.take<uint16_t>(p.n_patterns > 1 ? kUnionKeys : 0);
    const int64_t row = (kQueries<A> + width) * static_cast<int64_t>(sizeof(A)) + 2;
    chunk = (kScratchBytes - carver.used) / row;
    chunk = chunk > kMaxChunk ? kMaxChunk : chunk < kMinChunk ? kMinChunk : chunk;
    scores = carver.take<A>(chunk * kQueries<A>);
    stage = carver.take<A>(chunk * width);
    bits = carver.take<uint16_t>(chunk);
    used = carver.used;
  }
};

}  // namespace
}  // namespace swath::SWATH_ISA
