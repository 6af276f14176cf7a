// A call with weights for each sample, seen as the call of one sample.
#pragma once

#include <swath/ops/sample_conv.h>

#include "ops/common/per_sample.h"
#include "ops/sliding_conv/call.h"

namespace swath {

/// An input of one sample, and how far apart the samples are in elements.
struct OneSample {
  TensorDesc desc;
  int64_t step = 0;
  bool is_present = false, is_shared = false;  // shared: no axis of samples

  const TensorDesc* get() const { return is_present ? &desc : nullptr; }
};

/// The arrays of one sample: x and the residual with N = 1, the others without N.
struct SampleCall {
  CallSite site;
  int64_t n_batch = 1;
  bool is_batched = true;
  OneSample x, weight, bias, scale, shift, residual;
  std::array<int64_t, kMaxRank> y_shape{};

  /// Whether all samples see the same weights, bias, scale and shift.
  bool is_uniform() const;
};

/// Validates the whole call.
SampleCall describe_sample_conv(const TensorDesc& x, const TensorDesc& weight,
                                const TensorDesc* bias, const TensorDesc* scale,
                                const TensorDesc* shift, const TensorDesc* residual,
                                const SlidingConvParams& params);

/// An image of one sample: N = 1.
OneSample one_image(const TensorDesc& x);

}  // namespace swath
