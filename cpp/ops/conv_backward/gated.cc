#include "ops/conv_backward/gated.h"

#include <memory>

#include "ops/common/copy.h"
#include "ops/common/partial_sums.h"

namespace swath {
namespace {

/// One half as a plain convolution, on its rows of the weight.
struct Half {
  int64_t first;  // its first row
  OwnOperand weight, bias, scale, shift;
  ConvArrays arrays;
  SlidingConvParams params;
  std::unique_ptr<ConvCall> call;
};

Operand present(const OwnOperand& x) { return x.desc.rank == 0 ? Operand{} : x.operand(); }

OwnOperand rows_of(const Operand& x, int64_t first, int64_t n) {
  return x.desc == nullptr ? OwnOperand{} : slice(x, 0, first, n);
}

void make_half(const ConvCall& call, bool is_gate, Half& half) {
  const bool is_second = is_gate != call.gate->gate_first;
  half.first = is_second ? call.n_out : 0;
  const ConvArrays& a = call.arrays;
  half.weight = rows_of(a.weight, half.first, call.n_out);
  half.bias = rows_of(a.bias, half.first, call.n_out);
  half.scale = rows_of(a.scale, half.first, call.n_out);
  half.shift = rows_of(a.shift, half.first, call.n_out);
  half.arrays = {.x = a.x,
                 .weight = half.weight.operand(),
                 .bias = present(half.bias),
                 .scale = present(half.scale),
                 .shift = present(half.shift),
                 .residual = {}};
  half.params = call.params;
  half.params.residual_before_activation = false;
  if (is_gate) {
    half.params.activation = call.gate->gate;
    half.params.activation_value = call.gate->gate_value;
  }
  half.call = std::make_unique<ConvCall>(describe_conv(half.arrays, half.params));
}

EpilogueGrads grads_of(const Half& half, const EpilogueGrads& all, OwnOperand (&parts)[3]) {
  const Operand* const from[3] = {&all.dbias, &all.dscale, &all.dshift};
  for (int i = 0; i < 3; ++i) parts[i] = rows_of(*from[i], half.first, half.call->n_out);
  return {present(parts[0]), present(parts[1]), present(parts[2]), {}};
}

void add_residual_copy(PlanImpl& plan, const Operand& dy, const Operand& dresidual) {
  add_copy_step(plan, {.from = *dy.desc,
                       .to = *dresidual.desc,
                       .from_offset = dy.offset,
                       .to_offset = dresidual.offset,
                       .from_ref = dy.ref,
                       .to_ref = dresidual.ref});
}

void add_no_gradients(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                      const EpilogueGrads& grads, const Operand& dx, const Operand& dweight) {
  for (const Operand& g : {grads.dbias, grads.dscale, grads.dshift, dweight}) {
    if (g.desc != nullptr && g.desc->n_elements() > 0) add_zeros(plan, g);
  }
  if (dx.desc != nullptr) add_input_grad(plan, call, dy, dx);
}

}  // namespace

void add_gated_backward(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                        const EpilogueGrads& grads, const Operand& dx, const Operand& dweight) {
  if (dy.desc->n_elements() == 0) return add_no_gradients(plan, call, dy, grads, dx, dweight);
  if (grads.dresidual.desc != nullptr) add_residual_copy(plan, dy, grads.dresidual);
  const bool needs_du = dx.desc != nullptr || dweight.desc != nullptr;
  const bool has_sums =
      grads.dbias.desc != nullptr || grads.dscale.desc != nullptr || grads.dshift.desc != nullptr;
  if (!needs_du && !has_sums) return;
  Half halves[2];
  OwnOperand v[2], du[2], parts[3];
  for (int i = 0; i < 2; ++i) make_half(call, i == 1, halves[i]);
  for (int i = 0; i < 2; ++i) v[i] = add_sum_again(plan, *halves[i].call, *dy.desc);
  // The features' du has memory of its own, since the gates still need v; theirs goes over v.
  du[0] = needs_du ? reserve_like(plan, *dy.desc, dy.desc->dtype) : OwnOperand{};
  du[1] = needs_du ? v[1] : OwnOperand{};
  for (int i = 0; i < 2; ++i) {
    const GatePartner partner{*halves[1 - i].call, v[1 - i].operand()};
    add_gated_half(plan, *halves[i].call, dy, v[i].operand(), partner, present(du[i]),
                   grads_of(halves[i], grads, parts));
  }
  for (int i = 0; i < 2; ++i) {
    const Half& half = halves[i];
    if (dx.desc != nullptr) add_input_grad(plan, *half.call, du[i].operand(), dx, i == 1);
    if (dweight.desc == nullptr) continue;
    const OwnOperand rows = slice(dweight, 0, half.first, call.n_out);
    add_weight_grad(plan, *half.call, du[i].operand(), rows.operand());
  }
}

}  // namespace swath
