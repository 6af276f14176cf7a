#pragma once

#include <swath/ops/sliding_conv.h>

namespace swath {

/// How the second half of a gated convolution's channels acts on the first.
struct ConvGate {
  Activation gate = Activation::sigmoid;
  double gate_value = 0;
  bool gate_first = false;  // the weight's first half makes the gates
};

struct GatedConvParams {
  SlidingConvParams conv;
  ConvGate gate;
};

/// y = act((w_a * x + b_a) scale_a + shift_a) gate((w_g * x + b_g) scale_g + shift_g) + residual
/// in one pass over x; weight (2 O, C/groups, *kernel), bias, scale, shift (2 O,). Slots as
/// plan_sliding_conv.
SWATH_API Plan plan_gated_conv(const TensorDesc& x, const TensorDesc& weight,
                               const TensorDesc* bias, const TensorDesc* scale,
                               const TensorDesc* shift, const TensorDesc* residual,
                               const GatedConvParams& params, const PlanOptions& options = {});

}  // namespace swath
