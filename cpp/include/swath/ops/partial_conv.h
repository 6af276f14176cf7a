#pragma once

#include <swath/ops/sliding_conv.h>

namespace swath {

enum class MaskUpdate : uint8_t { any, same };

struct PartialConvParams {
  SlidingConvParams conv;  // zero padding, all channels, one dilation
  bool renormalize = true;
  MaskUpdate mask_update = MaskUpdate::any;
  double eps = 1e-8;
};

/// Input slots of the plan's run(); the outputs are y and mask_out.
enum PartialConvInput { kPartialX, kPartialWeight, kPartialBias, kPartialMask };

/// The mask-aware convolution of spec section "Partial convolution". mask (N|1, 1|C_in, *spatial)
/// or channels last, bool, uint8 or floating, values in [0, 1]; null: all ones. mask_out has its
/// dtype and one channel, or C_out if the mask has C_in > 1.
SWATH_API Plan plan_partial_conv(const TensorDesc& x, const TensorDesc& weight,
                                 const TensorDesc* bias, const TensorDesc* mask,
                                 const PartialConvParams& params, const PlanOptions& options = {});

}  // namespace swath
