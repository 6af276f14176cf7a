// What of a partial convolution depends on the mask alone: the window sums of the mask, the factors
// that they give each output position, and the new mask.
#pragma once

#include <swath/ops/partial_conv.h>

#include "core/operator.h"
#include "ops/sliding_conv/call.h"

namespace swath {

/// The mask of one call, validated.
struct MaskCall {
  const TensorDesc* desc = nullptr;  // null: all ones
  ArrayRef ref;
  int64_t n_batch = 1;  // of the mask: the call's, or 1
  bool has_channels = false;
  DType out_dtype = DType::f32;
};

MaskCall describe_mask(const ConvCall& call, const TensorDesc* mask, const ArrayRef& ref,
                       const PartialConvParams& params);

/// Refuses options of the plain convolution that have no meaning beside a mask.
void check_mask_options(const CallSite& site, const SlidingConvParams& params);

/// Lets the plan check the mask's values before it runs.
void add_mask_check(PlanImpl& plan, const MaskCall& mask, const std::string& op);

/// Shape and dtype of mask_out.
TensorDesc mask_out_desc(const ConvCall& call, const MaskCall& mask);

/// Appends the steps that fill the planes for a convolution that writes `y`, and mask_out if it is
/// given (its desc is not null), and tells the call where they are.
void add_mask_steps(PlanImpl& plan, ConvCall& call, const MaskCall& mask,
                    const PartialConvParams& params, const Operand& y, const Operand& mask_out);

/// Appends the step x = M x where M is not 0, else 0, in place; `x` has the shape of the call's x,
/// whose mask steps were added.
void add_mask_product(PlanImpl& plan, const ConvCall& call, const MaskCall& mask, const Operand& x);

}  // namespace swath
