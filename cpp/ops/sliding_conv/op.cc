// The sliding-window convolution as steps: pass-through copies, then one convolution for each run
// of output channels that share their dilation.
#include <swath/ops/sliding_conv.h>

#include "ops/sliding_conv/call.h"
#include "ops/sliding_conv/in_place.h"
#include "ops/sliding_conv/ratio.h"

namespace swath {
namespace {

/// Copies the channels that are not convolved; an in-place call leaves them where they are.
void add_pass_through(PlanImpl& plan, const ConvCall& call, const Operand& y) {
  const int c = call.xmap.c;
  const int64_t all = call.x.shape[c];
  const int64_t ranges[2][2] = {{0, call.first_channel}, {call.first_channel + call.n_in, all}};
  for (const auto& [begin, end] : ranges) {
    if (begin == end) continue;
    CopyProblem copy{.from = call.x,
                     .to = *y.desc,
                     .from_offset = call.arrays.x.offset + begin * call.x.strides[c],
                     .to_offset = y.offset + begin * y.desc->strides[c],
                     .from_ref = call.arrays.x.ref,
                     .to_ref = y.ref};
    copy.from.shape[c] = copy.to.shape[c] = end - begin;
    add_copy_step(plan, copy);
  }
}

}  // namespace

void add_sliding_conv(PlanImpl& plan, const ConvCall& call, const Operand& y, bool in_place) {
  if (y.desc->n_elements() == 0) return;
  if (call.copies_others && !in_place) add_pass_through(plan, call, y);
  if (call.n_out == 0) return;
  if (in_place) return add_in_place_conv(plan, call, y);
  for (ConvProblem& problem : conv_problems(call, call.arrays.x, 0, y)) {
    if (call.params.padding_mode == PaddingMode::partial) {
      problem.mask = add_ratio_plane(plan, problem.dtype, problem.axis);
    }
    add_conv_step(plan, problem, call.params.op);
  }
}

Plan plan_conv(const ConvArrays& arrays, const SlidingConvParams& params, const ConvGate* gate,
               const PlanOptions& options) {
  const ConvCall call = describe_conv(arrays, params, gate);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  const TensorDesc& x = *arrays.x.desc;
  const TensorDesc y = output_desc(call.site, x, call.y_shape().data(), x.rank, options.out);
  plan->outputs = {y};
  plan->bytes =
      item_bytes(x.dtype) * (x.n_elements() + y.n_elements() + arrays.weight.desc->n_elements());
  add_sliding_conv(*plan, call, {&y, output_ref(0)}, options.in_place);
  return Plan(std::move(plan));
}

Plan plan_sliding_conv(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                       const TensorDesc* scale, const TensorDesc* shift, const TensorDesc* residual,
                       const SlidingConvParams& params, const PlanOptions& options) {
  return plan_conv(conv_inputs(x, weight, bias, scale, shift, residual), params, nullptr, options);
}

}  // namespace swath
