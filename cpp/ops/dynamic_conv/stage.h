// What the kernels of dynamic convolution share: a block of outputs, the window of the input that
// it reads, and copies of inputs and taps as accumulators. Included by *.isa.cc only.
#pragma once

#include "ops/common/carver.h"
#include "ops/common/rows.h"
#include "ops/dynamic_conv/micro.h"
#include "ops/dynamic_conv/problem.h"
#include "simd/transpose.h"

namespace swath {
namespace SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE const DynamicProblem& as_dynamic(const void* problem) {
  return *static_cast<const DynamicProblem*>(problem);
}
SWATH_ALWAYS_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
SWATH_ALWAYS_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/// Room for n elements in whole vectors of any cluster.
SWATH_ALWAYS_INLINE int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }
/// Vectors that begin anywhere in a row end at most this far behind it.
inline constexpr int64_t kSlack = 16;

/// Length of the array that is read, along an axis.
SWATH_ALWAYS_INLINE int64_t in_length(const DynamicProblem& p, int axis) {
  return p.role == DynamicRole::input_grad ? p.axis[axis].y : p.axis[axis].x;
}
/// Of the longest phase.
SWATH_ALWAYS_INLINE int64_t out_length(const DynamicProblem& p, int axis) {
  return axis_phase(p, axis, 0).n;
}
SWATH_ALWAYS_INLINE int64_t count_blocks(int64_t n, int64_t block) {
  return (n + block - 1) / block;
}

/// Outputs [row, row + n_rows) x [col, col + n_cols) of a phase, and the input's elements that they
/// need. A single row of outputs keeps only the rows that its taps meet, so that a dilation does
/// not cost memory.
struct Window {
  AxisPhase h, w;
  int64_t row, n_rows, col, n_cols;

  __attribute__((always_inline)) int64_t n_terms() const { return h.n_taps * w.n_taps; }
  __attribute__((always_inline)) int64_t n_in_rows() const {
    return n_rows == 1 ? larger(h.n_taps, 1) : (n_rows - 1) * h.in_stride + h.span();
  }
  /// Where tap a meets the first row of outputs, among the rows of the window.
  __attribute__((always_inline)) int64_t window_row(int64_t a) const {
    return n_rows == 1 ? a : h.shift(a) - h.lowest_shift();
  }
  __attribute__((always_inline)) int64_t in_row(int64_t window_row) const {
    return row * h.in_stride + (n_rows == 1 ? h.shift(window_row) : h.lowest_shift() + window_row);
  }
  __attribute__((always_inline)) int64_t first_col() const {
    return col * w.in_stride + w.lowest_shift();
  }
  __attribute__((always_inline)) int64_t window_col(int64_t b) const {
    return w.shift(b) - w.lowest_shift();
  }
  __attribute__((always_inline)) int64_t n_in_cols() const {
    return (n_cols - 1) * w.in_stride + w.span();
  }
  /// Whether every element of it is in the input.
  __attribute__((always_inline)) bool is_inside(const DynamicProblem& p) const {
    if (n_terms() == 0) return true;
    const int64_t low = row * h.in_stride + h.lowest_shift();
    const int64_t high = low + (n_rows - 1) * h.in_stride + h.span();
    return low >= 0 && high <= in_length(p, 0) && first_col() >= 0 &&
           first_col() + n_in_cols() <= in_length(p, 1);
  }
};

/// A row of an array and, before it, the end of what a stream has seen.
template <class T>
struct Line {
  const T* x = nullptr;
  int64_t stride = 0, length = 0;
  const T* history = nullptr;
  int64_t history_stride = 0, n_history = 0;
};

/// The first i in [0, n] with i step >= distance.
SWATH_ALWAYS_INLINE int64_t first_reaching(int64_t distance, int64_t step, int64_t n) {
  if (distance <= 0) return 0;
  return smaller(step == 1 ? distance : (distance + step - 1) / step, n);
}

/// Zeros in to[begin, end), in whole vectors.
template <class A>
SWATH_ALWAYS_INLINE void clear(A* to, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kLanes<A>) store(to + i, zero<A>());
}

