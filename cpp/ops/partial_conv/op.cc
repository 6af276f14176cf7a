// The mask-aware convolution: steps for the mask, then the sliding-window convolution with them.
#include <swath/ops/partial_conv.h>

#include "core/format.h"
#include "ops/partial_conv/mask.h"

namespace swath {
namespace {

/// Options of the plain convolution that have no meaning beside a mask.
void check_plain(const CallSite& site, const SlidingConvParams& p) {
  if (p.padding_mode != PaddingMode::zeros) {
    site.fail(ErrorCode::param, "padding_mode",
              "padding_mode is given, a masked convolution pads with holes");
  }
  if (p.dilation_per_channel != nullptr) {
    site.fail(ErrorCode::param, "dilation",
              "dilation is an array, needed is one dilation for all output channels");
  }
  if (p.has_channels) site.fail(ErrorCode::param, "channels", "channels is not supported");
}

}  // namespace

Plan plan_partial_conv(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                       const TensorDesc* mask, const PartialConvParams& params,
                       const PlanOptions& options) {
  const ConvArrays arrays{.x = {&x, input_ref(kPartialX)},
                          .weight = {&weight, input_ref(kPartialWeight)},
                          .bias = {bias, input_ref(kPartialBias)},
                          .scale = {},
                          .shift = {},
                          .residual = {}};
  const ConvCall call = describe_conv(arrays, params.conv);
  check_plain(call.site, params.conv);
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
    plan->checks.push_back([op = params.conv.op, desc = *mask](const Buffers& b) {
      check_mask_values(op, desc, b.in[kPartialMask]);
    });
  }
  if (call.out[0] * call.out[1] * call.out[2] == 0 || mask_call.n_batch == 0) {
    return Plan(std::move(plan));
  }
  // One dilation: at most one problem. The planes follow its rows of positions.
  auto problems = conv_problems(call, arrays.x, 0, {&y, output_ref(0)});
  int64_t row = call.out[params.conv.ndim - 1];
  for (ConvProblem& problem : problems) {
    set_mask_strides(call, mask_call, problem);
    canonicalize_axes(problem);
    row = problem.axis[2].out;
  }
  const ConvMask planes =
      add_mask_steps(*plan, call, mask_call, params, row, {&mask_out, output_ref(1)});
  if (y.n_elements() == 0) return Plan(std::move(plan));
  for (ConvProblem& problem : problems) {
    problem.mask = planes;
    add_conv_step(*plan, problem, params.conv.op);
  }
  return Plan(std::move(plan));
}

}  // namespace swath
