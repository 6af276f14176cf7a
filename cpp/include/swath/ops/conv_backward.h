#pragma once

#include <swath/ops/gated_conv.h>
#include <swath/ops/partial_conv.h>

namespace swath {

/// Input slots of the backward plans' run(). The transposed convolution has the first three.
enum ConvBackwardInput {
  kGradDy,
  kGradX,
  kGradWeight,
  kGradBias,
  kGradScale,
  kGradShift,
  kGradResidual
};

/// The gradients that are wanted. The plan's outputs are those, in this order.
struct ConvNeeds {
  bool x = true, weight = true, bias = true, scale = true, shift = true, residual = true;
  /// Those of bias, scale and shift in the accumulator's dtype: the caller adds them up.
  bool wide_sums = false;
};

/// Gradients of plan_sliding_conv with the same arguments, for the gradient dy of its y. The
/// gradient of the bias needs no bias; those of scale, shift and residual need the array, or are
/// not among the outputs.
SWATH_API Plan plan_sliding_conv_backward(const TensorDesc& dy, const TensorDesc& x,
                                          const TensorDesc& weight, const TensorDesc* bias,
                                          const TensorDesc* scale, const TensorDesc* shift,
                                          const TensorDesc* residual,
                                          const SlidingConvParams& params, const ConvNeeds& needs,
                                          const PlanOptions& options = {});

/// Gradients of plan_gated_conv: as plan_sliding_conv_backward, those of bias, scale and shift with
/// values for both halves.
SWATH_API Plan plan_gated_conv_backward(const TensorDesc& dy, const TensorDesc& x,
                                        const TensorDesc& weight, const TensorDesc* bias,
                                        const TensorDesc* scale, const TensorDesc* shift,
                                        const TensorDesc* residual, const GatedConvParams& params,
                                        const ConvNeeds& needs, const PlanOptions& options = {});

/// Input slots of plan_partial_conv_backward.
enum PartialBackwardInput {
  kPartialGradDy,
  kPartialGradX,
  kPartialGradWeight,
  kPartialGradBias,
  kPartialGradMask
};

/// Gradients of plan_partial_conv's y with the same arguments: of x, weight and bias.
SWATH_API Plan plan_partial_conv_backward(const TensorDesc& dy, const TensorDesc& x,
                                          const TensorDesc& weight, const TensorDesc* bias,
                                          const TensorDesc* mask, const PartialConvParams& params,
                                          const ConvNeeds& needs, const PlanOptions& options = {});

/// Gradients of plan_conv_transpose with the same arguments: of x, weight and bias.
SWATH_API Plan plan_conv_transpose_backward(const TensorDesc& dy, const TensorDesc& x,
                                            const TensorDesc& weight, const TensorDesc* bias,
                                            const ConvTransposeParams& params,
                                            const ConvNeeds& needs,
                                            const PlanOptions& options = {});

}  // namespace swath