/// Where elements first + i step of a line, 0 <= i < n, are in its history and in itself.
struct Pieces {
  int64_t in_history, in_x, end;
  template <class T>
  __attribute__((always_inline)) Pieces(const Line<T>& line, int64_t first, int64_t step,
                                        int64_t n) {
    in_history = first_reaching(-line.n_history - first, step, n);
    in_x = first_reaching(-first, step, n);
    end = larger(first_reaching(line.length - first, step, n), in_x);
  }
};

/// to[i] = element first + i step of the line, 0 outside and for i in [n, pitch). What lies up to
/// kSlack behind is overwritten: rows are copied in their order.
template <class A, class T>
SWATH_ALWAYS_INLINE void stage_line(const Line<T>& line, int64_t first, int64_t step, int64_t n,
                                    A* to, int64_t pitch) {
  const Pieces at(line, first, step, n);
  clear(to, 0, at.in_history);
  if (at.in_history < at.in_x) {
    const int64_t from = first + at.in_history * step + line.n_history;
    widen_row(line.history + from * line.history_stride, line.history_stride * step,
              to + at.in_history, at.in_x - at.in_history);
  }
  if (at.in_x < at.end) {
    widen_row(line.x + (first + at.in_x * step) * line.stride, line.stride * step, to + at.in_x,
              at.end - at.in_x);
  }
  clear(to, at.end, pitch);
}

/// The same for n_lines lines side by side in memory (element j of one is beside that of the next),
/// into rows to_step apart: a block of vectors at a time, as the elements of one line may lie so
/// far apart that they share few sets of the cache. Needs no history.
template <class A, class T>
SWATH_ALWAYS_INLINE void stage_lines(const Line<T>& line, int64_t n_lines, int64_t first,
                                     int64_t step, int64_t n, A* to, int64_t to_step,
                                     int64_t pitch) {
  constexpr int kN = kLanes<A>;
  const Pieces at(line, first, step, n);
  for (int64_t i = 0; i < pitch; i += kN) {
    for (int64_t j = 0; j < n_lines; j += kN) {
      const int n_here = static_cast<int>(smaller(kN, n_lines - j));
      Vec<A> v[kN];
#pragma GCC unroll 16
      for (int k = 0; k < kN; ++k) {
        const bool is_inside = i + k >= at.in_x && i + k < at.end;
        const T* from = line.x + (first + (i + k) * step) * line.stride + j;
        v[k] = is_inside ? load_part<A>(from, n_here) : zero<A>();
      }
      transpose<A>(v);
      for (int k = 0; k < n_here; ++k) store(to + (j + k) * to_step + i, v[k]);
    }
  }
}

/// The inverse for n elements of n_lines rows: to[i to_stride + j] = from[j from_step + i].
template <class A, class T>
SWATH_ALWAYS_INLINE void write_lines(const A* from, int64_t from_step, int64_t n_lines, int64_t n,
                                     T* to, int64_t to_stride) {
  constexpr int kN = kLanes<A>;
  for (int64_t i = 0; i < n; i += kN) {
    const int n_out = static_cast<int>(smaller(kN, n - i));
    for (int64_t j = 0; j < n_lines; j += kN) {
      const int n_here = static_cast<int>(smaller(kN, n_lines - j));
      Vec<A> v[kN];
#pragma GCC unroll 16
      for (int k = 0; k < kN; ++k) {
        v[k] = k < n_here ? load(from + (j + k) * from_step + i) : zero<A>();
      }
      transpose<A>(v);
      for (int k = 0; k < n_out; ++k) store_part(to + (i + k) * to_stride + j, v[k], n_here);
    }
  }
}

