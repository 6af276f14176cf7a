// Which part of the arrays one task works on, and how it lies in scratch memory.
// Included by *.isa.cc only.
//
// A task owns a block of dx. It needs the windows that touch the block, and all elements of x under
// these windows: the box. In scratch memory the box is split by residues modulo the stride
// ("phases"), so that a tap is the same distance away from every window:
//
//   element (z, y, x) of the box is in phase (z % s, y % s, x % s) at (z / s, y / s, x / s);
//   the element under tap (i, j, k) of window t is at t + code(i, j, k) of the whole box.
//
// Everything then is a loop over one long run of windows, whatever the stride, the layout and the
// length of the rows. Rows of windows are followed by as many positions without a window as a tap
// reaches back, so that no shift meets a window of the next row.
#pragma once

#include "ops/pooling_backward/problem.h"
#include "simd/vec.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// One axis of a box.
struct Side {
  int64_t begin, end;  // of dx
  int64_t first_window, n_windows;
  int64_t origin;           // of the box, in the array; may be negative
  int64_t n;                // positions of each phase
  int64_t first_q, last_q;  // positions that hold dx
  bool has_border;          // a window reaches beyond the array
};

SWATH_ALWAYS_INLINE int64_t max_shift(const ExtremeAxis& a) { return a.span() / a.stride; }
/// at = position stride + phase. Divisions cost as much as a short row: the usual strides have
/// none.
struct Place {
  int64_t phase, position;
};
SWATH_ALWAYS_INLINE Place place_of(int64_t at, int64_t stride) {
  if (stride == 1) return {0, at};
  if (stride == 2) return {at & 1, at >> 1};
  return {at % stride, at / stride};
}
SWATH_ALWAYS_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
SWATH_ALWAYS_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

__attribute__((noinline)) Side make_side(const ExtremeAxis& a, int64_t index) {
  Side s;
  s.begin = index * a.block;
  s.end = smaller(s.begin + a.block, a.in);
  s.first_window = larger((s.begin + a.pad) / a.stride - max_shift(a), 0);
  const int64_t last = (s.end - 1 + a.pad) / a.stride;
  s.n_windows = smaller(last, a.out - 1) - s.first_window + 1;
  s.origin = s.first_window * a.stride - a.pad;
  s.first_q = (s.begin - s.origin) / a.stride;
  s.last_q = last - s.first_window;
  s.n = larger(s.n_windows + max_shift(a), s.last_q + 1);
  s.has_border = s.origin < 0 || s.origin + (s.n_windows - 1) * a.stride + a.span() >= a.in;
  return s;
}

/// The most positions that a side may have.
SWATH_ALWAYS_INLINE int64_t most_positions(const ExtremeAxis& a) {
  const int64_t touched = (a.block - 1) / a.stride + max_shift(a) + 2;
  return larger(smaller(a.out, touched) + max_shift(a), touched);
}

struct Box {
  Side side[3];
  int64_t inner_begin, n_inner;
  int64_t row;         // elements from row to row of a phase
  int64_t phase;       // elements of a phase; whole vectors may be written behind its rows
  int64_t n_elements;  // of all phases
  int64_t margin;      // how far back a tap reaches, in windows
  bool has_windows, has_border;

  /// Where tap t of an axis is, relative to its window.
  __attribute__((always_inline)) int64_t code(const ExtremeProblem& p, int axis, int64_t t) const {
    return place(p, axis, t * p.axis[axis].dilation);
  }
  /// From one position to the next along an axis.
  __attribute__((always_inline)) int64_t step(int axis) const {
    return axis == 2 ? n_inner : axis == 1 ? row : row * side[1].n;
  }
  /// From one phase of an axis to the next.
  __attribute__((always_inline)) int64_t phase_step(const ExtremeProblem& p, int axis) const {
    int64_t n = phase;
    for (int i = axis + 1; i < 3; ++i) n *= p.axis[i].stride;
    return n;
  }
  /// Where the element of the box at `at` (counted from its origin) is, along one axis.
  __attribute__((always_inline)) int64_t place(const ExtremeProblem& p, int axis,
                                               int64_t at) const {
    const Place place = place_of(at, p.axis[axis].stride);
    return place.phase * phase_step(p, axis) + place.position * step(axis);
  }
};

