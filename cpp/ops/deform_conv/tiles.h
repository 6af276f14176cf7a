// Register tiles and the cut of the work that the deformable kernels share. Included by *.isa.cc
// only.
#pragma once

#include "ops/common/carver.h"
#include "ops/deform_conv/points.h"
#include "ops/sliding_conv/tiles_channels.h"

namespace swath::SWATH_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
// 8 x 3 sums, 3 vectors of weights and a sample: 28 of 32 registers.
inline constexpr int kTall = 8, kWide = 3;
#elif defined(__AVX2__)
// 6 x 2 sums, 2 vectors of weights and a sample: 15 of 16 registers.
inline constexpr int kTall = 6, kWide = 2;
#else
// Without FMA a product needs a register too.
inline constexpr int kTall = 4, kWide = 2;
#endif
/// Positions of a task: their samples of 512 terms stay in a second-level cache.
inline constexpr int64_t kBlock = 4 * kTall;
/// Taps whose corners are kept at once.
inline constexpr int64_t kTapRun = 64;

/// Runs of at most kWide vectors, nearly equal: f(first vector, vectors).
template <class F>
SWATH_ALWAYS_INLINE void for_vector_runs(int64_t n_vectors, const F& f) {
  const int64_t n_runs = ceil_div(n_vectors, kWide);
  for (int64_t i = 0; i < n_runs; ++i) {
    const int64_t first = n_vectors * i / n_runs;
    f(first, n_vectors * (i + 1) / n_runs - first);
  }
}

/// out[position][lanes] (+)= rows[position][term] w[term][lanes], for `n` positions rounded up to
/// whole tiles.
template <class A>
struct Product {
  const A* rows;
  int64_t row_pitch, n_terms;
  const A* w;
  A* out;
  int64_t out_pitch;
  bool adds;
};

template <class A>
SWATH_ALWAYS_INLINE void run_tile(const ChannelTile<A>& t, int64_t n_vectors) {
  switch (n_vectors) {
    case 1:
      return dense_tile<A, kTall, 1>(t);
    case 2:
      return dense_tile<A, kTall, 2>(t);
    case 3:
      if constexpr (kWide >= 3) dense_tile<A, kTall, 3>(t);
  }
}

template <class A>
__attribute__((noinline)) void multiply_rows(const Product<A>& product, int64_t n,
                                             int64_t n_vectors) {
  const int64_t origin = 0, lanes = n_vectors * kLanes<A>;
  A sums[kTall * kWide * kLanes<A>];
  ChannelTile<A> t{};
  t.position_stride = product.row_pitch;
  t.row_offset = t.row_index = t.col_offset = &origin;
  t.n_rows = t.n_taps_x = 1;
  t.n_channels = product.n_terms;
  t.w = product.w;
  t.n_lanes = lanes;
  for (int64_t i = 0; i < n; i += kTall) {
    A* out = product.out + i * product.out_pitch;
    t.x = product.rows + i * product.row_pitch;
    t.out = product.adds ? sums : out;
    t.out_stride = product.adds ? lanes : product.out_pitch;
    run_tile(t, n_vectors);
    if (!product.adds) continue;
    for (int64_t k = 0; k < kTall; ++k) {
      for (int64_t j = 0; j < lanes; j += kLanes<A>) {
        A* to = out + k * product.out_pitch + j;
        store(to, load(to) + load(sums + k * lanes + j));
      }
    }
  }
}

/// The positions of a sample are cut into blocks of nearly as many tiles; the last tile of a sample
/// alone may lack positions.
struct PositionGrid {
  int64_t n_positions, n_tiles, per_sample;

  __attribute__((always_inline)) explicit PositionGrid(const DeformProblem& p)
      : n_positions(p.n_positions()),
        n_tiles(ceil_div(n_positions, kTall)),
        per_sample(ceil_div(n_tiles * kTall, kBlock)) {}
  __attribute__((always_inline)) PositionBlock at(int64_t index) const {
    const int64_t i = index % per_sample, first = start(i);
    return {index / per_sample, first, start(i + 1) - first};
  }

 private:
  __attribute__((always_inline)) int64_t start(int64_t i) const {
    return least(n_tiles * i / per_sample * kTall, n_positions);
  }
};

/// The corners of all taps of a run, kept for as long as neither deform group nor run changes.
template <class A>
struct CornerTable {
  Corners<A>* corners;  // [tap][kBlock]
  A *lines, *zeros;
  int64_t deform = -1, first_tap = -1;

  static constexpr int64_t kLinePitch = kBlock + kLanes<A>;

  __attribute__((always_inline)) void carve(Carver& carver, const DeformProblem& p) {
    corners = carver.take<Corners<A>>(least(p.n_taps(), kTapRun) * kBlock);
    lines = carver.take<A>(3 * kLinePitch);
    zeros = carver.take<A>(p.n_in() + kLanes<A>);
  }
  __attribute__((always_inline)) void clear_zeros(const DeformProblem& p) {
    __builtin_memset(zeros, 0, static_cast<size_t>(p.n_in() + kLanes<A>) * sizeof(A));
  }
  template <class S>
  __attribute__((always_inline)) void open(const DeformProblem& p, const Buffers& b,
                                           const PositionBlock& block, int64_t for_deform,
                                           int64_t t0, int64_t t1) {
    if (deform == for_deform && first_tap == t0) return;
    deform = for_deform;
    first_tap = t0;
    const A* x =
        static_cast<const A*>(b.read(p.x.ref)) + p.x.offset + block.sample * p.x.sample_stride;
    for_points<S>(p, b, block, for_deform, t0, t1, lines, kLinePitch,
                  [&](int64_t t, int64_t i, const Point<A>& point) {
                    corners[t * kBlock + i] = corners_of(p.x, x, zeros, point);
                  });
  }
};

/// Samples of the block's channels at all taps [t0, t1): [position][tap][channel], rows of `pitch`;
/// rows up to a whole tile are there.
template <class A>
SWATH_ALWAYS_INLINE void sample_block(const CornerTable<A>& table, const DeformBlock& channels,
                                      int64_t n_taps, int64_t n, int64_t pitch, A* to) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t t = 0; t < n_taps; ++t) {
      sample_channels(table.corners[t * kBlock + i], channels.first, channels.n,
                      to + i * pitch + t * channels.n);
    }
  }
  for (int64_t i = n; i < round_up(n, kTall); ++i) {
    __builtin_memset(to + i * pitch, 0, static_cast<size_t>(n_taps * channels.n) * sizeof(A));
  }
}

/// Element distance of the sample rows of `n_taps` taps: whole vectors may be written behind them.
template <class A>
SWATH_ALWAYS_INLINE int64_t sample_pitch(int64_t n_channels, int64_t n_taps) {
  return round_up(n_taps * n_channels, kLanes<A>) + kLanes<A>;
}
template <class A>
SWATH_ALWAYS_INLINE int64_t largest_sample_pitch(const DeformProblem& p) {
  int64_t most = 0;
  for (int64_t i = 0; i < p.n_blocks; ++i) {
    const int64_t pitch = sample_pitch<A>(p.blocks[i].n, least(p.n_taps(), kTapRun));
    if (pitch > most) most = pitch;
  }
  return most;
}

template <class F>
SWATH_ALWAYS_INLINE void for_tap_runs(const DeformProblem& p, const F& f) {
  for (int64_t t = 0; t < p.n_taps(); t += kTapRun) f(t, least(t + kTapRun, p.n_taps()));
}

}  // namespace
}  // namespace swath::SWATH_ISA
