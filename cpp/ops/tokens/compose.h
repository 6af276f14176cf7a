// For operators that need means of blocks of tokens.
#pragma once

#include "core/operator.h"
#include "ops/tokens/problem.h"

namespace swath {

/// Appends the step; `n_sources` rows are read in all.
void add_tokens_step(PlanImpl& plan, const std::string& op, const TokensProblem& problem,
                     int64_t n_sources);

/// The token axes of an array as one where their strides allow it.
TokenRows token_rows(const TensorDesc& x, const TokenAxes& axes);

}  // namespace swath
