// For operators that want the channels of a position side by side.
#pragma once

#include "core/operator.h"
#include "ops/common/geometry.h"
#include "ops/image_pixels/problem.h"

namespace swath {

/// The view of a 2-D image; an absent N counts as one sample.
ImageView view_image(const AxisMap& map, const Operand& image);

/// Pixels of a whole image [n][position][channel].
PixelsProblem pixels_of(const AxisMap& map, const Operand& image);

/// Appends the step of a problem.
void add_pixels_step(PlanImpl& plan, const PixelsProblem& problem, const std::string& op);

}  // namespace swath
