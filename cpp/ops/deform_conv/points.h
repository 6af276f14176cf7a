// Where the taps of a block of positions sample x: four corners and their weights. Included by
// *.isa.cc only.
#pragma once

#include "ops/common/rows.h"
#include "ops/deform_conv/problem.h"

namespace swath::SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
SWATH_ALWAYS_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
SWATH_ALWAYS_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

const DeformProblem& as_deform(const void* p) { return *static_cast<const DeformProblem*>(p); }

/// Positions [first, first + n) of a sample, row by row.
struct PositionBlock {
  int64_t sample, first, n;
};

/// One weight by its output channel, its channel within the group and its tap.
template <class S>
SWATH_ALWAYS_INLINE typename AccOf<S>::type weight_at(const DeformProblem& p, const S* w, int64_t o,
                                                      int64_t c, int64_t t) {
  const int64_t kh = t / p.axis[1].kernel, kw = t % p.axis[1].kernel;
  return to_acc(w[o * p.weight.out_stride + c * p.weight.in_stride + kh * p.weight.row_stride +
                  kw * p.weight.col_stride]);
}

/// Runs f(row, column, index in the block, length) over the pieces of rows of a block.
template <class F>
SWATH_ALWAYS_INLINE void for_row_pieces(const DeformProblem& p, const PositionBlock& b,
                                        const F& f) {
  const int64_t width = p.axis[1].out;
  int64_t row = b.first / width, col = b.first % width;
  for (int64_t i = 0; i < b.n;) {
    const int64_t n = least(width - col, b.n - i);
    f(row, col, i, n);
    i += n;
    ++row;
    col = 0;
  }
}

/// One coordinate: the index below it, how far beyond that it is and how far below the next one.
/// The integral part of the sampling grid never meets the fractions: each is rounded once at most.
template <class A>
struct Coordinate {
  int64_t low;
  A beyond, below;
};

template <class A>
SWATH_ALWAYS_INLINE Coordinate<A> coordinate(int64_t grid, A offset) {
  // No array is longer; what is beyond is outside either way. A NaN keeps a low of its own.
  constexpr A kFar = static_cast<A>(int64_t{1} << 46);
  if (!(offset > -kFar && offset < kFar)) {
    const A none = offset != offset ? offset : A{0};
    return {-(int64_t{1} << 46), none, none};
  }
  int64_t low = static_cast<int64_t>(offset);
  low -= static_cast<A>(low) > offset ? 1 : 0;
  return {grid + low, offset - static_cast<A>(low), static_cast<A>(low + 1) - offset};
}

/// Pixel indices of the corners (row, column), -1 outside: (low, low), (low, high), (high, low),
/// (high, high).
template <class A>
struct Point {
  int64_t row[2], col[2];
  A row_weight[2], col_weight[2];
  A mask;
  bool counts;  // -1 < h < H and -1 < w < W, or NaN
};

template <class A>
SWATH_ALWAYS_INLINE Point<A> make_point(const DeformProblem& p, const Coordinate<A>& h,
                                        const Coordinate<A>& w, A mask) {
  Point<A> at;
  const auto set = [](const DeformAxis& a, const Coordinate<A>& c, int64_t (&index)[2]) {
    index[0] = c.low >= 0 && c.low < a.in ? c.low : -1;
    index[1] = c.low >= -1 && c.low + 1 < a.in ? c.low + 1 : -1;
    return c.low < a.in && (c.low >= 0 || (c.low == -1 && c.beyond > 0));
  };
  const bool in_rows = set(p.axis[0], h, at.row), in_cols = set(p.axis[1], w, at.col);
  at.counts = in_rows && in_cols;
  at.row_weight[0] = h.below;
  at.row_weight[1] = h.beyond;
  at.col_weight[0] = w.below;
  at.col_weight[1] = w.beyond;
  at.mask = mask;
  const A sum = h.beyond + w.beyond;
  if (sum != sum) {  // a NaN in one offset: the other one may be outside
    for (int i = 0; i < 2; ++i) at.row_weight[i] = at.col_weight[i] = sum;
    at.counts = true;
  }
  return at;
}

