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

/// Shape and dtype of mask_out.
TensorDesc mask_out_desc(const ConvCall& call, const MaskCall& mask);

/// Throws ParamError unless every value is in [0, 1]; of integers, 0 or 1.
void check_mask_values(const std::string& op, const TensorDesc& mask, const void* values);

/// Sets where the convolution finds M along its axes, which are still in order of x's.
void set_mask_strides(const ConvCall& call, const MaskCall& mask, ConvProblem& problem);

/// Appends the steps that fill the planes of the result, and mask_out if it is given (its desc is
/// not null). `row` is the length of the rows of positions that the convolution's kernel walks
/// along.
ConvMask add_mask_steps(PlanImpl& plan, const ConvCall& call, const MaskCall& mask,
                          const PartialConvParams& params, int64_t row, const Operand& mask_out);

}  // namespace swath