/// The line of member m (of group g) in a row of the input; empty outside.
template <class S>
SWATH_ALWAYS_INLINE Line<S> input_line(const DynamicProblem& p, const Buffers& b, int64_t n,
                                       int64_t g, int64_t m, int64_t row) {
  Line<S> line;
  if (row < 0 || row >= in_length(p, 0)) return line;
  line.x = static_cast<const S*>(b.read(p.in.ref)) + p.in.at(n, g, m, row, 0);
  line.stride = p.in.w;
  line.length = in_length(p, 1);
  if (p.n_history > 0) {
    line.history = static_cast<const S*>(b.read(p.history.ref)) + p.history.at(n, g, m, row, 0);
    line.history_stride = p.history.w;
    line.n_history = p.n_history;
  }
  return line;
}

/// Copies the windows of members [m, m + n_members) into rows of `pitch`, `lines` of them for a row
/// of the input: a stride takes it apart, so that each tap's elements lie side by side.
template <class S, class A>
SWATH_ALWAYS_INLINE void stage_window(const DynamicProblem& p, const Buffers& b, int64_t n,
                                      int64_t g, int64_t m, int64_t n_members, const Window& w,
                                      A* to, int64_t lines, int64_t pitch) {
  const int64_t n_rows = w.n_in_rows(), step = w.w.in_stride, member = n_rows * lines * pitch;
  const bool together = p.in.m == 1 && p.in.w != 1 && p.n_history == 0;
  for (int64_t j = 0; j < n_members; j += together ? n_members : 1) {
    A* row_to = to + j * member;
    for (int64_t row = 0; row < n_rows; ++row) {
      const Line<S> line = input_line<S>(p, b, n, g, m + j, w.in_row(row));
      for (int64_t f = 0; f < lines; ++f, row_to += pitch) {
        const int64_t first = w.first_col() + f, n_line = (w.n_in_cols() - 1 - f) / step + 1;
        if (together) {
          stage_lines(line, n_members, first, step, n_line, row_to, member, pitch);
        } else {
          stage_line(line, first, step, n_line, row_to, pitch);
        }
      }
    }
  }
}

/// Columns of outputs, from `col` on, whose tap b is inside x: [first, end).
struct Inside {
  int64_t first, end;
  __attribute__((always_inline)) Inside(const DynamicProblem& p, const AxisPhase& w, int64_t b,
                                        int64_t col, int64_t n) {
    const int64_t at = col * w.in_stride + w.shift(b);
    first = first_reaching(-p.n_history - at, w.in_stride, n);
    end = first_reaching(in_length(p, 1) - at, w.in_stride, n);
  }
};

/// tile[r][i] = tap r of output (row, w.col + i) as accumulators, in rows of `pitch`.
template <class T, class A>
SWATH_ALWAYS_INLINE void stage_taps(const DynamicProblem& p, const T* taps, int64_t n, int64_t g,
                                    const Window& w, int64_t row, A* tile, int64_t pitch) {
  const bool moves = p.role == DynamicRole::input_grad;
  if (!moves && !p.renormalize && p.taps.m == 1 && p.taps.w != 1) {
    const Line<T> line{taps + p.taps.at(n, g, 0, row, 0), p.taps.w, p.cols().y};
    return stage_lines(line, p.n_taps(), w.col, 1, w.n_cols, tile, pitch, pitch);
  }
  for (int64_t a = 0; a < w.h.n_taps; ++a) {
    const int64_t tap_row = row + (moves ? w.h.shift(a) : 0);
    for (int64_t c = 0; c < w.w.n_taps; ++c, tile += pitch) {
      Line<T> line;
      if (tap_row >= 0 && tap_row < p.rows().y) {
        const int64_t k = w.h.tap(a) * p.cols().kernel + w.w.tap(c);
        line.x = taps + p.taps.at(n, g, k, tap_row, 0);
        line.stride = p.taps.w;
        line.length = p.cols().y;
      }
      stage_line(line, w.col + (moves ? w.w.shift(c) : 0), 1, w.n_cols, tile, pitch);
      if (!p.renormalize) continue;
      const Inside inside(p, w.w, c, w.col, w.n_cols);
      for (int64_t i = 0; i < inside.first; ++i) tile[i] = -__builtin_inf();
      for (int64_t i = inside.end; i < w.n_cols; ++i) tile[i] = -__builtin_inf();
    }
  }
}
template <class S, class A>
SWATH_ALWAYS_INLINE void stage_taps(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g,
                                    const Window& w, int64_t row, A* tile, int64_t pitch) {
  const void* taps = b.read(p.taps.ref);
  if (sizeof(S) != sizeof(A) && p.taps_are_acc) {
    stage_taps(p, static_cast<const A*>(taps), n, g, w, row, tile, pitch);
  } else {
    stage_taps(p, static_cast<const S*>(taps), n, g, w, row, tile, pitch);
  }
}

