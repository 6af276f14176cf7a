// What the kernels see that go backward through a convolution's epilogue: from dy to the gradient
// of the sum over taps, of the residual, and of the values per channel.
#pragma once

#include "ops/sliding_conv/problem.h"

namespace swath {

/// An array over (batch, channel, positions); strides in elements.
struct EpilogueView {
  bool is_present = false;
  ArrayRef ref;
  int64_t offset = 0, batch_stride = 0, channel_stride = 0;
  int64_t stride[3] = {0, 0, 0};

  SWATH_INLINE int64_t at(int64_t n, int64_t channel, const int64_t (&position)[3]) const {
    return offset + n * batch_stride + channel * channel_stride + position[0] * stride[0] +
           position[1] * stride[1] + position[2] * stride[2];
  }
};

/// y = act(v scale + shift + residual) other, v = (ratio sum + bias) keep:
///   dz = dy other act'(z), dv = dz scale, dbias = sum of dv keep where ratio is not 0,
///   du = dv keep ratio, dshift = sum of dz, dscale = sum of dz v.
/// `other` is the partner's factor in a gated convolution: its activation of v scale + shift.
struct EpilogueGradProblem {
  DType dtype = DType::f32;
  int64_t n_batch = 1, n_channels = 1;
  int64_t out[3] = {1, 1, 1};   // positions
  ConvMask mask;                // its ratio and keep count
  bool along_channels = false;  // runs of channels at one position, else of positions
  EpilogueView dy, du, dresidual;
  EpilogueView v;         // absent: nothing depends on it
  EpilogueView residual;  // of z
  /// scale, shift and activation count.
  ConvEpilogue epilogue;
  EpilogueView other;  // v of the partner
  ConvEpilogue other_epilogue;
  /// Sums [partial][kinds that are wanted, in this order][channel] in the accumulator's type.
  bool wants_bias = false, wants_scale = false, wants_shift = false;
  int64_t n_partials = 1;
  ArrayRef partials;

  SWATH_INLINE int64_t n_sums() const { return wants_bias + wants_scale + wants_shift; }
  SWATH_INLINE int64_t n_rows() const { return n_batch * out[0] * out[1]; }
};

}  // namespace swath
