// The part of the input that a block of outputs reads. Plain data: also included by files compiled
// with ISA flags.
#pragma once

#include "ops/dynamic_conv/problem.h"

namespace swath {

__attribute__((always_inline)) inline int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
__attribute__((always_inline)) inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/// Length of the array that is read, along an axis.
__attribute__((always_inline)) inline int64_t in_length(const DynamicProblem& p, int axis) {
  return p.role == DynamicRole::input_grad ? p.axis[axis].y : p.axis[axis].x;
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

}  // namespace swath
