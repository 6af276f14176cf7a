// One call of long_conv2d, validated, and its parts as steps of a plan.
#pragma once

#include <swath/ops/long_conv2d.h>

#include "core/operator.h"
#include "ops/common/geometry.h"

namespace swath {

/// How an axis is convolved: output t is the sum over taps j of k[j] u[t + offset - j].
struct LongAxis {
  int64_t n = 0, taps = 1, n_out = 0, offset = 0;
  bool is_circular = false;
};

struct LongConv2dCall {
  CallSite site;
  const TensorDesc &u, &k;
  const LongConv2dParams& params;
  AxisMap map;
  LongAxis axis[2];

  int64_t n_batch() const { return map.n >= 0 ? u.shape[map.n] : 1; }
  int64_t n_channels() const { return u.shape[map.c]; }
  std::array<int64_t, kMaxRank> y_shape() const;
};

/// References its arguments.
LongConv2dCall describe_long_conv2d(const CallSite& site, const TensorDesc& u, const TensorDesc& k,
                                    const LongConv2dParams& params);

struct LongConv2dArrays {
  Operand u, k;
};

/// By transforms of planes. u has elements.
void add_fft(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
             const Operand& y);
/// du and dk are C-contiguous; those without a description are not wanted.
void add_fft_backward(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
                      const Operand& dy, const Operand& du, const Operand& dk);

/// As the depthwise sliding convolution with the mirrored kernel.
void add_direct(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
                const Operand& y);
void add_direct_backward(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
                         const Operand& dy, const Operand& du, const Operand& dk);

}  // namespace swath
