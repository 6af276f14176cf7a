#pragma once

#include <swath/ops/conv_backward.h>
#include <swath/ops/sliding_conv.h>

namespace swath {

/// plan_sliding_conv with weights for each sample: weight (N, O, C/groups, *kernel); bias, scale
/// and shift (O,) or (N, O). Slots as there. An x without N takes arrays without N.
SWATH_API Plan plan_sample_conv(const TensorDesc& x, const TensorDesc& weight,
                                const TensorDesc* bias, const TensorDesc* scale,
                                const TensorDesc* shift, const TensorDesc* residual,
                                const SlidingConvParams& params, const PlanOptions& options = {});

/// Gradients of plan_sample_conv, in the shapes of its inputs; slots and outputs as
/// plan_sliding_conv_backward.
SWATH_API Plan plan_sample_conv_backward(const TensorDesc& dy, const TensorDesc& x,
                                         const TensorDesc& weight, const TensorDesc* bias,
                                         const TensorDesc* scale, const TensorDesc* shift,
                                         const TensorDesc* residual,
                                         const SlidingConvParams& params, const ConvNeeds& needs,
                                         const PlanOptions& options = {});

/// w[n, ...] = sum over e of coeff[n, e] experts[e, ...]; coeff (N, E), or (E,) for one mixture
/// without N. Slots: coeff, experts.
SWATH_API Plan plan_mix_kernels(const TensorDesc& coeff, const TensorDesc& experts,
                                const std::string& op, const PlanOptions& options = {});

struct MixNeeds {
  bool coeff = true, experts = true;
};
/// Slots: dw, coeff, experts.
SWATH_API Plan plan_mix_kernels_backward(const TensorDesc& dw, const TensorDesc& coeff,
                                         const TensorDesc& experts, const std::string& op,
                                         const MixNeeds& needs, const PlanOptions& options = {});

}  // namespace swath
