// How a long convolution is computed: direct sums, one transform a row, or overlapping segments.
#pragma once

#include <swath/ops/long_conv.h>

#include "ops/long_conv/problem.h"

namespace swath {

/// Fills is_direct, ring, n_segments, segment and place of a forward problem, whose other shapes
/// are set. Depends on one row's shape alone.
void choose_method(LongProblem& problem, LongMethod method);
/// The same for the gradients, which use sums or transforms as the forward does (`is_direct`), so
/// that one kernel serves a whole call.
void choose_method_like(LongProblem& problem, LongMethod method, bool is_direct);
void choose_tap_method(LongProblem& problem, LongMethod method, bool is_direct);

/// Estimated seconds of one segment of one row.
double segment_seconds(const LongProblem& problem);
/// Floating-point operations of one segment of one row.
int64_t segment_flops(const LongProblem& problem);

}  // namespace swath
