#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

struct DeformConvParams {
  Extents stride{1, 1, 1};
  Extents dilation{1, 1, 1};
  Padding padding{};
  int64_t groups = 1, deform_groups = 1;
  Layout layout = Layout::channels_first;
  std::string op = "deform_conv2d";
};

/// Input slots of plan_deform_conv.
enum DeformConvInput { kDeformX, kDeformWeight, kDeformOffset, kDeformMask, kDeformBias };

/// y(o, p) = bias(o) + sum over c, t of weight(o, c, t) mask(g, t, p) x(c, p s - pad + d t +
/// offset), bilinear, 0 outside. x (N, C, H, W), offset (N, 2 G K, H', W'), mask (N, G K, H', W')
/// or null, channels last alike; N may be missing.
SWATH_API Plan plan_deform_conv(const TensorDesc& x, const TensorDesc& weight,
                                const TensorDesc& offset, const TensorDesc* mask,
                                const TensorDesc* bias, const DeformConvParams& params,
                                const PlanOptions& options = {});

/// Input slots of plan_deform_conv_backward.
enum DeformGradInput {
  kDeformGradDy,
  kDeformGradX,
  kDeformGradWeight,
  kDeformGradOffset,
  kDeformGradMask,
  kDeformGradBias
};
struct DeformNeeds {
  bool x = true, weight = true, offset = true, mask = true, bias = true;
};
/// The gradients that are wanted, in this order; that of the mask only with one.
SWATH_API Plan plan_deform_conv_backward(const TensorDesc& dy, const TensorDesc& x,
                                         const TensorDesc& weight, const TensorDesc& offset,
                                         const TensorDesc* mask, const TensorDesc* bias,
                                         const DeformConvParams& params, const DeformNeeds& needs,
                                         const PlanOptions& options = {});

}  // namespace swath
