// Copies of strided rows as accumulators, with zeros around them. Included by *.isa.cc only.
#pragma once

#include "ops/common/rows.h"
#include "ops/dynamic_conv/window.h"
#include "simd/transpose.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Vectors that begin anywhere in a row end at most this far behind it.
inline constexpr int64_t kSlack = 16;

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
        const int64_t from = (first + (i + k) * step) * line.stride + j;
        v[k] = is_inside ? load_part<A>(line.x + from, n_here) : zero<A>();
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

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
