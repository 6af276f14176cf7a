// Images of narrow rows as planes: rows laid end to end, which a tap moves by one distance.
// Included by *.isa.cc only.
#pragma once

#include "ops/dynamic_conv/stage.h"

namespace swath {
namespace SWATH_ISA {
namespace {

inline constexpr int64_t kPlaneMembers = 16;   // whose x is staged at once
inline constexpr int64_t kPlaneColumns = 128;  // of a tile of taps
inline constexpr int64_t kTilePitch = 144;     // of its rows: 9 or 18 lines of the cache
inline constexpr int64_t kMostWidth = 256;     // wider rows fill vectors of their own
inline constexpr int64_t kMostSpan = 2048;     // positions from the first to the last tap

SWATH_ALWAYS_INLINE bool is_one_row(const DynamicProblem& p) {
  return p.rows().x == 1 && p.rows().y == 1 && p.rows().kernel == 1;
}

/// Positions that are read and written, and how taps move them. Nothing passes from one row into
/// another where there is only one: then a mask has one column.
struct Plane {
  AxisPhase h, w;
  int64_t width, n_marks, n_in, n_taps_in, n_out, lowest, span;

  __attribute__((always_inline)) explicit Plane(const DynamicProblem& p)
      : h(axis_phase(p, 0, 0)),
        w(axis_phase(p, 1, 0)),
        width(is_one_row(p) ? 1 : p.cols().x),
        n_marks(is_one_row(p) ? 1 : w.n_taps) {
    n_in = in_length(p, 0) * in_length(p, 1);
    n_taps_in = p.rows().y * p.cols().y;
    n_out = h.n * w.n;
    lowest = h.lowest_shift() * width + w.lowest_shift();
    span = (h.span() - 1) * width + w.span();
  }
  __attribute__((always_inline)) int64_t shift(int64_t a, int64_t c) const {
    return h.shift(a) * width + w.shift(c);
  }
  __attribute__((always_inline)) int64_t n_blocks(const DynamicProblem& p) const {
    return count_blocks(n_out, p.positions_block);
  }
  /// Of a row of staged x that serves n outputs.
  __attribute__((always_inline)) int64_t x_pitch(int64_t n) const {
    const int64_t n_vectors = padded(padded(n) + span) / kSlack;
    return (n_vectors | 1) * kSlack;  // odd: rows lie in different sets of the cache
  }
  __attribute__((always_inline)) int64_t inside_pitch() const { return width + kSlack; }
  __attribute__((always_inline)) int64_t marks_at(int64_t c) const {
    return n_marks == 1 ? 0 : c * inside_pitch();
  }
  /// -1 where an output of a column stays in its row when a tap of column c moves it, else 0.
  template <class B>
  __attribute__((always_inline)) void mark_inside(B* to) const {
    for (int64_t c = 0; c < n_marks; ++c, to += inside_pitch()) {
      for (int64_t i = 0; i < inside_pitch(); ++i) {
        const int64_t at = n_marks == 1 ? 0 : i % width + w.shift(c);
        to[i] = at >= 0 && at < width ? B{-1} : B{0};
      }
    }
  }
};

/// Cuts outputs [begin, end) where vectors that read x in place would leave it:
/// f(begin, end, is inside).
template <class F>
SWATH_ALWAYS_INLINE void for_pieces(const Plane& plane, int64_t begin, int64_t end, const F& f) {
  const int64_t low = padded(larger(begin, -plane.lowest));
  const int64_t high = smaller(end, plane.n_in - plane.lowest - plane.span + 1) / kSlack * kSlack;
  if (low >= high) return f(begin, end, false);
  if (begin < low) f(begin, low, false);
  f(low, high, true);
  if (high < end) f(high, end, false);
}

/// One task: a sample, a group and a block of positions.
struct PlaneTask {
  int64_t n, g, begin, end;
  __attribute__((always_inline)) PlaneTask(const DynamicProblem& p, const Plane& plane,
                                           int64_t index) {
    const int64_t n_blocks = plane.n_blocks(p);
    begin = index % n_blocks * p.positions_block;
    end = smaller(begin + p.positions_block, plane.n_out);
    g = index / n_blocks % p.n_groups;
    n = index / n_blocks / p.n_groups;
  }
};

/// Whether positions go on evenly over the ends of rows.
SWATH_ALWAYS_INLINE bool is_even(const DynamicProblem& p, const DynamicArray& a) {
  return is_one_row(p) || a.h == p.cols().x * a.w;
}
SWATH_ALWAYS_INLINE bool is_plane(const DynamicProblem& p, const DynamicArray& a) {
  return a.w == 1 && is_even(p, a);
}
/// What both kernels of planes need.
SWATH_ALWAYS_INLINE const char* reject_plane(const DynamicProblem& p) {
  if (p.is_packed || p.n_partials > 0) return "made for taps of each position";
  if (p.n_history > 0) return "a stream";
  if (p.rows().stride > 1 || p.cols().stride > 1) return "made for a stride of 1";
  if (!is_one_row(p) && p.cols().y != p.cols().x) return "rows differ in length";
  if (p.n_taps() > kSumRun || Plane(p).span > kMostSpan) return "the kernel is large";
  if (!is_one_row(p) && p.cols().x > kMostWidth) return "rows fill vectors of their own";
  return nullptr;
}
SWATH_ALWAYS_INLINE int64_t count_plane_tasks(const DynamicProblem& p) {
  return p.n_batch * p.n_groups * Plane(p).n_blocks(p);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
