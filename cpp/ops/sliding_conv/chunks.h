// The sum over input channels and taps, cut into chunks of at most 512 terms: a longer sequential
// sum of float32 loses more than the sqrt(terms) that the tolerance grants (design: numerics).
#pragma once

#include "ops/sliding_conv/kernel_math.h"

namespace swath::SWATH_ISA {
namespace {

inline constexpr int64_t kChunkTerms = 512;

/// Channels [c0, c1) and, per axis, taps [t0, t1).
struct Chunk {
  int64_t c0, c1, t0[3], t1[3];
  bool is_first, is_last;
};

struct ChunkPlan {
  int64_t channels;    // per chunk
  int64_t taps[3];     // per chunk and axis
  int64_t n_channels;  // chunks along channels and axes
  int64_t n_taps[3];
  int64_t n_chunks;
};

/// Whole kernels of several channels if they fit, else parts of one channel's kernel.
SWATH_ALWAYS_INLINE ChunkPlan plan_chunks(const ConvProblem& p) {
  ChunkPlan c{1, {1, 1, 1}, 1, {1, 1, 1}, 1};
  int64_t room = kChunkTerms;
  for (int i = 2; i >= 0; --i) {
    const int64_t k = p.axis[i].kernel;
    c.n_taps[i] = ceil_div(k, room < 1 ? 1 : room);
    c.taps[i] = ceil_div(k, c.n_taps[i]);
    room = c.n_taps[i] > 1 ? 1 : room / k;
  }
  const int64_t n = p.in_per_group;
  if (room < 1) room = 1;
  c.n_channels = ceil_div(n, room);
  c.channels = ceil_div(n, c.n_channels);
  c.n_chunks = c.n_channels * c.n_taps[0] * c.n_taps[1] * c.n_taps[2];
  return c;
}

SWATH_ALWAYS_INLINE Chunk chunk_at(const ConvProblem& p, const ChunkPlan& plan, int64_t index) {
  Chunk chunk;
  chunk.is_first = index == 0;
  chunk.is_last = index + 1 == plan.n_chunks;
  for (int i = 2; i >= 0; --i) {
    chunk.t0[i] = index % plan.n_taps[i] * plan.taps[i];
    chunk.t1[i] = chunk.t0[i] + plan.taps[i];
    if (chunk.t1[i] > p.axis[i].kernel) chunk.t1[i] = p.axis[i].kernel;
    index /= plan.n_taps[i];
  }
  chunk.c0 = index * plan.channels;
  chunk.c1 = chunk.c0 + plan.channels;
  if (chunk.c1 > p.in_per_group) chunk.c1 = p.in_per_group;
  return chunk;
}

/// Chunks of taps alone (channels are cut separately, as the outer loop).
SWATH_ALWAYS_INLINE int64_t n_tap_chunks(const ChunkPlan& c) {
  return c.n_taps[0] * c.n_taps[1] * c.n_taps[2];
}

}  // namespace
}  // namespace swath::SWATH_ISA
