// describe of the deformable convolution, and what its plans are made of.
#include "ops/deform_conv/call.h"

#include <algorithm>
#include <memory>

#include "core/format.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

/// offset or mask: x's axes with other channels and y's positions.
void check_map(const DeformCall& call, const TensorDesc& a, const char* arg, int64_t n_channels) {
  const TensorDesc& x = *call.arrays.x.desc;
  check_same_kind(call.site, x, a, arg);
  std::array<int64_t, kMaxRank> needed = call.y_shape;
  needed[call.map.c] = n_channels;
  if (a.rank == x.rank && std::equal(needed.begin(), needed.begin() + x.rank, a.shape.begin())) {
    return;
  }
  call.site.fail(
      ErrorCode::shape, arg,
      format("{} has shape {}, needed is {}: {} channels for deform_groups={} and {} x "
             "{} taps, and y's positions",
             arg, shape_text(a), shape_text(needed.data(), x.rank), n_channels,
             call.problem.n_deform, call.problem.axis[0].kernel, call.problem.axis[1].kernel));
}

}  // namespace

DeformCall describe_deform(const DeformArrays& arrays, const DeformConvParams& params) {
  const ConvArrays conv_arrays{.x = arrays.x,
                               .weight = arrays.weight,
                               .bias = arrays.bias,
                               .scale = {},
                               .shift = {},
                               .residual = {}};
  SlidingConvParams conv;
  conv.stride = params.stride;
  conv.dilation = params.dilation;
  conv.padding = params.padding;
  conv.groups = params.groups;
  conv.layout = params.layout;
  conv.op = params.op;
  const ConvCall plain = describe_conv(conv_arrays, conv);
  DeformCall call{CallSite{params.op}, arrays, plain.xmap, {}, plain.y_shape()};
  DeformProblem& p = call.problem;
  const TensorDesc &x = *arrays.x.desc, &w = *arrays.weight.desc;
  p.dtype = x.dtype;
  p.n_batch = plain.n_batch;
  p.n_groups = params.groups;
  p.in_per_group = w.shape[1];
  p.out_per_group = plain.n_out / params.groups;
  p.n_deform = params.deform_groups;
  if (p.n_deform < 1 || plain.n_in % p.n_deform != 0) {
    call.site.fail(
        ErrorCode::param, "deform_groups",
        format("deform_groups is {}, x has {} channels to divide", p.n_deform, plain.n_in));
  }
  const auto pad = padding_before(plain, conv.dilation);
  for (int i = 0; i < 2; ++i) {
    p.axis[i] = {.in = x.shape[call.map.spatial[i]],
                 .out = plain.out[i],
                 .kernel = plain.kernel[i],
                 .stride = conv.stride[i],
                 .dilation = conv.dilation[i],
                 .pad = pad[i]};
  }
  check_map(call, *arrays.offset.desc, "offset", 2 * p.n_deform * p.n_taps());
  p.offset = view_image(call.map, arrays.offset);
  p.has_mask = arrays.mask.desc != nullptr;
  if (p.has_mask) {
    check_map(call, *arrays.mask.desc, "mask", p.n_deform * p.n_taps());
    p.mask = view_image(call.map, arrays.mask);
  }
  p.weight = {arrays.weight.ref, w.strides[0], w.strides[1], w.strides[2], w.strides[3]};
  p.has_bias = arrays.bias.desc != nullptr;
  if (p.has_bias) {
    p.bias = arrays.bias.ref;
    p.bias_stride = arrays.bias.desc->strides[0];
  }
  return call;
}

std::shared_ptr<DeformStep> make_deform_step(const DeformProblem& problem, int64_t most) {
  auto step = std::make_shared<DeformStep>();
  static_cast<DeformProblem&>(*step) = problem;
  const int64_t all = problem.n_in(), per_deform = std::max<int64_t>(all / problem.n_deform, 1);
  const int64_t per_group = problem.is_depthwise() ? all : problem.in_per_group;
  for (int64_t c = 0; c < all;) {
    const int64_t deform = c / per_deform, group = c / std::max<int64_t>(per_group, 1);
    const int64_t end = std::min((deform + 1) * per_deform, (group + 1) * per_group);
    const int64_t n_parts = (end - c + most - 1) / most, first = c;
    for (int64_t i = 0; i < n_parts; ++i) {
      const int64_t next = first + (end - first) * (i + 1) / n_parts;
      step->list.push_back({c, next - c, group, deform});
      c = next;
    }
  }
  step->blocks = step->list.data();
  step->n_blocks = static_cast<int64_t>(step->list.size());
  return step;
}

PixelsView add_x_pixels(PlanImpl& plan, const DeformCall& call) {
  const TensorDesc& x = *call.arrays.x.desc;
  const ImageView v = view_image(call.map, call.arrays.x);
  const bool is_wide = accumulator_of(x.dtype) == x.dtype;
  if (is_wide && (v.channel_stride == 1 || call.problem.n_in() == 1)) {
    return {v.ref, v.offset, v.sample_stride, v.row_stride, v.col_stride};
  }
  PixelsProblem pixels = pixels_of(call.map, call.arrays.x);
  pixels.pixels = reserve_temp(
      plan, pixels.n_batch * pixels.sample_pitch * item_bytes(accumulator_of(x.dtype)));
  add_pixels_step(plan, pixels, call.site.op);
  return {pixels.pixels, 0, pixels.sample_pitch, pixels.n_cols * pixels.n_channels,
          pixels.n_channels};
}

void add_deform_step(PlanImpl& plan, std::shared_ptr<DeformStep> step, const char* table,
                     const std::string& op) {
  constexpr double kFlopsPerSecond = 20e9;
  const DeformProblem& p = *step;
  const double samples = static_cast<double>(p.n_batch) * p.n_positions() * p.n_in() * p.n_taps();
  const double flops = samples * (2.0 * p.out_per_group + 10);
  plan.flops += static_cast<int64_t>(2.0 * samples * p.out_per_group);
  const DType dtype = p.dtype;
  add_step(plan, find_operator(table), dtype, std::shared_ptr<const DeformProblem>(std::move(step)),
           flops / kFlopsPerSecond, op);
}

}  // namespace swath
