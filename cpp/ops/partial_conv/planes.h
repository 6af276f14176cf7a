// The two steps around the window sums of a mask. Plain loops: they touch one value per position,
// a C-th of what the convolution reads.
#pragma once

#include "core/operator.h"

namespace swath {

/// The mask as values of the accumulator's type, summed over its channels: [batch][position].
struct MaskSumProblem {
  TensorDesc mask;  // (batch, channels, *spatial padded to 3 axes); dtype f32 or f64: `plane`'s
  DType mask_dtype = DType::f32;
  bool is_absent = false;  // all ones
  ArrayRef values, plane;
};
void add_mask_sum_step(PlanImpl& plan, const MaskSumProblem& problem);

/// From window sums to factors, flags and the new mask.
struct MaskFactorProblem {
  DType dtype = DType::f32;  // of the planes: f32 or f64
  int64_t n_batch = 1;
  std::array<int64_t, 3> out{1, 1, 1};
  double window = 1;  // taps, times channels of a multi-channel mask
  double eps = 0;
  bool has_ratio = false;     // the sum is renormalised
  bool has_keep = false;      // `keep`, which is always filled, is a factor of the output
  bool keeps_center = false;  // mask_update "same": M at the centre tap
  std::array<int64_t, 3> in{1, 1, 1}, center{}, stride{1, 1, 1};  // center: its index at output 0
  int64_t row = 1;                                                // positions of a row of flags
  ArrayRef plane, sums, ratio, keep, active, mask_out;
  DType mask_dtype = DType::f32;
  int64_t n_mask_channels = 1;
  int64_t out_batch_stride = 0, out_channel_stride = 0, out_position_stride = 1;
};
void add_mask_factor_step(PlanImpl& plan, const MaskFactorProblem& problem);

/// x = M x where M is not 0, else 0, for a mask of all channels: (batch, channels, 3 axes).
struct MaskProductProblem {
  TensorDesc x, mask;  // the mask has x's shape, with stride 0 where it is shared
  ArrayRef x_ref, mask_ref;
  int64_t x_offset = 0;
};
void add_mask_product_step(PlanImpl& plan, const MaskProductProblem& problem);

}  // namespace swath
