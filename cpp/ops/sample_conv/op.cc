// Convolution with weights for each sample: the convolution of one sample, for all of them.
#include <algorithm>

#include "core/format.h"
#include "ops/sample_conv/sample.h"

namespace swath {
namespace {

TensorDesc without_first_axis(const TensorDesc& a) {
  TensorDesc d = a;
  --d.rank;
  std::copy_n(a.shape.begin() + 1, d.rank, d.shape.begin());
  std::copy_n(a.strides.begin() + 1, d.rank, d.strides.begin());
  return d;
}

OneSample one_weight(const CallSite& site, const TensorDesc& weight, int ndim, bool is_batched,
                     int64_t n_batch) {
  if (weight.rank != ndim + (is_batched ? 3 : 2)) {
    site.fail(
        ErrorCode::shape, "weight",
        format("weight has {} axes {}, needed are {}: ({}C_out, C_in/groups, *kernel)", weight.rank,
               shape_text(weight), ndim + (is_batched ? 3 : 2), is_batched ? "N, " : ""));
  }
  if (!is_batched) return {weight, 0, true, true};
  if (weight.shape[0] != n_batch) {
    site.fail(ErrorCode::shape, "weight",
              format("weight has {} samples, x has {} (weight.shape={})", weight.shape[0], n_batch,
                     shape_text(weight)));
  }
  return {without_first_axis(weight), weight.strides[0], true, false};
}

/// bias, scale or shift: (O,), or (N, O).
OneSample one_per_channel(const CallSite& site, const TensorDesc* a, const char* arg,
                          bool is_batched, int64_t n_batch) {
  if (a == nullptr) return {};
  if (a->rank != 2 || !is_batched) return {*a, 0, true, true};
  if (a->shape[0] != n_batch) {
    site.fail(ErrorCode::shape, arg,
              format("{} has {} samples, x has {} ({}.shape={})", arg, a->shape[0], n_batch, arg,
                     shape_text(*a)));
  }
  return {without_first_axis(*a), a->strides[0], true, false};
}

}  // namespace

OneSample one_image(const TensorDesc& x) {
  OneSample one{x, x.strides[0], true, false};
  one.desc.shape[0] = 1;
  return one;
}

bool SampleCall::is_uniform() const {
  if (!is_batched || n_batch == 1) return true;
  const OneSample* all[] = {&weight, &bias, &scale, &shift};
  return std::all_of(std::begin(all), std::end(all), [](const OneSample* a) {
    return !a->is_present || a->is_shared || a->step == 0;
  });
}

SampleCall describe_sample_conv(const TensorDesc& x, const TensorDesc& weight,
                                const TensorDesc* bias, const TensorDesc* scale,
                                const TensorDesc* shift, const TensorDesc* residual,
                                const SlidingConvParams& params) {
  SampleCall call{.site = CallSite{params.op},
                  .x = {},
                  .weight = {},
                  .bias = {},
                  .scale = {},
                  .shift = {},
                  .residual = {}};
  check_floating(call.site, x);
  const AxisMap map = map_axes(call.site, x, params.ndim, params.layout, "x");
  call.is_batched = map.n >= 0;
  call.n_batch = call.is_batched ? x.shape[0] : 1;
  call.weight = one_weight(call.site, weight, params.ndim, call.is_batched, call.n_batch);
  const auto channels = [&](const TensorDesc* a, const char* arg) {
    return one_per_channel(call.site, a, arg, call.is_batched, call.n_batch);
  };
  call.bias = channels(bias, "bias");
  call.scale = channels(scale, "scale");
  call.shift = channels(shift, "shift");
  const ConvArrays arrays = conv_inputs(x, call.weight.desc, call.bias.get(), call.scale.get(),
                                        call.shift.get(), residual);
  call.y_shape = describe_conv(arrays, params).y_shape();
  if (call.is_batched) {
    call.x = one_image(x);
    if (residual != nullptr) call.residual = one_image(*residual);
  }
  return call;
}

Plan plan_sample_conv(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                      const TensorDesc* scale, const TensorDesc* shift, const TensorDesc* residual,
                      const SlidingConvParams& params, const PlanOptions& options) {
  const SampleCall call = describe_sample_conv(x, weight, bias, scale, shift, residual, params);
  if (call.is_uniform()) {
    return plan_sliding_conv(x, call.weight.desc, call.bias.get(), call.scale.get(),
                             call.shift.get(), residual, params, options);
  }
  const TensorDesc y = output_desc(call.site, x, call.y_shape.data(), x.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = params.op;
  plan->outputs = {y};
  const int64_t item = item_bytes(x.dtype);
  plan->bytes = item * (x.n_elements() + y.n_elements() + weight.n_elements());
  if (y.n_elements() == 0) return Plan(std::move(plan));
  const OneSample one_y = one_image(y);
  PlanOptions one_options = options;
  one_options.out = &one_y.desc;
  const Plan one =
      plan_sliding_conv(call.x.desc, call.weight.desc, call.bias.get(), call.scale.get(),
                        call.shift.get(), call.residual.get(), params, one_options);
  SampleArrays arrays;
  const OneSample* inputs[] = {&call.x,     &call.weight, &call.bias,
                               &call.scale, &call.shift,  &call.residual};
  for (int slot = kConvX; slot <= kConvResidual; ++slot) {
    arrays.inputs.push_back({input_ref(slot), inputs[slot]->step * item});
  }
  arrays.outputs = {{output_ref(0), one_y.step * item}};
  add_per_sample(*plan, one, call.n_batch, arrays);
  return Plan(std::move(plan));
}

}  // namespace swath
