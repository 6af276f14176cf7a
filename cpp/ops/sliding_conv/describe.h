// From a call's arrays and parameters to the problem that kernels see.
#pragma once

#include "core/operator.h"
#include "ops/common/copy.h"
#include "ops/common/geometry.h"
#include "ops/sliding_conv/problem.h"

namespace swath {

/// Optional arrays of one value per output channel.
struct ChannelArrays {
  const TensorDesc* bias = nullptr;
  const TensorDesc* scale = nullptr;
  const TensorDesc* shift = nullptr;
};

/// Checks the arrays of length n_out and writes their strides into the epilogue.
void describe_channel_arrays(const CallSite& site, const TensorDesc& x, int64_t n_out,
                             const ChannelArrays& arrays, ConvEpilogue& epilogue);

/// The elements that belong to an array: [low, high) from where its ref points.
struct ReadableSpan {
  int64_t low, high;
};
ReadableSpan readable_span(const Operand& x);

/// Merges and reorders axes (see ConvAxis); again does nothing more.
void canonicalize_axes(ConvProblem& problem);

/// Appends the step that solves `problem` with the best kernel. Its axes are still in order of x's.
/// `same_weights` as in add_step.
void add_conv_step(PlanImpl& plan, ConvProblem problem, const std::string& op,
                   int same_weights = kOwnWeights);

/// y = bias, or zero without one.
struct FillProblem {
  int64_t item_bytes, n_batch, n_channels;
  int64_t batch_stride, channel_stride, bias_stride;
  bool has_bias = false;
  ArrayRef bias = input_ref(kConvBias), y = output_ref(0);
  int64_t bias_offset = 0, y_offset = 0;
  std::array<int64_t, 3> shape{1, 1, 1}, strides{0, 0, 0};
};
void add_fill_step(PlanImpl& plan, const FillProblem& problem);

}  // namespace swath
