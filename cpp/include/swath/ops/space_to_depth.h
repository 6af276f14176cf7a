#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

/// Where the block's offset (i row, j column) goes in the channel index, for block b and C
/// channels: torch c*b*b + i*b + j, tf (i*b + j)*C + c, spd (j*b + i)*C + c.
enum class BlockOrder : uint8_t { torch, tf, spd };

struct SpaceToDepthParams {
  int64_t block = 2;
  BlockOrder order = BlockOrder::torch;
  Layout layout = Layout::channels_first;
  bool inverse = false;  // depth_to_space
  std::string name = "space_to_depth";
};

/// (N, C, H, W) <-> (N, C*b*b, H/b, W/b), any dtype. Slot 0 in, slot 0 out.
SWATH_API Plan plan_space_to_depth(const TensorDesc& x, const SpaceToDepthParams& params,
                                   const PlanOptions& options = {});

/// The gradient dx of plan_space_to_depth(x) with the same parameters, which is the inverse
/// rearrangement of dy. Slots 0 dy and 1 x in (x is not read), slot 0 dx out.
SWATH_API Plan plan_space_to_depth_backward(const TensorDesc& dy, const TensorDesc& x,
                                            const SpaceToDepthParams& params,
                                            const PlanOptions& options = {});

}  // namespace swath
