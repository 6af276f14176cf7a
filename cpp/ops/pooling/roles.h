// From a call's axes to the roles, steps and blocks of a PoolingProblem. Used by describe only.
#pragma once

#include <vector>

#include "ops/pooling/problem.h"

namespace swath {

/// One axis of the call; `axis.window` is 1 where it is not pooled.
using PoolAxes = std::vector<PoolAxis>;

/// Gives roles by stride: the plain axis of unit stride is the inner one, the pooled axis of the
/// smallest stride the width, the next ones height and depth, all others are walked along.
/// A window of one tap without padding is a walk with larger steps.
void drop_unit_window(PoolAxis& a);

void assign_roles(PoolAxes axes, PoolingProblem& problem);

/// Splits the long windows into steps: their cost per output grows with the logarithm of the
/// window.
void plan_steps(PoolingProblem& problem);

/// Cuts the axes into blocks whose intermediate rows fit the caches.
void choose_blocks(PoolingProblem& problem, int64_t acc_bytes);

}  // namespace swath
