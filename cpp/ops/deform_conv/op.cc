// The deformable convolution: x as pixels, then one step.
#include <algorithm>

#include "ops/deform_conv/call.h"

namespace swath {

Plan plan_deform_conv(const TensorDesc& x, const TensorDesc& weight, const TensorDesc& offset,
                      const TensorDesc* mask, const TensorDesc* bias,
                      const DeformConvParams& params, const PlanOptions& options) {
  const DeformArrays arrays{.x = {&x, input_ref(kDeformX)},
                            .weight = {&weight, input_ref(kDeformWeight)},
                            .offset = {&offset, input_ref(kDeformOffset)},
                            .mask = {mask, input_ref(kDeformMask)},
                            .bias = {bias, input_ref(kDeformBias)}};
  const DeformCall call = describe_deform(arrays, params);
  const TensorDesc y = output_desc(call.site, x, call.y_shape.data(), x.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = params.op;
  plan->outputs = {y};
  plan->bytes =
      item_bytes(x.dtype) * (x.n_elements() + y.n_elements() + weight.n_elements() +
                             offset.n_elements() + (mask != nullptr ? mask->n_elements() : 0));
  if (y.n_elements() == 0) return Plan(std::move(plan));
  DeformProblem p = call.problem;
  p.y = view_image(call.map, {&y, output_ref(0)});
  p.x = add_x_pixels(*plan, call);
  // Blocks that make one sum: with a run of taps at most kDeformTerms terms.
  constexpr int64_t kMostTaps = 64;
  const int64_t most = kDeformTerms / std::min(p.n_taps(), kMostTaps);
  add_deform_step(*plan, make_deform_step(p, std::max<int64_t>(most, 1)), "deform_conv", params.op);
  return Plan(std::move(plan));
}

}  // namespace swath
