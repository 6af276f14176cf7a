// One call of a sliding-window convolution, validated, and the problems that its steps solve. The
// operators that are composed of convolutions (gated, masked, gradients) start here too.
#pragma once

#include <optional>
#include <vector>

#include <swath/ops/gated_conv.h>

#include "ops/sliding_conv/describe.h"

namespace swath {

/// The arrays of a call; absent ones have no description.
struct ConvArrays {
  Operand x{}, weight{}, bias{}, scale{}, shift{}, residual{};
};

/// The arrays of a plan whose inputs are in the slots of SlidingConvInput.
ConvArrays conv_inputs(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                       const TensorDesc* scale, const TensorDesc* shift,
                       const TensorDesc* residual);

/// A run of output channels that share their dilation.
struct DilationRun {
  int64_t begin, end;
  Extents dilation;
};

/// What the steps of one call share. References the arguments of describe_conv.
struct ConvCall {
  CallSite site;
  const ConvArrays& arrays;
  const TensorDesc& x;
  const TensorDesc& weight;
  const SlidingConvParams& params;
  const ConvGate* gate = nullptr;  // the weight holds two halves
  AxisMap xmap;
  int64_t n_batch = 1, n_in = 0, n_out = 0;  // n_in: convolved input channels
  int64_t first_channel = 0;                 // of the convolved range
  bool copies_others = false;                // pass-through channels are part of y
  Extents kernel{1, 1, 1};
  std::array<int64_t, 3> out{1, 1, 1};
  std::vector<DilationRun> runs;
  ConvMask mask;                          // of a masked convolution, set by its operator
  std::array<int64_t, 3> mask_strides{};  // of M, per spatial axis

  /// Shape of y.
  std::array<int64_t, kMaxRank> y_shape() const;
  int64_t batch_stride(const TensorDesc& d) const { return xmap.n >= 0 ? d.strides[xmap.n] : 0; }
};

/// Validates a call and infers its geometry. `arrays`, `params` and `gate` must outlive the result.
ConvCall describe_conv(const ConvArrays& arrays, const SlidingConvParams& params,
                       const ConvGate* gate = nullptr);

/// Padding before each axis for one dilation, after checking it.
std::array<int64_t, 3> padding_before(const ConvCall& call, const Extents& dilation);

/// The runs cut so that each is whole groups or lies within one group.
std::vector<DilationRun> conv_pieces(const ConvCall& call);

/// One problem for each run of output channels that share their dilation, which is whole groups or
/// lies in one. `y` has the call's shape; `x` may be a copy of the convolved channels alone, which
/// starts at channel `x_first`.
std::vector<ConvProblem> conv_problems(const ConvCall& call, const Operand& x, int64_t x_first,
                                       const Operand& y);

/// The plan of one call whose output is slot 0.
Plan plan_conv(const ConvArrays& arrays, const SlidingConvParams& params, const ConvGate* gate,
               const PlanOptions& options);

/// Appends the steps of a call: the pass-through copies and the convolution. `in_place`: y is x.
void add_sliding_conv(PlanImpl& plan, const ConvCall& call, const Operand& y, bool in_place);

}  // namespace swath
