// The backward plans of the convolutions: validation, outputs, and the order of the steps.
#include <swath/ops/conv_backward.h>

#include <algorithm>

#include "core/format.h"
#include "ops/common/copy.h"
#include "ops/common/partial_sums.h"
#include "ops/common/scalar.h"
#include "ops/conv_backward/gated.h"
#include "ops/conv_backward/steps.h"
#include "ops/partial_conv/mask.h"

namespace swath {
namespace {

/// The plan's outputs, one after the other.
struct Outputs {
  PlanImpl& plan;
  std::vector<std::unique_ptr<TensorDesc>> descs{};  // operands point at them

  Operand add(const CallSite& site, const TensorDesc& like, const int64_t* shape, int rank) {
    descs.push_back(std::make_unique<TensorDesc>(output_desc(site, like, shape, rank, nullptr)));
    plan.outputs.push_back(*descs.back());
    return {descs.back().get(), output_ref(static_cast<int>(plan.outputs.size()) - 1)};
  }
  Operand add_like(const CallSite& site, const TensorDesc& x) {
    return add(site, x, x.shape.data(), x.rank);
  }
};

void add_image_zeros(PlanImpl& plan, const Operand& x) {
  if (x.desc->n_elements() > 0) add_zeros(plan, x);
}

/// The call without the channels that pass through: what views of x, dy and the residual it has.
struct ChannelRangeView {
  OwnOperand x, dy, residual;
  ConvArrays arrays;
  SlidingConvParams params;
};

OwnOperand convolved(const ConvCall& call, const Operand& a) {
  const int c = call.xmap.c;
  return a.desc->shape[c] == call.x.shape[c] ? slice(a, c, call.first_channel, call.n_in) : own(a);
}

/// The view that `call` (which has no range where it has all channels) has of a full array.
ChannelRangeView view_range(const ConvCall& call, const Operand& dy) {
  ChannelRangeView view;
  view.params = call.params;
  view.params.has_channels = false;
  view.x = slice(call.arrays.x, call.xmap.c, call.first_channel, call.n_in);
  view.dy = call.copies_others ? convolved(call, dy) : own(dy);
  view.arrays = call.arrays;
  if (call.arrays.residual.desc != nullptr) {
    view.residual =
        call.copies_others ? convolved(call, call.arrays.residual) : own(call.arrays.residual);
  }
  return view;
}

/// dx where channels pass through: dy's, or nothing.
void add_passed_channels(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                         const Operand& dx) {
  if (!call.params.has_channels || dx.desc->n_elements() == 0) return;
  const int c = call.xmap.c;
  const int64_t all = call.x.shape[c];
  if (!call.copies_others) return add_image_zeros(plan, dx);
  const int64_t ranges[2][2] = {{0, call.first_channel}, {call.first_channel + call.n_in, all}};
  for (const auto& [begin, end] : ranges) {
    if (begin == end) continue;
    const OwnOperand from = slice(dy, c, begin, end - begin), to = slice(dx, c, begin, end - begin);
    add_copy_step(plan, {.from = from.desc,
                         .to = to.desc,
                         .from_offset = from.offset,
                         .to_offset = to.offset,
                         .from_ref = from.ref,
                         .to_ref = to.ref});
  }
}

void count_bytes(PlanImpl& plan, std::initializer_list<const TensorDesc*> inputs) {
  for (const TensorDesc* d : inputs) {
    if (d != nullptr) plan.bytes += d->n_elements() * item_bytes(d->dtype);
  }
  for (const TensorDesc& d : plan.outputs) plan.bytes += d.n_elements() * item_bytes(d.dtype);
}

}  // namespace

namespace {

Plan plan_backward(const Operand& dy, const ConvArrays& arrays, const SlidingConvParams& params,
                   const ConvGate* gate, const ConvNeeds& needs, const PlanOptions& options) {
  const TensorDesc &x = *arrays.x.desc, &weight = *arrays.weight.desc;
  const ConvCall whole = describe_conv(arrays, params, gate);
  check_gradient(whole.site, *dy.desc, x, whole.y_shape());
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = params.op;

  ChannelRangeView view = view_range(whole, dy);
  view.arrays.x = view.x.operand();
  const TensorDesc* residual = arrays.residual.desc;
  if (residual != nullptr) view.arrays.residual = view.residual.operand();
  const ConvCall call = describe_conv(view.arrays, view.params, gate);

  Outputs outputs{*plan};
  EpilogueGrads grads;
  Operand dx, dweight, dresidual;
  const int64_t n_values = weight.shape[0];
  const auto per_channel = [&](bool is_needed) {
    TensorDesc like = x;
    if (needs.wide_sums) like.dtype = accumulator_of(x.dtype);
    return is_needed ? outputs.add(call.site, like, &n_values, 1) : Operand{};
  };
  if (needs.x) dx = outputs.add_like(call.site, x);
  if (needs.weight) dweight = outputs.add_like(call.site, weight);
  grads.dbias = per_channel(needs.bias);
  grads.dscale = per_channel(needs.scale && arrays.scale.desc != nullptr);
  grads.dshift = per_channel(needs.shift && arrays.shift.desc != nullptr);
  OwnOperand dresidual_part;
  if (needs.residual && residual != nullptr) {
    dresidual = outputs.add_like(call.site, *residual);
    dresidual_part = whole.copies_others ? convolved(whole, dresidual) : own(dresidual);
    if (dresidual_part.desc.shape != residual->shape) add_image_zeros(*plan, dresidual);
    grads.dresidual = dresidual_part.operand();
  }
  count_bytes(*plan, {dy.desc, &x, &weight});
  OwnOperand dx_part;
  if (needs.x) {
    add_passed_channels(*plan, whole, dy, dx);
    dx_part = slice(dx, whole.xmap.c, whole.first_channel, whole.n_in);
  }
  const Operand dx_convolved = needs.x ? dx_part.operand() : Operand{};
  if (gate != nullptr) {
    add_gated_backward(*plan, call, view.dy.operand(), grads, dx_convolved, dweight);
    return Plan(std::move(plan));
  }
  const OwnOperand du =
      add_epilogue_backward(*plan, call, view.dy.operand(), grads, needs.x || needs.weight);
  if (needs.x) add_input_grad(*plan, call, du.operand(), dx_convolved);
  if (needs.weight) add_weight_grad(*plan, call, du.operand(), dweight);
  return Plan(std::move(plan));
}

ConvArrays grad_inputs(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                       const TensorDesc* scale, const TensorDesc* shift,
                       const TensorDesc* residual) {
  return {{&x, input_ref(kGradX)},        {&weight, input_ref(kGradWeight)},
          {bias, input_ref(kGradBias)},   {scale, input_ref(kGradScale)},
          {shift, input_ref(kGradShift)}, {residual, input_ref(kGradResidual)}};
}

}  // namespace

Plan plan_sliding_conv_backward(const TensorDesc& dy, const TensorDesc& x, const TensorDesc& weight,
                                const TensorDesc* bias, const TensorDesc* scale,
                                const TensorDesc* shift, const TensorDesc* residual,
                                const SlidingConvParams& params, const ConvNeeds& needs,
                                const PlanOptions& options) {
  return plan_backward({&dy, input_ref(kGradDy)},
                       grad_inputs(x, weight, bias, scale, shift, residual), params, nullptr, needs,
                       options);
}

Plan plan_gated_conv_backward(const TensorDesc& dy, const TensorDesc& x, const TensorDesc& weight,
                              const TensorDesc* bias, const TensorDesc* scale,
                              const TensorDesc* shift, const TensorDesc* residual,
                              const GatedConvParams& params, const ConvNeeds& needs,
                              const PlanOptions& options) {
  return plan_backward({&dy, input_ref(kGradDy)},
                       grad_inputs(x, weight, bias, scale, shift, residual), params.conv,
                       &params.gate, needs, options);
}

Plan plan_partial_conv_backward(const TensorDesc& dy_desc, const TensorDesc& x,
                                const TensorDesc& weight, const TensorDesc* bias,
                                const TensorDesc* mask, const PartialConvParams& params,
                                const ConvNeeds& needs, const PlanOptions& options) {
  const ConvArrays arrays{.x = {&x, input_ref(kPartialGradX)},
                          .weight = {&weight, input_ref(kPartialGradWeight)},
                          .bias = {bias, input_ref(kPartialGradBias)},
                          .scale = {},
                          .shift = {},
                          .residual = {}};
  ConvCall call = describe_conv(arrays, params.conv);
  check_mask_options(call.site, params.conv);
  const MaskCall mask_call = describe_mask(call, mask, input_ref(kPartialGradMask), params);
  check_gradient(call.site, dy_desc, x, call.y_shape());
  const Operand dy{&dy_desc, input_ref(kPartialGradDy)};
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = params.conv.op;
  Outputs outputs{*plan};
  Operand dx, dweight;
  EpilogueGrads grads, bias_alone;
  if (needs.x) dx = outputs.add_like(call.site, x);
  if (needs.weight) dweight = outputs.add_like(call.site, weight);
  if (needs.bias) grads.dbias = outputs.add(call.site, x, &call.n_out, 1);
  count_bytes(*plan, {&dy_desc, &x, &weight, mask});
  add_mask_check(*plan, mask_call, params.conv.op);
  if (dy_desc.n_elements() > 0) {
    const TensorDesc y = contiguous_desc(dy_desc.dtype, dy_desc.shape.data(), dy_desc.rank);
    add_mask_steps(*plan, call, mask_call, params, {&y, {}}, {});
  }
  // Without a bias nothing was multiplied with a mask of fractions; the bias' gradient still is.
  if (grads.dbias.desc != nullptr && !call.mask.has_keep) {
    ConvCall biased = call;
    biased.mask.has_keep = call.mask.has_values;
    std::swap(bias_alone.dbias, grads.dbias);
    add_epilogue_backward(*plan, biased, dy, bias_alone, false);
  }
  const OwnOperand du = add_epilogue_backward(*plan, call, dy, grads, needs.x || needs.weight);
  if (needs.x) {
    add_input_grad(*plan, call, du.operand(), dx);
    add_mask_product(*plan, call, mask_call, dx);
  }
  if (needs.weight) add_weight_grad(*plan, call, du.operand(), dweight);
  return Plan(std::move(plan));
}

Plan plan_conv_transpose_backward(const TensorDesc& dy_desc, const TensorDesc& x,
                                  const TensorDesc& weight, const TensorDesc* bias,
                                  const ConvTransposeParams& params, const ConvNeeds& needs,
                                  const PlanOptions& options) {
  const TransposedArrays arrays{
      {&x, input_ref(kGradX)}, {&weight, input_ref(kGradWeight)}, {bias, input_ref(kGradBias)}};
  const TransposedCall forward = describe_conv_transpose(arrays, params);
  check_gradient(forward.site, dy_desc, x, forward.y_shape);
  const Operand dy{&dy_desc, input_ref(kGradDy)};
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = params.op;

  Outputs outputs{*plan};
  Operand dx, dweight;
  if (needs.x) dx = outputs.add_like(forward.site, x);
  if (needs.weight) dweight = outputs.add_like(forward.site, weight);
  Operand dbias;
  const int64_t n_out = dy_desc.shape[forward.map.c];
  if (needs.bias) dbias = outputs.add(forward.site, x, &n_out, 1);
  count_bytes(*plan, {&dy_desc, &x, &weight});
  if (needs.bias) add_channel_sums(*plan, forward.map, params.ndim, dy, dbias, params.op);

  if (dy_desc.n_elements() == 0 || x.n_elements() == 0) {
    if (needs.x) add_image_zeros(*plan, dx);
    if (needs.weight) add_image_zeros(*plan, dweight);
    return Plan(std::move(plan));
  }
  // The convolution whose adjoint the forward is: from dy to dx.
  SlidingConvParams p;
  p.ndim = params.ndim;
  p.stride = params.stride;
  p.dilation = params.dilation;
  p.padding = forward.pads;
  p.groups = params.groups;
  p.layout = params.layout;
  p.op = params.op;
  const ConvArrays conv_arrays{.x = dy, .weight = arrays.weight};
  ConvCall call = describe_conv(conv_arrays, p);
  // output_padding may leave room for one window more, which the forward does not have.
  for (int i = 0; i < p.ndim; ++i) call.out[i] = x.shape[forward.map.spatial[i]];
  if (needs.x) add_sliding_conv(*plan, call, dx, false);
  if (needs.weight) add_weight_grad(*plan, call, arrays.x, dweight);
  return Plan(std::move(plan));
}

}  // namespace swath
