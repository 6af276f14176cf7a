#pragma once

#include <span>
#include <string>

#include <swath/ops/common.h>

namespace swath {

/// Parts that one call takes: more are merged in several calls.
inline constexpr int kMaxMergeParts = 15;

/// One part of an attention: o (..., D) and lse (...), float64 for float64 and else float32.
struct AttentionPart {
  const TensorDesc *o, *lse;
};

/// lse = ln sum_t exp(lse_t), o = sum_t exp(lse_t - lse) o_t. Slots: o_0, lse_0, o_1, lse_1, ...;
/// out: o, lse.
SWATH_API Plan plan_merge_attention(std::span<const AttentionPart> parts,
                                    const std::string& name = "merge_attention",
                                    const PlanOptions& options = {});

/// Slots: do, dlse (may be absent), o_0, lse_0, ...; out: do_0, dlse_0, do_1, ...
SWATH_API Plan plan_merge_attention_backward(const TensorDesc& d_o, const TensorDesc* dlse,
                                             std::span<const AttentionPart> parts,
                                             const std::string& name = "grad.merge_attention",
                                             const PlanOptions& options = {});

}  // namespace swath
