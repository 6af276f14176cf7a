// The convolution and its gradients as those of a depthwise cross-correlation: the taps are read
// backwards, which their strides say.
#include "ops/common/copy.h"
#include "ops/conv_backward/steps.h"
#include "ops/long_conv2d/call.h"

namespace swath {
namespace {

/// k (D, Kh, Kw) as the weight (D, 1, Kh, Kw), mirrored.
OwnOperand mirrored(const Operand& k) {
  const TensorDesc& d = *k.desc;
  OwnOperand w = own(k);
  w.desc.rank = 4;
  w.desc.shape = {d.shape[0], 1, d.shape[1], d.shape[2]};
  w.desc.strides = {d.strides[0], 0, -d.strides[1], -d.strides[2]};
  for (int i = 1; i < 3; ++i) w.offset += (d.shape[i] - 1) * d.strides[i];
  return w;
}

/// What describe_conv refers to.
struct Depthwise {
  OwnOperand weight;
  ConvArrays arrays;
  SlidingConvParams params;

  Depthwise(const LongConv2dCall& call, const LongConv2dArrays& given) : weight(mirrored(given.k)) {
    arrays.x = given.u;
    arrays.weight = weight.operand();
    params.groups = call.n_channels();
    params.layout = call.params.layout;
    params.op = call.site.op;
    for (int i = 0; i < 2; ++i) {
      const LongAxis& a = call.axis[i];
      if (a.is_circular) params.padding_mode = PaddingMode::circular;
      const int64_t before = a.taps - 1 - a.offset;
      params.padding.pairs[i] = {before, a.n_out - a.n + a.taps - 1 - before};
    }
  }
};

}  // namespace

void add_direct(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
                const Operand& y) {
  const Depthwise d(call, arrays);
  add_sliding_conv(plan, describe_conv(d.arrays, d.params), y, false);
}

void add_direct_backward(PlanImpl& plan, const LongConv2dCall& call, const LongConv2dArrays& arrays,
                         const Operand& dy, const Operand& du, const Operand& dk) {
  const Depthwise d(call, arrays);
  const ConvCall conv = describe_conv(d.arrays, d.params);
  if (du.desc != nullptr) add_input_grad(plan, conv, dy, du);
  if (dk.desc == nullptr) return;
  const OwnOperand dweight = reserve_like(plan, d.weight.desc, dk.desc->dtype);
  add_weight_grad(plan, conv, dy, dweight.operand());
  const OwnOperand to = mirrored(dk);
  add_copy_step(plan, {.from = dweight.desc,
                       .to = to.desc,
                       .from_offset = dweight.offset,
                       .to_offset = to.offset,
                       .from_ref = dweight.ref,
                       .to_ref = to.ref});
}

}  // namespace swath