__attribute__((noinline)) Box make_box(const ExtremeProblem& p, const int64_t (&index)[4]) {
  Box b;
  b.inner_begin = index[3] * p.inner_block;
  b.n_inner = smaller(p.inner_block, p.n_inner - b.inner_begin);
  b.has_windows = true;
  b.has_border = false;
  for (int i = 0; i < 3; ++i) {
    b.side[i] = make_side(p.axis[i], index[i]);
    b.has_windows &= b.side[i].n_windows > 0;
    b.has_border |= b.side[i].has_border;
  }
  b.row = b.side[2].n * b.n_inner;
  b.phase = b.row * b.side[1].n * b.side[0].n + kLanes<float>;
  b.n_elements = b.phase * p.axis[0].stride * p.axis[1].stride * p.axis[2].stride;
  b.margin = 0;
  for (int i = 0; i < 3; ++i) b.margin += max_shift(p.axis[i]) * b.step(i);
  return b;
}

/// Up to so many taps are compared one by one, from there on first along rows.
inline constexpr int64_t kDirectTaps = 9;
/// Up to so many taps each element of dx asks the windows around it; from there on each window
/// adds to its element. (One question costs about a tenth of such an addition.)
inline constexpr int64_t kAskedTaps = 64;
/// Longest run of sequential additions.
inline constexpr int64_t kSumRun = 512;

SWATH_ALWAYS_INLINE bool folds_rows(const ExtremeProblem& p) { return p.n_taps() > kDirectTaps; }
SWATH_ALWAYS_INLINE bool asks_windows(const ExtremeProblem& p) { return p.n_taps() <= kAskedTaps; }

/// Windows of a row (of all rows) that may share an element.
SWATH_ALWAYS_INLINE int64_t most_terms(const ExtremeAxis& a) {
  return smaller((a.window - 1) / a.stride + 1, a.out);
}
SWATH_ALWAYS_INLINE bool has_long_sums(const ExtremeProblem& p) {
  return !asks_windows(p) &&
         most_terms(p.axis[0]) * most_terms(p.axis[1]) * most_terms(p.axis[2]) > kSumRun;
}

/// The memory of a worker, for the largest box of the problem.
template <class A>
struct Scratch {
  using I = Bits<A>;
  A *box = nullptr, *sums = nullptr, *dy = nullptr;
  A* row_best = nullptr;
  I *row_code = nullptr, *code = nullptr, *first = nullptr;
  int64_t n_bytes = 0;

  __attribute__((noinline)) Scratch(const ExtremeProblem& p, void* memory) {
    char* base = static_cast<char*>(memory);
    int64_t phase = p.inner_block, margin = 0, n_phases = 1, step = p.inner_block;
    for (int i = 2; i >= 0; --i) {
      margin += max_shift(p.axis[i]) * step;
      phase *= most_positions(p.axis[i]);
      step = phase;
      n_phases *= p.axis[i].stride;
    }
    phase += kLanes<float>;
    const int64_t n_row_phases = n_phases / p.axis[2].stride;
    take(base, box, phase * n_phases);
    take(base, code, phase + margin);
    take(base, dy, phase + margin);
    take(base, first, phase);
    if (has_long_sums(p)) take(base, sums, phase * n_phases);
    if (folds_rows(p)) {
      take(base, row_best, phase * n_row_phases);
      take(base, row_code, phase * n_row_phases);
    }
  }

 private:
  /// With some vectors of slack: loops run over whole vectors.
  template <class T>
  void take(char* base, T*& piece, int64_t n) {
    constexpr int64_t kSlack = 4 * kVecBytes;
    if (base != nullptr) piece = reinterpret_cast<T*>(base + n_bytes);
    n_bytes += (n * static_cast<int64_t>(sizeof(T)) + kSlack + 63) / 64 * 64;
  }
};

template <class T>
__attribute__((noinline)) void fill(T* to, int64_t n, T value) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store(to + i, set1(value));
  for (; i < n; ++i) to[i] = value;
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
