// One call of a transposed convolution, validated. The backward of a convolution starts here too.
#pragma once

#include <swath/ops/sliding_conv.h>

#include "ops/sliding_conv/describe.h"

namespace swath {

/// One axis of the call.
struct TransposedAxis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;

  /// Residue of the outputs that tap t reaches: output p sees input (p + pad - t dilation) /
  /// stride.
  int64_t residue_of(int64_t tap) const {
    const int64_t r = (tap * dilation - pad) % stride;
    return r < 0 ? r + stride : r;
  }
};

struct TransposedArrays {
  Operand x, weight, bias;
};

/// References the arguments of describe_conv_transpose.
struct TransposedCall {
  CallSite site;
  const TransposedArrays& arrays;
  const ConvTransposeParams& params;
  AxisMap map;
  std::array<TransposedAxis, 3> axes{};
  Padding pads{};  // by numbers
  std::array<int64_t, kMaxRank> y_shape{};
};

/// Validates a call and infers its geometry. The arguments must outlive the result.
TransposedCall describe_conv_transpose(const TransposedArrays& arrays,
                                       const ConvTransposeParams& params);

/// Appends the steps of a call; `y` has the call's shape. `accumulate`: adds to what y holds.
void add_conv_transpose(PlanImpl& plan, const TransposedCall& call, const Operand& y,
                        bool accumulate = false);

}  // namespace swath
