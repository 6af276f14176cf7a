// The mask-aware convolution: steps for the mask, then the sliding-window convolution with them.
#include <swath/ops/partial_conv.h>

#include "core/format.h"
#include "ops/partial_conv/mask.h"

namespace swath {
Plan plan_partial_conv(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                       const TensorDesc* mask, const PartialConvParams& params,
                       const PlanOptions& options) {
  const ConvArrays arrays{.x = {&x, input_ref(kPartialX)},
                          .weight = {&weight, input_ref(kPartialWeight)},
                          .bias = {bias, input_ref(kPartialBias)},
                          .scale = {},
                          .shift = {},
                          .residual = {}};
  ConvCall call = describe_conv(arrays, params.conv);
  check_mask_options(call.site, params.conv);
  const MaskCall mask_call = describe_mask(call, mask, input_ref(kPartialMask), params);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.conv.op;
  plan->wants_reasons = options.explain;
  const TensorDesc y = output_desc(call.site, x, call.y_shape().data(), x.rank, options.out);
  const TensorDesc mask_out = mask_out_desc(call, mask_call);
  plan->outputs = {y, mask_out};
  plan->bytes = item_bytes(x.dtype) * (x.n_elements() + y.n_elements() + weight.n_elements()) +
                item_bytes(mask_out.dtype) * mask_out.n_elements();
  if (mask != nullptr) {
    plan->bytes += item_bytes(mask->dtype) * mask->n_elements();
  }
  add_mask_check(*plan, mask_call, params.conv.op);
  if (call.out[0] * call.out[1] * call.out[2] == 0 || mask_call.n_batch == 0) {
    return Plan(std::move(plan));
  }
  add_mask_steps(*plan, call, mask_call, params, {&y, output_ref(0)}, {&mask_out, output_ref(1)});
  add_sliding_conv(*plan, call, {&y, output_ref(0)}, false);
  return Plan(std::move(plan));
}

}  // namespace swath
