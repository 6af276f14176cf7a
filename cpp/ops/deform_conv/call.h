// One call of the deformable convolution, validated. The gradients start here too.
#pragma once

#include <vector>

#include <swath/ops/deform_conv.h>

#include "ops/deform_conv/problem.h"
#include "ops/image_pixels/compose.h"
#include "ops/sliding_conv/call.h"

namespace swath {

struct DeformArrays {
  Operand x, weight, offset, mask, bias;
};

struct DeformCall {
  const CallSite site;
  const DeformArrays& arrays;
  AxisMap map;
  DeformProblem problem;  // without the views of pixels, y and blocks
  std::array<int64_t, kMaxRank> y_shape{};
};

DeformCall describe_deform(const DeformArrays& arrays, const DeformConvParams& params);

/// A problem that owns its list of blocks.
struct DeformStep : DeformProblem {
  std::vector<DeformBlock> list;
};

/// Every channel once: blocks of at most `most` channels of one deform group and, unless the
/// convolution is depthwise, of one group.
std::shared_ptr<DeformStep> make_deform_step(const DeformProblem& problem, int64_t most);

/// x as accumulators with the channels side by side: itself, or a copy made by a step.
PixelsView add_x_pixels(PlanImpl& plan, const DeformCall& call);

void add_deform_step(PlanImpl& plan, std::shared_ptr<DeformStep> step, const char* table,
                     const std::string& op);

}  // namespace swath
