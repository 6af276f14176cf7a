#pragma once

#include <swath/ops/attention.h>

namespace swath {

/// What came out of the forward, and its gradients. `dlse` may be null.
struct AttentionGradInputs {
  const TensorDesc *grad = nullptr, *o = nullptr, *lse = nullptr, *dlse = nullptr;
};
/// Their slots follow those of all inputs of the forward: grad, o, lse, dlse.
constexpr int attention_grad_slot(int n_extras, int n_patterns) {
  return pattern_slot(n_extras, n_patterns);
}

/// Which gradients to compute; those of absent inputs are never computed.
struct AttentionNeeds {
  bool q = true, k = true, v = true, bias = true, low_rank = true, key_bias = true, sink = true;
  bool extras = true;
};

/// Outputs, in this order, those that are needed and have an input: dq, dk, dv, dbias, da and db
/// (of bias_lowrank), dkey_bias, dsink, and one array of one axis with (dk, dv, dlog_weights if
/// there are any) of every entry of extra_kv one after the other.
SWATH_API Plan plan_attention_backward(const AttentionInputs& inputs,
                                       const AttentionGradInputs& grads,
                                       const AttentionParams& params, const AttentionNeeds& needs,
                                       const PlanOptions& options = {});

}  // namespace swath
