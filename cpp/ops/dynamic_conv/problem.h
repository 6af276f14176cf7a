// What the kernels of dynamic convolution see: products of an image with taps that may differ from
// position to position and are shared by the members (channels) of a group.
#pragma once

#include <cstdint>

#include "core/kernel.h"

namespace swath {

/// forward:    y[n, g, m, p] = sum over taps k of w[n, g, k, p] x[n, g, m, p s + k d - pad]
/// input_grad: dx in gather form: each position sums the products that it took part in
/// taps_grad:  dw[n, g, k, p] = sum over m of dy[n, g, m, p] x[n, g, m, p s + k d - pad]
/// softmax:    the taps after their softmax, written for a later step
enum class DynamicRole : uint8_t { forward, input_grad, taps_grad, softmax };

/// One spatial axis of the convolution.
struct DynamicAxis {
  int64_t x = 1, y = 1;  // lengths
  int64_t kernel = 1, stride = 1, dilation = 1, pad = 0;
};

/// Offset of element (n, g, m, h, w); for taps `m` is the tap's axis.
struct DynamicArray {
  ArrayRef ref;
  int64_t offset = 0;
  int64_t n = 0, g = 0, m = 0, h = 0, w = 0;

  __attribute__((always_inline)) int64_t at(int64_t in, int64_t ig, int64_t im, int64_t ih,
                                            int64_t iw) const {
    return offset + in * n + ig * g + im * m + ih * h + iw * w;
  }
};

struct DynamicProblem {
  DType dtype = DType::f32;
  DynamicRole role = DynamicRole::forward;
  bool softmax = false;           // over the taps
  bool renormalize = false;       // the softmax runs over taps inside x only
  bool is_packed = false;         // one set of taps for all samples and positions, packed ahead
  bool taps_are_acc = false;      // accumulators instead of the storage type
  bool along_channels = false;    // vectors lie along the channels
  bool lanes_are_groups = false;  // then: along g, so that each lane has its own taps
  int64_t n_batch = 0, n_groups = 0, n_members = 0;
  DynamicAxis axis[2];  // rows, columns
  /// forward x -> y, input_grad dy -> dx, taps_grad x -> dtaps.
  DynamicArray in, out, taps;
  DynamicArray dy;       // of taps_grad
  DynamicArray history;  // of a stream: the n_history columns before x's first
  int64_t n_history = 0;
  int64_t rows_block = 1, cols_block = 1;  // outputs of one task
  int64_t positions_block = 1;             // of one task of rows laid end to end
  int64_t members_block = 1;               // of taps_grad: members whose products are added at once
  /// taps_grad of taps that all samples and positions share: sums over parts of them, [partial][g]
  /// [k] in accumulators. 0: every position has taps of its own.
  int64_t n_partials = 0;

  __attribute__((always_inline)) int64_t n_taps() const { return axis[0].kernel * axis[1].kernel; }
  __attribute__((always_inline)) const DynamicAxis& rows() const { return axis[0]; }
  __attribute__((always_inline)) const DynamicAxis& cols() const { return axis[1]; }
};

/// The outputs of one residue class along an axis, and the taps that reach them: all in arithmetic
/// progressions. Output i is element out_first + i out_stride; its tap a is number
/// tap_first + a tap_step and meets element i in_stride + shift(a) of the input.
struct AxisPhase {
  int64_t n = 0, out_first = 0, out_stride = 1, in_stride = 1;
  int64_t tap_first = 0, tap_step = 1, n_taps = 0;
  int64_t shift_first = 0, shift_step = 0;

  __attribute__((always_inline)) int64_t tap(int64_t a) const { return tap_first + a * tap_step; }
  __attribute__((always_inline)) int64_t shift(int64_t a) const {
    return shift_first + a * shift_step;
  }
  __attribute__((always_inline)) int64_t lowest_shift() const {
    return n_taps == 0 ? 0 : shift_step < 0 ? shift(n_taps - 1) : shift_first;
  }
  /// Elements of the input from the lowest to the highest tap of one output.
  __attribute__((always_inline)) int64_t span() const {
    return n_taps == 0 ? 1 : (shift_step < 0 ? -shift_step : shift_step) * (n_taps - 1) + 1;
  }
};

__attribute__((always_inline)) inline int64_t gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

__attribute__((always_inline)) inline int64_t n_phases(const DynamicProblem& p, int axis) {
  return p.role == DynamicRole::input_grad ? p.axis[axis].stride : 1;
}

/// Phase r: of a forward the only one, of an input's gradient the elements r, r + stride, ...
__attribute__((always_inline)) inline AxisPhase axis_phase(const DynamicProblem& p, int axis,
                                                           int64_t r) {
  const DynamicAxis& a = p.axis[axis];
  AxisPhase phase;
  if (p.role != DynamicRole::input_grad) {
    phase.n = a.y;
    phase.in_stride = a.stride;
    phase.n_taps = a.kernel;
    phase.shift_first = -a.pad;
    phase.shift_step = a.dilation;
    return phase;
  }
  phase.n = r < a.x ? (a.x - r + a.stride - 1) / a.stride : 0;
  phase.out_first = r;
  phase.out_stride = a.stride;
  phase.tap_step = a.stride / gcd(a.stride, a.dilation);
  int64_t first = 0;
  const int64_t end = a.kernel < phase.tap_step ? a.kernel : phase.tap_step;
  while (first < end && (r + a.pad - first * a.dilation) % a.stride != 0) ++first;
  if (first == end) return phase;
  phase.tap_first = first;
  phase.n_taps = (a.kernel - 1 - first) / phase.tap_step + 1;
  phase.shift_first = (r + a.pad - first * a.dilation) / a.stride;
  phase.shift_step = -phase.tap_step * a.dilation / a.stride;
  return phase;
}

}  // namespace swath
