// Gradients of the convolution with weights for each sample.
#include <algorithm>

#include "core/format.h"
#include "ops/common/partial_sums.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/sample_conv/sample.h"

namespace swath {
namespace {

/// The gradient of bias, scale or shift: values of each sample, as accumulators.
struct ChannelGrad {
  ArrayRef values, to;
  int64_t n_channels;
  bool is_shared;  // summed over the samples
};

/// A sum over the batch is one sequence: it is short, and the same for any number of threads.
void add_channel_grad(PlanImpl& plan, DType dtype, int64_t n_batch, const ChannelGrad& g) {
  const auto write = [dtype, n_batch, g](const Buffers& b, int64_t begin, int64_t end) {
    const void* values = b.read(g.values);
    for (int64_t c = begin; c < end; ++c) {
      ScalarSum sum;
      for (int64_t n = 0; n < n_batch; ++n) {
        const double value = load_scalar(accumulator_of(dtype), values, n * g.n_channels + c);
        if (!g.is_shared) store_scalar(dtype, b.write(g.to), n * g.n_channels + c, value);
        sum.add(value);
      }
      if (g.is_shared) store_scalar(dtype, b.write(g.to), c, sum.value());
    }
  };
  add_plain_step(plan, {write, g.n_channels}, static_cast<double>(n_batch * g.n_channels) * 4e-9);
}

/// The plan's outputs and where the one plan of a sample writes them.
struct Outputs {
  PlanImpl& plan;
  int64_t n_batch;
  SampleArrays arrays{};
  std::vector<ChannelGrad> channel_grads{};

  ArrayRef add(const TensorDesc& desc) {
    plan.outputs.push_back(desc);
    return output_ref(static_cast<int>(plan.outputs.size()) - 1);
  }
  void add_image(const TensorDesc& x) {
    const TensorDesc d = contiguous_desc(x.dtype, x.shape.data(), x.rank);
    const ArrayRef ref = add(d);
    arrays.outputs.push_back({ref, d.strides[0] * item_bytes(x.dtype)});
  }
  void add_channels(const TensorDesc& like, int64_t n_channels, bool is_shared) {
    ChannelGrad g{
        .values = reserve_temp(plan, n_batch * n_channels * accumulator_bytes(like.dtype)),
        .to = {},
        .n_channels = n_channels,
        .is_shared = is_shared};
    g.to = add(is_shared ? contiguous_desc(like.dtype, {n_channels})
                         : contiguous_desc(like.dtype, {n_batch, n_channels}));
    arrays.outputs.push_back({g.values, n_channels * accumulator_bytes(like.dtype)});
    channel_grads.push_back(g);
  }
};

void add_all_zeros(PlanImpl& plan) {
  for (size_t k = 0; k < plan.outputs.size(); ++k) {
    const TensorDesc& d = plan.outputs[k];
    if (d.n_elements() > 0) {
      add_zero_step(plan, output_ref(static_cast<int>(k)), d.n_elements() * item_bytes(d.dtype));
    }
  }
}

}  // namespace

Plan plan_sample_conv_backward(const TensorDesc& dy, const TensorDesc& x, const TensorDesc& weight,
                               const TensorDesc* bias, const TensorDesc* scale,
                               const TensorDesc* shift, const TensorDesc* residual,
                               const SlidingConvParams& params, const ConvNeeds& needs,
                               const PlanOptions& options) {
  const SampleCall call = describe_sample_conv(x, weight, bias, scale, shift, residual, params);
  if (!call.is_batched) {
    return plan_sliding_conv_backward(dy, x, weight, bias, scale, shift, residual, params, needs,
                                      options);
  }
  check_gradient(call.site, dy, x, call.y_shape);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = params.op;
  const int64_t n = call.n_batch, n_out = weight.shape[1];
  Outputs outputs{*plan, n};
  if (needs.x) outputs.add_image(x);
  if (needs.weight) outputs.add_image(weight);
  if (needs.bias) outputs.add_channels(x, n_out, !call.bias.is_present || call.bias.is_shared);
  if (needs.scale && scale != nullptr) outputs.add_channels(x, n_out, call.scale.is_shared);
  if (needs.shift && shift != nullptr) outputs.add_channels(x, n_out, call.shift.is_shared);
  if (needs.residual && residual != nullptr) outputs.add_image(*residual);
  for (const TensorDesc* d : {&dy, &x, &weight}) {
    plan->bytes += d->n_elements() * item_bytes(d->dtype);
  }
  for (const TensorDesc& d : plan->outputs) plan->bytes += d.n_elements() * item_bytes(d.dtype);
  if (n == 0) {
    add_all_zeros(*plan);
    return Plan(std::move(plan));
  }
  const OneSample one_dy = one_image(dy);
  ConvNeeds one_needs = needs;
  one_needs.wide_sums = true;
  const Plan one = plan_sliding_conv_backward(one_dy.desc, call.x.desc, call.weight.desc,
                                              call.bias.get(), call.scale.get(), call.shift.get(),
                                              call.residual.get(), params, one_needs, options);
  const OneSample* inputs[] = {&one_dy,     &call.x,     &call.weight,  &call.bias,
                               &call.scale, &call.shift, &call.residual};
  for (int slot = kGradDy; slot <= kGradResidual; ++slot) {
    outputs.arrays.inputs.push_back({input_ref(slot), inputs[slot]->step * item_bytes(x.dtype)});
  }
  add_per_sample(*plan, one, n, outputs.arrays);
  for (const ChannelGrad& g : outputs.channel_grads) add_channel_grad(*plan, x.dtype, n, g);
  return Plan(std::move(plan));
}

}  // namespace swath
