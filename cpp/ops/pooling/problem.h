// What the pooling kernels see: a separable window over up to three axes, with roles given to axes
// by their strides, so that every layout is the same problem.
#pragma once

#include <cstdint>

#include <swath/ops/pooling.h>
#include <swath/tensor.h>

#include "core/kernel.h"

namespace swath {

inline constexpr int kMaxPoolSteps = 16;
inline constexpr int kMaxPoolPrev = 8;

/// One step of a window made of smaller windows. Step j holds windows of `size` taps:
///   w[i] = op of prev[i + dilation t prev_size], t < n_prev, the last one ending with the window,
///          and of raw[i + dilation (size - n_raw + u)], u < n_raw.
/// Step 0 has no prev. Only max and min let the parts of prev overlap.
struct PoolStep {
  int64_t size = 1, prev_size = 1;
  int64_t n_raw = 1;
  int32_t n_prev = 0;

  /// Where part t of prev starts, in taps.
  __attribute__((always_inline)) int64_t prev_offset(int t) const {
    const int64_t last = size - n_raw - prev_size;
    return t * prev_size < last ? t * prev_size : last;
  }
};

/// One pooled axis; the default is an axis of one element that is left as it is.
///
/// With a spread, element i of x stands at i spread and zeros between: the adjoint of a stride. The
/// axis then has stride 1, and only sums know it; `in` counts the zeros.
struct PoolAxis {
  int64_t in = 1, out = 1;
  int64_t window = 1, stride = 1, dilation = 1, pad = 0;
  int64_t x_stride = 0, y_stride = 0;
  int64_t spread = 1;
  int64_t spread_period = 1;  // taps from one that meets an element of x to the next
  int64_t block = 1;          // outputs of one task
  bool by_groups = false;     // suffixes and prefixes of groups of rows (height only); one step
  int32_t n_steps = 1;
  PoolStep steps[kMaxPoolSteps];

  /// Rows that are kept of step j, because the next step looks back on them.
  __attribute__((always_inline)) int64_t ring_rows(int j) const {
    const PoolStep& next = steps[j + 1];
    return dilation * (next.size - next.n_raw - steps[j].size) + 1;
  }
  __attribute__((always_inline)) int64_t all_ring_rows() const {
    int64_t n = 0;
    for (int j = 0; j + 1 < n_steps; ++j) n += ring_rows(j);
    return n;
  }
  /// A spread axis whose windows are made at once: each residue of the output modulo the spread
  /// has its own taps on elements of x, and the zeros are never touched.
  __attribute__((always_inline)) bool has_phases() const { return spread > 1 && n_steps == 1; }
  /// Elements of x before position i.
  __attribute__((always_inline)) int64_t stored(int64_t i) const {
    return spread == 1 ? i : (i + spread - 1) / spread;
  }
  /// Inputs that n outputs in a row span, padding included.
  __attribute__((always_inline)) int64_t reach(int64_t n) const {
    return (n - 1) * stride + dilation * (window - 1) + 1;
  }
  __attribute__((always_inline)) bool is_absent() const {
    return in == 1 && out == 1 && window == 1 && pad == 0 && spread == 1;
  }
  __attribute__((always_inline)) int64_t n_blocks() const { return (out + block - 1) / block; }
  /// Elements inside the array, of the window of output p.
  __attribute__((always_inline)) int64_t n_inside(int64_t p) const {
    const int64_t first = p * stride - pad;
    const int64_t below = first < 0 ? (-first + dilation - 1) / dilation : 0;
    const int64_t end = first < in ? (in - first + dilation - 1) / dilation : 0;
    const int64_t n = (end < window ? end : window) - below;
    return n > 0 ? n : 0;
  }
};

/// An axis without a window that the kernel only walks along.
struct PoolOuter {
  int64_t n = 1, x_stride = 0, y_stride = 0;
};

/// y[outer, d, h, w, i] = op over the windows of x[outer, depth, height, width, i].
/// Along the width vectors run over outputs if n_inner is 1, else over the inner axis.
struct PoolingProblem {
  PoolOp op = PoolOp::max;
  bool divides_by_inside = false;  // mean without the padding
  double divisor = 1;              // of any other mean; 1 for sum, max and min
  bool has_width = true;           // false: rows of the height go straight to y
  bool reduces_lanes = false;      // few long windows along the width: lanes share one window
  ArrayRef x = input_ref(0), y = output_ref(0);
  PoolAxis depth, height, width;
  int64_t n_inner = 1, x_inner_stride = 1, y_inner_stride = 1;
  int64_t inner_block = 1;
  PoolOuter planes;  // the innermost of the outer axes, several of one task if they are small
  int64_t plane_block = 1;
  int64_t rows_per_pass = 1;  // rows of the height (of all planes of a task) made before the width
  int64_t rows_per_fold =
      1;                    // of those, rows that the width takes at once; all if there are planes
  int64_t row_columns = 1;  // from row to row of them; a multiple of the width's stride
  int32_t n_outer = 0;
  PoolOuter outer[kMaxRank];

  __attribute__((always_inline)) int64_t n_outer_elements() const {
    int64_t n = 1;
    for (int i = 0; i < n_outer; ++i) n *= outer[i].n;
    return n;
  }
  __attribute__((always_inline)) int64_t n_plane_blocks() const {
    return (planes.n + plane_block - 1) / plane_block;
  }
  __attribute__((always_inline)) int64_t n_inner_blocks() const {
    return (n_inner + inner_block - 1) / inner_block;
  }
};

}  // namespace swath
