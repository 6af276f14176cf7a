// The parts of a convolution's backward as steps of a plan. Gradients that are composed of
// convolutions (masked, gated) use them too.
#pragma once

#include "ops/conv_transpose/call.h"
#include "ops/conv_weight_grad/call.h"
#include "ops/sliding_conv/call.h"

namespace swath {

/// An array in temporary memory, or a view of one of the plan's.
struct OwnOperand {
  TensorDesc desc;
  ArrayRef ref;
  int64_t offset = 0;

  Operand operand() const { return {&desc, ref, offset}; }
};
OwnOperand own(const Operand& x);
OwnOperand reserve_like(PlanImpl& plan, const TensorDesc& desc, DType dtype);

/// Elements [begin, begin + n) along an axis.
OwnOperand slice(const Operand& x, int axis, int64_t begin, int64_t n);

/// Where gradients of the epilogue go; absent ones are not computed. dbias, dscale and dshift have
/// one value per output channel.
struct EpilogueGrads {
  Operand dbias, dscale, dshift, dresidual;
};

/// Appends the steps that turn dy into the gradient of the sum over taps, and fill `grads`. The
/// result is dy itself where both are the same. `call` convolves all of its channels (no channel
/// range); without needs_du only `grads` are filled.
OwnOperand add_epilogue_backward(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                                 const EpilogueGrads& grads, bool needs_du);

/// w * x + bias with the factors of partial padding or of a mask, in temporary memory of y's shape.
OwnOperand add_sum_again(PlanImpl& plan, const ConvCall& call, const TensorDesc& y);

/// The other half of a gated convolution: its call, and v = w * x + bias of its channels.
struct GatePartner {
  const ConvCall& call;
  Operand v;
};

/// Appends the steps for one half of a gated convolution, y = act(v scale + shift) times the
/// partner's activation: du (absent: not wanted) and `grads` of this half.
void add_gated_half(PlanImpl& plan, const ConvCall& call, const Operand& dy, const Operand& v,
                    const GatePartner& partner, const Operand& du, const EpilogueGrads& grads);

/// Appends the step for dbias[c] = sum of dy over all axes but the channels'.
void add_channel_sums(PlanImpl& plan, const AxisMap& map, int ndim, const Operand& dy,
                      const Operand& dbias, const std::string& op);

/// Appends the step x = keep x over the positions of x, 0 where keep is 0. In place.
void add_position_product(PlanImpl& plan, const AxisMap& map, int ndim, const Operand& x,
                          const ConvMask& factors, const std::string& op);

/// Appends the steps for dx, given the gradient of the sum over taps. dx has the shape of the
/// call's x and is written in full, or added to.
void add_input_grad(PlanImpl& plan, const ConvCall& call, const Operand& du, const Operand& dx,
                    bool adds = false);

/// to = from, or to += from, where `from` is wider by a border that stands for elements inside, as
/// the padding mode says. `from` and `to` may differ in dtype if `from` is of the accumulator's.
void add_fold(PlanImpl& plan, const AxisMap& map, int ndim, const Operand& from, const Operand& to,
              const std::array<int64_t, 3>& pad_before, PaddingMode mode, bool accumulate);

/// A copy of x in the dtype of the accumulator.
OwnOperand add_widened(PlanImpl& plan, const Operand& x);

}  // namespace swath