/// Offsets and mask of the taps [t0, t1) of one deform group at a block of positions. `lines` has
/// room for three rows of `pitch` accumulators. f(tap - t0, position, point).
template <class S, class A, class F>
SWATH_ALWAYS_INLINE void for_points(const DeformProblem& p, const Buffers& b,
                                    const PositionBlock& block, int64_t deform, int64_t t0,
                                    int64_t t1, A* lines, int64_t pitch, const F& f) {
  const auto read = [&](const ImageView& v, int64_t channel, A* line) {
    const S* from = static_cast<const S*>(b.read(v.ref)) + v.offset +
                    block.sample * v.sample_stride + channel * v.channel_stride;
    for_row_pieces(p, block, [&](int64_t row, int64_t col, int64_t i, int64_t n) {
      widen_row(from + row * v.row_stride + col * v.col_stride, v.col_stride, line + i, n);
    });
  };
  A *dh = lines, *dw = lines + pitch, *m = lines + 2 * pitch;
  const int64_t width = p.axis[1].out, n_taps = p.n_taps();
  for (int64_t t = t0; t < t1; ++t) {
    const int64_t channel = deform * n_taps + t;
    read(p.offset, 2 * channel, dh);
    read(p.offset, 2 * channel + 1, dw);
    if (p.has_mask) read(p.mask, channel, m);
    const int64_t kh = t / p.axis[1].kernel, kw = t % p.axis[1].kernel;
    int64_t row = block.first / width, col = block.first % width;
    for (int64_t i = 0; i < block.n; ++i) {
      const DeformAxis &h = p.axis[0], &w = p.axis[1];
      const int64_t grid_h = row * h.stride - h.pad + kh * h.dilation;
      const int64_t grid_w = col * w.stride - w.pad + kw * w.dilation;
      f(t - t0, i,
        make_point(p, coordinate(grid_h, dh[i]), coordinate(grid_w, dw[i]),
                   p.has_mask ? m[i] : A{1}));
      if (++col == width) {
        col = 0;
        ++row;
      }
    }
  }
}

/// The corners of one sample as pointers to channel 0, a row of zeros where there is no pixel or
/// its weight is 0 (so that no NaN of a pixel reaches a sample that does not depend on it).
template <class A>
struct Corners {
  const A* at[4];
  A weight[4];
  A mask;
};

template <class A>
SWATH_ALWAYS_INLINE Corners<A> corners_of(const PixelsView& view, const A* x, const A* zeros,
                                          const Point<A>& p) {
  Corners<A> c;
  for (int i = 0; i < 4; ++i) {
    const int64_t row = p.row[i / 2], col = p.col[i % 2];
    const A by_row = p.row_weight[i / 2], by_col = p.col_weight[i % 2];
    const bool is_there = row >= 0 && col >= 0 && by_row != 0 && by_col != 0;
    c.at[i] = is_there ? x + row * view.row_stride + col * view.col_stride : zeros;
    c.weight[i] = by_row * by_col;
  }
  c.mask = p.mask;
  return c;
}

/// m lanes of the sample at channel c, times the mask.
template <class A>
SWATH_ALWAYS_INLINE Vec<A> sample_lanes(const Corners<A>& s, int64_t c, int m) {
  Vec<A> v = set1(s.weight[0]) * load_part<A>(s.at[0] + c, m);
  v = mul_add(set1(s.weight[1]), load_part<A>(s.at[1] + c, m), v);
  v = mul_add(set1(s.weight[2]), load_part<A>(s.at[2] + c, m), v);
  v = mul_add(set1(s.weight[3]), load_part<A>(s.at[3] + c, m), v);
  return v * set1(s.mask);
}

/// Samples of channels [first, first + n) side by side; `to` has room for whole vectors.
template <class A>
__attribute__((noinline)) void sample_channels(const Corners<A>& s, int64_t first, int64_t n,
                                               A* to) {
  for_lanes<A>(n, [&](int64_t j, int m) { store(to + j, sample_lanes(s, first + j, m)); });
}

}  // namespace
}  // namespace swath::SWATH_ISA
