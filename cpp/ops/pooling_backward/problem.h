// What the backward kernels of max and min pooling see.
#pragma once

#include <cstdint>

#include <swath/tensor.h>

#include "core/kernel.h"

namespace swath {

/// One spatial axis of the window; the default is an axis of one element that is not pooled.
/// An axis without a window may stand here as well, so that a task has more rows.
struct ExtremeAxis {
  int64_t in = 1, out = 1;
  int64_t window = 1, stride = 1, dilation = 1, pad = 0;
  int64_t x_stride = 0, dy_stride = 0, dx_stride = 0;
  int64_t block = 1;  // elements of dx of one task

  /// From the first to the last tap.
  __attribute__((always_inline)) int64_t span() const { return dilation * (window - 1); }
  __attribute__((always_inline)) int64_t n_blocks() const { return (in + block - 1) / block; }
  /// First tap of the window of output p that is inside the array, and the one behind the last.
  __attribute__((always_inline)) int64_t first_tap(int64_t p) const {
    const int64_t at = p * stride - pad;
    return at < 0 ? (-at + dilation - 1) / dilation : 0;
  }
  __attribute__((always_inline)) int64_t end_tap(int64_t p) const {
    const int64_t at = p * stride - pad;
    const int64_t n = at < in ? (in - at + dilation - 1) / dilation : 0;
    return n < window ? n : window;
  }
};

/// An axis without a window that tasks walk along.
struct ExtremeOuter {
  int64_t n = 1, x_stride = 0, dy_stride = 0, dx_stride = 0;
};

/// dx[i] = sum of dy[p] over the windows p whose maximum (minimum) is x[i]. The first of equals in
/// the order of `axis` has it, and the last NaN.
struct ExtremeProblem {
  bool is_min = false;
  ArrayRef dy = input_ref(0), x = input_ref(1), dx = output_ref(0);
  ExtremeAxis axis[3];  // depth, height, width
  int64_t n_inner = 1, x_inner_stride = 1, dy_inner_stride = 1, dx_inner_stride = 1;
  int64_t inner_block = 1;
  int32_t n_outer = 0;
  ExtremeOuter outer[kMaxRank];

  __attribute__((always_inline)) int64_t n_outer_elements() const {
    int64_t n = 1;
    for (int i = 0; i < n_outer; ++i) n *= outer[i].n;
    return n;
  }
  __attribute__((always_inline)) int64_t n_inner_blocks() const {
    return (n_inner + inner_block - 1) / inner_block;
  }
  __attribute__((always_inline)) int64_t n_taps() const {
    return axis[0].window * axis[1].window * axis[2].window;
  }
};

}  // namespace swath
