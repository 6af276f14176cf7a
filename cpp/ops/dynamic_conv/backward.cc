// describe of the gradients: the taps' softmax where it is needed, then one step for each result.
#include <algorithm>
#include <memory>

#include "ops/common/partial_sums.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/dynamic_conv/call.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& d) { return item_bytes(d.dtype) * d.n_elements(); }

/// The taps after their softmax, [n][g][k][h][w] in accumulators.
DynamicArray add_softmax(PlanImpl& plan, const DynamicCall& call) {
  DynamicProblem p = base_problem(call, DynamicRole::softmax);
  if (call.is_static) p.n_batch = 1;
  DynamicArray taps;
  taps.w = 1;
  taps.h = call.axis[1].y;
  taps.m = call.n_positions();
  taps.g = taps.m * call.n_taps();
  taps.n = taps.g * call.n_groups;
  taps.ref = reserve_temp(plan, p.n_batch * taps.n * item_bytes(accumulator_of(p.dtype)));
  p.taps = call.taps(call.weight, input_ref(2));
  p.out = taps;
  add_dynamic_step(plan, p, call.params.name);
  if (call.is_static) taps.n = 0;
  return taps;
}

void add_input_grad(PlanImpl& plan, const DynamicCall& call, const TensorDesc& dy,
                    const TensorDesc& dx, const ArrayRef& to) {
  DynamicProblem p = base_problem(call, DynamicRole::input_grad);
  p.taps = call.taps(call.weight, input_ref(2));
  if (p.softmax && !p.is_packed) {
    p.taps = add_softmax(plan, call);
    p.taps_are_acc = true;
    p.softmax = p.renormalize = false;
  }
  p.in = call.image(dy, input_ref(0));
  p.out = call.image(dx, to);
  add_dynamic_step(plan, p, call.params.name);
}

/// By the shape alone: enough tasks for 16 threads together with the groups.
int64_t partials_for(const DynamicCall& call) {
  constexpr int64_t kMost = 16, kLeastPositions = 64;
  if (call.n_positions() < kLeastPositions) return 1;
  return std::clamp<int64_t>(kMost / call.n_groups, 1, kMost);
}

void add_taps_grad(PlanImpl& plan, const DynamicCall& call, const TensorDesc& dy,
                   const TensorDesc& dweight, const ArrayRef& to) {
  DynamicProblem p = base_problem(call, DynamicRole::taps_grad);
  p.dy = call.image(dy, input_ref(0));
  p.in = call.image(call.x, input_ref(1));
  p.taps = call.taps(call.weight, input_ref(2));
  p.out = call.taps(dweight, to);
  if (!call.is_static) return add_dynamic_step(plan, p, call.params.name);
  const int64_t n = call.n_groups * call.n_taps();
  const PartialSums sums{.dtype = p.dtype, .n_partials = partials_for(call), .n = n, .pitch = n};
  p.n_partials = sums.n_partials;
  p.out.ref = reserve_partials(plan, sums);
  add_dynamic_step(plan, p, call.params.name);
  add_partial_sums(plan, sums, p.out.ref, to, 0);
}

}  // namespace

Plan plan_dynamic_conv_backward(const TensorDesc& dy, const TensorDesc& x, const TensorDesc& weight,
                                const DynamicConvParams& params, const PairNeeds& needs,
                                const PlanOptions& options) {
  const CallSite site{params.name};
  const DynamicCall call = describe_dynamic(x, weight, params);
  check_gradient(site, dy, x, call.y_shape);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->bytes = bytes_of(dy) + bytes_of(weight) + (needs.second ? bytes_of(x) : 0);
  const auto add_output = [&](const TensorDesc& like) {
    TensorDesc desc = contiguous_desc(like.dtype, like.shape.data(), like.rank);
    desc.device = like.device;
    plan->outputs.push_back(desc);
    plan->bytes += bytes_of(desc);
    plan->flops += 2 * dy.n_elements() * call.n_taps();
    return output_ref(static_cast<int>(plan->outputs.size()) - 1);
  };
  const ArrayRef dx = needs.first ? add_output(x) : ArrayRef{};
  const ArrayRef dweight = needs.second ? add_output(weight) : ArrayRef{};
  if (dy.n_elements() == 0 || x.n_elements() == 0) {
    for (size_t i = 0; i < plan->outputs.size(); ++i) {
      const int64_t n = bytes_of(plan->outputs[i]);
      if (n > 0) add_zero_step(*plan, output_ref(static_cast<int>(i)), n);
    }
    return Plan(std::move(plan));
  }
  if (needs.first) add_input_grad(*plan, call, dy, plan->outputs[dx.slot], dx);
  if (needs.second) add_taps_grad(*plan, call, dy, plan->outputs[dweight.slot], dweight);
  return Plan(std::move(plan));
}

}  // namespace swath
