// Where the axes of an attention's arrays are. Used by describe only.
#pragma once

#include <swath/ops/linear_attention.h>

#include "ops/common/geometry.h"
#include "ops/linear_attention/problem.h"

namespace swath {

inline constexpr int64_t kMaxHeadChannels = 256;

/// Axis 0 is the batch, the last one the channels.
struct HeadAxes {
  int head = 1;
  TokenAxes tokens;
};

HeadAxes head_axes(const CallSite& site, const TensorDesc& x, HeadLayout layout, const char* arg);
int64_t n_tokens(const TensorDesc& x, const HeadAxes& axes);
HeadArray head_array(const TensorDesc& x, const HeadAxes& axes, const ArrayRef& ref);

/// Throws unless k goes with q: batch, channels, dtype, and heads that divide those of q.
void check_keys(const CallSite& site, const TensorDesc& q, const HeadAxes& q_axes,
                const TensorDesc& k, const HeadAxes& k_axes);

}  // namespace swath
