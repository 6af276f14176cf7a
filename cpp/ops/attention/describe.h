// What attention and its backward describe alike.
#pragma once

#include <memory>

#include <swath/ops/attention.h>

#include "core/operator.h"
#include "ops/attention/arrays.h"
#include "ops/attention/lower.h"

namespace swath {

struct AttentionDescription {
  std::shared_ptr<AttentionTables> tables;
  HeadAxes q, k, v;
  double n_pairs = 0;  // with extra keys, of one head
};

/// Checks all inputs and lowers the patterns; checks of values are added to `plan`.
AttentionDescription describe_attention(const AttentionInputs& inputs,
                                        const AttentionParams& params, const PlanOptions& options,
                                        const std::shared_ptr<PlanImpl>& plan);

}  // namespace swath