/// One task: a sample, a group and a block of outputs of every phase.
struct DynamicTask {
  int64_t n, g, row, col;
  __attribute__((always_inline)) DynamicTask(const DynamicProblem& p, int64_t index,
                                             int64_t n_groups) {
    const int64_t n_cols = count_blocks(out_length(p, 1), p.cols_block);
    col = index % n_cols * p.cols_block;
    index /= n_cols;
    const int64_t n_rows = count_blocks(out_length(p, 0), p.rows_block);
    row = index % n_rows * p.rows_block;
    index /= n_rows;
    g = index % n_groups;
    n = index / n_groups;
  }
};
SWATH_ALWAYS_INLINE int64_t count_tasks(const DynamicProblem& p, int64_t n_groups) {
  return p.n_batch * n_groups * count_blocks(out_length(p, 0), p.rows_block) *
         count_blocks(out_length(p, 1), p.cols_block);
}

/// f(window) for the part of each phase that a task covers.
template <class F>
SWATH_ALWAYS_INLINE void for_windows(const DynamicProblem& p, const DynamicTask& task, const F& f) {
  for (int64_t rh = 0; rh < n_phases(p, 0); ++rh) {
    for (int64_t rw = 0; rw < n_phases(p, 1); ++rw) {
      Window w{axis_phase(p, 0, rh), axis_phase(p, 1, rw), task.row, 0, task.col, 0};
      w.n_rows = smaller(p.rows_block, w.h.n - task.row);
      w.n_cols = smaller(p.cols_block, w.w.n - task.col);
      if (w.n_rows > 0 && w.n_cols > 0) f(w);
    }
  }
}

/// One set of taps [tap] of a group for all positions, or [tap][group] where lanes are groups:
/// after the softmax.
template <class S>
void pack_taps(const void* problem, const Buffers& b, void* packed) noexcept {
  using A = typename AccOf<S>::type;
  const DynamicProblem& p = as_dynamic(problem);
  if (!p.is_packed) return;
  const int64_t n_taps = p.n_taps();
  A* to = static_cast<A*>(packed);
  A* tile = to + n_taps * padded(p.n_groups);  // one vector a tap
  A* scale = tile + n_taps * 16;
  const S* taps = static_cast<const S*>(b.read(p.taps.ref));
  for (int64_t g = 0; g < p.n_groups; ++g) {
    for (int64_t k = 0; k < n_taps; ++k) {
      for (int64_t i = 0; i < 16; ++i) tile[k * 16 + i] = to_acc(taps[p.taps.at(0, g, k, 0, 0)]);
    }
    if (p.softmax) exponentiate(tile, n_taps, 16, 16, scale, false);
    for (int64_t k = 0; k < n_taps; ++k) {
      const A value = p.softmax ? tile[k * 16] * scale[0] : tile[k * 16];
      to[p.lanes_are_groups ? k * padded(p.n_groups) + g : g * n_taps + k] = value;
    }
  }
}
template <class S>
size_t packed_bytes(const void* problem) noexcept {
  const DynamicProblem& p = as_dynamic(problem);
  if (!p.is_packed) return 0;
  const int64_t n = p.n_taps() * padded(p.n_groups) + p.n_taps() * 16 + 16;
  return static_cast<size_t>(n) * sizeof(typename AccOf<S>::type);
}

[[maybe_unused]] size_t no_bytes(const void*) noexcept { return 0; }
[[maybe_unused]] void no_pack(const void*, const Buffers&, void*) noexcept {}

using f32 = float;
using f64 = double;

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
