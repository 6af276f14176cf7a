#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

/// Where the heads are: (B, H, *tokens, D) or (B, *tokens, H, D).
enum class HeadLayout : uint8_t { heads_first, heads_last };

struct LinearAttentionParams {
  bool has_softmax = true;  // of k along the tokens; else k as it is
  bool is_causal = false;
  double scale = 0;
  bool has_scale = false;  // else D^-1/2
  HeadLayout layout = HeadLayout::heads_first;
  std::string name = "linear_attention";
};

/// o_i = scale q_i sum_j k'_j v_j^T, k' the softmax of k along the tokens, or k. Slots: q, k, v.
SWATH_API Plan plan_linear_attention(const TensorDesc& q, const TensorDesc& k, const TensorDesc& v,
                                     const LinearAttentionParams& params,
                                     const PlanOptions& options = {});

struct LinearAttentionNeeds {
  bool q = true, k = true, v = true;
};

/// Slots: do, q, k, v; out: those of dq, dk, dv that are needed, in this order.
SWATH_API Plan plan_linear_attention_backward(const TensorDesc& d_o, const TensorDesc& q,
                                              const TensorDesc& k, const TensorDesc& v,
                                              const LinearAttentionParams& params,
                                              const LinearAttentionNeeds& needs,
                                              const PlanOptions& options = {});

}  // namespace swath
