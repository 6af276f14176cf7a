// What sliding-window kernels see of one call. Plain data, shared with files of every cluster.
#pragma once

#include <cstdint>

#include <swath/ops/sliding_conv.h>

#include "core/kernel.h"

namespace swath {

/// Member and free functions here are always inlined: an out-of-line copy would be a weak symbol
/// that one cluster could take from another.
#define SWATH_INLINE inline __attribute__((always_inline))

/// One spatial axis; strides in elements. Axes of a problem are outermost first; describe() moves
/// axes without extent outward and merges axes that a 1x1 kernel need not tell apart.
struct ConvAxis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1;
  int64_t pad = 0;  // before the first element; may be negative (transposed convolution crops)
  int64_t x_stride = 0, w_stride = 0, y_stride = 0, residual_stride = 0, mask_stride = 0;

  /// Input index of tap 0 of output 0 shifted to output i.
  SWATH_INLINE int64_t first_input(int64_t i) const { return i * stride - pad; }
};

/// What happens to a finished sum, in this order: ratio of partial padding or of a mask, bias, the
/// mask's own factor, scale, shift, activation, gate and residual (residual_first: the residual
/// before the activation).
struct ConvEpilogue {
  bool has_bias = false, has_scale = false, has_shift = false, has_residual = false;
  bool residual_first = false;
  Activation activation = Activation::none;
  double activation_value = 0;
  ArrayRef bias = input_ref(kConvBias), scale = input_ref(kConvScale);
  ArrayRef shift = input_ref(kConvShift), residual = input_ref(kConvResidual);
  int64_t bias_offset = 0, scale_offset = 0, shift_offset = 0, residual_offset = 0;
  int64_t bias_stride = 0, scale_stride = 0, shift_stride = 0;
  int64_t residual_batch_stride = 0, residual_channel_stride = 0;
  /// Gated: every output channel has a second sum, of the weight `gate_channels` rows further on
  /// (with bias, scale and shift of its own); its gate multiplies the activation of the first.
  bool has_gate = false;
  Activation gate = Activation::none;
  double gate_value = 0;
  int64_t gate_channels = 0;
};

/// A mask over x, and factors per output position (of a mask, or of partial padding). What depends
/// on these alone is computed by an earlier step: planes of one value of the accumulator's type per
/// output position, [mask batch][position].
struct ConvMask {
  bool has_values = false;  // M multiplies x
  bool has_flags = false;   // `active` is there
  bool has_ratio = false, has_keep = false;
  ArrayRef ratio;  // factor of the sum
  ArrayRef keep;   // factor of sum + bias
  /// One byte for kActiveSpan columns: [mask batch][row of positions][span]; 0: all outputs of
  /// the span are act(0), whatever x holds.
  ArrayRef active;
  bool is_shared = false;  // one mask for the whole batch
  ArrayRef values;         // M, of any dtype
  DType dtype = DType::f32;
  int64_t offset = 0, batch_stride = 0, channel_stride = 0;
};
inline constexpr int64_t kActiveSpan = 16;

struct ConvProblem {
  DType dtype = DType::f32;
  PaddingMode padding_mode = PaddingMode::zeros;  // "partial" is zeros with a plane of ratios
  ArrayRef x = input_ref(kConvX), w = input_ref(kConvWeight), y = output_ref(0);
  int64_t n_batch = 1, n_groups = 1, in_per_group = 1, out_per_group = 1;
  ConvAxis axis[3];

  int64_t x_offset = 0, x_batch_stride = 0, x_channel_stride = 0;
  int64_t w_offset = 0, w_group_stride = 0, w_out_stride = 0, w_in_stride = 0;
  int64_t y_offset = 0, y_batch_stride = 0, y_channel_stride = 0;
  /// Elements before and after x's pointer that belong to the array: what may be read at all.
  int64_t x_low = 0, x_high = 0;
  ConvEpilogue epilogue;
  ConvMask mask;

  SWATH_INLINE int64_t n_out_channels() const { return n_groups * out_per_group; }
  SWATH_INLINE int64_t n_taps() const { return axis[0].kernel * axis[1].kernel * axis[2].kernel; }
  SWATH_INLINE int64_t n_positions() const { return axis[0].out * axis[1].out * axis[2].out; }
};

/// Input index for position i outside [0, n) under a padding mode, or -1 where the value is zero.
SWATH_INLINE int64_t padded_index(int64_t i, int64_t n, PaddingMode mode) {
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case PaddingMode::reflect:
      return i < 0 ? -i : 2 * (n - 1) - i;
    case PaddingMode::replicate:
      return i < 0 ? 0 : n - 1;
    case PaddingMode::circular:
      return i < 0 ? i + n : i - n;
    default:
      return -1;
  }
}

/// Taps of one axis that fall inside [0, in) at output position i.
SWATH_INLINE int64_t taps_inside(const ConvAxis& a, int64_t i) {
  const int64_t first = a.first_input(i);
  const int64_t low = first < 0 ? (-first + a.dilation - 1) / a.dilation : 0;
  int64_t high = a.in > first ? (a.in - first + a.dilation - 1) / a.dilation : 0;
  if (high > a.kernel) high = a.kernel;
  return high > low ? high - low : 0;
}

}  // namespace swath
