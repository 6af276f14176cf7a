// Plans of long_conv: the forward, and the spectra that a LongConv keeps.
#include <memory>

#include "ops/common/scalar.h"
#include "ops/long_conv/call.h"
#include "ops/long_conv/method.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc* x) {
  return x == nullptr ? 0 : item_bytes(x->dtype) * x->n_elements();
}

/// The problem of the forward, its method chosen. Masked calls get their taps from a step.
LongProblem forward_problem(const LongCall& call, LongSteps& steps, const RowSource& taps) {
  LongProblem p = steps.base();
  p.u = call.input();
  p.taps = taps;
  p.first_output = call.is_masked ? call.length - 1 : call.first_output;
  p.n_out = call.n_out;
  choose_method(p, call.params.method);
  return p;
}

}  // namespace

Plan plan_long_conv(const LongConvArrays& arrays, const LongConvParams& params,
                    const PlanOptions& options) {
  const LongCall call(arrays, params);
  const auto shape = call.output_shape();
  const TensorDesc y = output_desc(call.site, *arrays.u, shape.data(), arrays.u->rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  for (const TensorDesc* x :
       {arrays.u, arrays.k, arrays.skip, arrays.bias, arrays.pre_gate, arrays.post_gate, &y}) {
    plan->bytes += bytes_of(x);
  }
  if (y.n_elements() == 0) return Plan(std::move(plan));
  LongSteps steps(*plan, call);
  const bool is_ready = arrays.spectrum != nullptr;
  // With spectra at hand masked taps need not be made again: only their number counts.
  LongProblem p = forward_problem(
      call, steps,
      is_ready && call.is_masked ? RowSource{{}, {}, 2 * call.length - 1} : steps.taps());
  p.y = call.rows(&y, 0);
  p.y.ref = output_ref(0);
  p.post = call.rows(arrays.post_gate, kLongPostGate);
  p.skip = call.per_channel(arrays.skip, kLongSkip);
  p.bias = call.per_channel(arrays.bias, kLongBias);
  if (is_ready) p.spectrum = input_ref(kLongSpectrum);
  steps.add_rows(p);
  return Plan(std::move(plan));
}

Plan plan_long_spectrum(const LongConvArrays& arrays, const LongConvParams& params) {
  const LongCall call(arrays, params);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  if (call.length == 0 || call.n_heads == 0 || call.n_out == 0) return Plan(std::move(plan));
  LongSteps steps(*plan, call);
  LongProblem p = forward_problem(call, steps, steps.taps());
  if (p.is_direct) {
    plan->steps.clear();
    return Plan(std::move(plan));
  }
  plan->outputs = {contiguous_desc(accumulator_of(arrays.u->dtype), {call.n_heads, 2 * p.ring})};
  p.spectrum = output_ref(0);
  steps.add_spectrum(p);
  return Plan(std::move(plan));
}

}  // namespace swath
