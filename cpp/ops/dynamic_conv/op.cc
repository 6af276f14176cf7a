// describe of dynamic convolution, forward and one chunk of a stream.
#include <memory>

#include "ops/dynamic_conv/call.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& d) { return item_bytes(d.dtype) * d.n_elements(); }

std::shared_ptr<PlanImpl> start_plan(const DynamicCall& call, const PlanOptions& options) {
  const CallSite site{call.params.name};
  const TensorDesc y = output_desc(site, call.x, call.y_shape.data(), call.x.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = call.params.name;
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  plan->bytes = bytes_of(call.x) + bytes_of(call.weight) + bytes_of(y);
  plan->flops = 2 * y.n_elements() * call.n_taps();
  return plan;
}

DynamicProblem forward_problem(const DynamicCall& call, const TensorDesc& y) {
  DynamicProblem p = base_problem(call, DynamicRole::forward);
  p.in = call.image(call.x, input_ref(0));
  p.taps = call.taps(call.weight, input_ref(1));
  p.out = call.image(y, output_ref(0));
  return p;
}

}  // namespace

Plan plan_dynamic_conv(const TensorDesc& x, const TensorDesc& weight,
                       const DynamicConvParams& params, const PlanOptions& options) {
  const DynamicCall call = describe_dynamic(x, weight, params);
  auto plan = start_plan(call, options);
  const TensorDesc& y = plan->outputs[0];
  if (y.n_elements() > 0) add_dynamic_step(*plan, forward_problem(call, y), params.name);
  return Plan(std::move(plan));
}

Plan plan_dynamic_conv_step(const TensorDesc& x, const TensorDesc& weight,
                            const DynamicHistory& history, const DynamicConvParams& params,
                            const PlanOptions& options) {
  const DynamicCall call = describe_dynamic(x, weight, params, history.n);
  auto plan = start_plan(call, options);
  const TensorDesc& y = plan->outputs[0];
  if (y.n_elements() == 0) return Plan(std::move(plan));
  DynamicProblem p = forward_problem(call, y);
  p.n_history = history.n;
  p.history = call.image(*history.desc, input_ref(2));
  p.history.offset = (history.desc->shape[call.map.spatial[0]] - history.n) * p.history.w;
  add_dynamic_step(*plan, p, params.name);
  return Plan(std::move(plan));
}

}  // namespace swath
