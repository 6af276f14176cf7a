// The gated convolution: a sliding-window convolution whose kernels keep a second sum for each
// output channel and multiply with its gate in the epilogue.
#include <swath/ops/gated_conv.h>

#include "ops/sliding_conv/call.h"

namespace swath {

Plan plan_gated_conv(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                     const TensorDesc* scale, const TensorDesc* shift, const TensorDesc* residual,
                     const GatedConvParams& params, const PlanOptions& options) {
  return plan_conv(conv_inputs(x, weight, bias, scale, shift, residual), params.conv, &params.gate,
                   options);
}

}  // namespace swath
