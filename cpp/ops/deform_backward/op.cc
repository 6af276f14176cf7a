// The gradients of the deformable convolution: validation, outputs and the order of the steps.
#include <algorithm>
#include <memory>

#include "ops/common/partial_sums.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/conv_backward/steps.h"
#include "ops/deform_conv/call.h"

namespace swath {
namespace {

/// Channels of a task of the gradients, if their samples are few enough.
constexpr int64_t kChannelsPerTask = 32;
constexpr int64_t kMostTaps = 64;
/// Positions that are worth a partial sum of dweight, and parts and tasks that are enough.
constexpr int64_t kPositionsPerPartial = 512, kMostPartials = 16;
/// Positions that the tiles may read beyond the last one of dy.
constexpr int64_t kSparePositions = 16;

int64_t channels_per_task(const DeformProblem& p) {
  const int64_t by_terms = kDeformTerms / std::min(p.n_taps(), kMostTaps);
  return std::clamp<int64_t>(by_terms, 1, kChannelsPerTask);
}

struct Outputs {
  PlanImpl& plan;
  std::vector<std::unique_ptr<TensorDesc>> descs{};  // operands point at them

  Operand add(const TensorDesc& like) {
    descs.push_back(
        std::make_unique<TensorDesc>(contiguous_desc(like.dtype, like.shape.data(), like.rank)));
    plan.outputs.push_back(*descs.back());
    return {descs.back().get(), output_ref(static_cast<int>(plan.outputs.size()) - 1)};
  }
};

ArrayRef reserve_accumulators(PlanImpl& plan, DType dtype, int64_t n) {
  return reserve_temp(plan, n * item_bytes(accumulator_of(dtype)));
}

/// dy as pixels. Always a copy: the tiles read whole ones, also beyond the last position.
ArrayRef add_dy_pixels(PlanImpl& plan, const DeformCall& call, const Operand& dy) {
  PixelsProblem pixels = pixels_of(call.map, dy);
  const DeformProblem& p = call.problem;
  pixels.pixels = reserve_accumulators(plan, p.dtype,
                                       (p.n_batch * p.n_positions() + kSparePositions) * p.n_out());
  add_pixels_step(plan, pixels, call.site.op);
  return pixels.pixels;
}

/// The gradients of all points from those of the blocks of channels: one task is one tap.
struct PointSums {
  std::shared_ptr<const DeformStep> step;
  bool has_offset, has_mask;
  ImageView doffset, dmask;

  void run(const Buffers& b, int64_t begin, int64_t end) const {
    const DeformProblem& p = *step;
    const int64_t n_taps = p.n_taps(), per_sample = p.n_deform * n_taps;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / per_sample, channel = task % per_sample;
      const int64_t deform = channel / n_taps, t = channel % n_taps;
      for (int64_t q = 0; q < p.n_positions(); ++q) {
        double sums[3] = {0, 0, 0};
        for (int64_t i = 0; i < p.n_blocks; ++i) {
          if (p.blocks[i].deform != deform) continue;
          const int64_t at = ((n * p.n_blocks + i) * n_taps + t) * 3 * p.n_positions() + q;
          for (int k = 0; k < 3; ++k) {
            sums[k] +=
                load_scalar(accumulator_of(p.dtype), b.read(p.points), at + k * p.n_positions());
          }
        }
        if (has_offset) {
          write(b, doffset, n, 2 * channel, q, sums[0]);
          write(b, doffset, n, 2 * channel + 1, q, sums[1]);
        }
        if (has_mask) write(b, dmask, n, channel, q, sums[2]);
      }
    }
  }

  void write(const Buffers& b, const ImageView& v, int64_t n, int64_t c, int64_t q,
             double value) const {
    const int64_t width = step->axis[1].out;
    store_scalar(step->dtype, b.write(v.ref),
                 v.offset + n * v.sample_stride + c * v.channel_stride + q / width * v.row_stride +
                     q % width * v.col_stride,
                 value);
  }
};

/// What was asked for; absent operands were not.
struct DeformGrads {
  Operand dx, dweight, doffset, dmask;
};

void add_dx_image(PlanImpl& plan, const DeformCall& call, const DeformStep& step,
                  const Operand& dx) {
  PixelsProblem pixels = pixels_of(call.map, dx);
  pixels.to_image = true;
  pixels.pixels = step.dx;
  // The blocks are not of one size: one step each.
  for (const DeformBlock& block : step.list) {
    PixelsProblem part = pixels;
    part.image.offset += block.first * part.image.channel_stride;
    part.n_channels = part.block = part.pixel_pitch = block.n;
    part.pixels.temp_byte += block.first * step.n_pixels() * item_bytes(accumulator_of(step.dtype));
    add_pixels_step(plan, part, call.site.op);
  }
}

void add_input_grads(PlanImpl& plan, const DeformCall& call, const DeformProblem& base,
                     const DeformGrads& grads) {
  auto step = make_deform_step(base, channels_per_task(base));
  step->role = DeformRole::input_grad;
  step->needs_x = grads.dx.desc != nullptr;
  step->needs_points = grads.doffset.desc != nullptr || grads.dmask.desc != nullptr;
  if (step->needs_x) {
    step->dx = reserve_accumulators(plan, base.dtype, base.n_batch * base.n_in() * base.n_pixels());
  }
  if (step->needs_points) {
    step->points = reserve_accumulators(
        plan, base.dtype, base.n_batch * step->n_blocks * base.n_taps() * 3 * base.n_positions());
  }
  add_deform_step(plan, step, "deform_backward", call.site.op);
  if (step->needs_x) add_dx_image(plan, call, *step, grads.dx);
  if (!step->needs_points) return;
  PointSums sums{.step = step,
                 .has_offset = grads.doffset.desc != nullptr,
                 .has_mask = grads.dmask.desc != nullptr,
                 .doffset = {},
                 .dmask = {}};
  if (sums.has_offset) sums.doffset = view_image(call.map, grads.doffset);
  if (sums.has_mask) sums.dmask = view_image(call.map, grads.dmask);
  const int64_t n_tasks = base.n_batch * base.n_deform * base.n_taps();
  const auto run = [sums](const Buffers& b, int64_t begin, int64_t end) {
    sums.run(b, begin, end);
  };
  add_plain_step(plan, {run, n_tasks}, static_cast<double>(n_tasks * base.n_positions()) * 3e-8);
}

void add_weight_grads(PlanImpl& plan, const DeformCall& call, const DeformProblem& base,
                      const Operand& dweight) {
  auto step = make_deform_step(base, channels_per_task(base));
  step->role = DeformRole::weight_grad;
  const int64_t by_work = base.n_positions() / kPositionsPerPartial;
  step->n_partials =
      std::clamp<int64_t>(std::min(by_work, kMostPartials / step->n_blocks), 1, kMostPartials);
  const int64_t n = dweight.desc->n_elements();
  const PartialSums sums{.dtype = base.dtype, .n_partials = step->n_partials, .n = n, .pitch = n};
  const ArrayRef partials = step->partials = reserve_partials(plan, sums);
  add_deform_step(plan, std::move(step), "deform_backward", call.site.op);
  add_partial_sums(plan, sums, partials, dweight.ref, 0);
}

}  // namespace

Plan plan_deform_conv_backward(const TensorDesc& dy_desc, const TensorDesc& x,
                               const TensorDesc& weight, const TensorDesc& offset,
                               const TensorDesc* mask, const TensorDesc* bias,
                               const DeformConvParams& params, const DeformNeeds& needs,
                               const PlanOptions& options) {
  const DeformArrays arrays{.x = {&x, input_ref(kDeformGradX)},
                            .weight = {&weight, input_ref(kDeformGradWeight)},
                            .offset = {&offset, input_ref(kDeformGradOffset)},
                            .mask = {mask, input_ref(kDeformGradMask)},
                            .bias = {bias, input_ref(kDeformGradBias)}};
  const DeformCall call = describe_deform(arrays, params);
  check_gradient(call.site, dy_desc, x, call.y_shape);
  const Operand dy{&dy_desc, input_ref(kDeformGradDy)};
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = params.op;
  Outputs outputs{*plan};
  DeformGrads grads;
  if (needs.x) grads.dx = outputs.add(x);
  if (needs.weight) grads.dweight = outputs.add(weight);
  if (needs.offset) grads.doffset = outputs.add(offset);
  if (needs.mask && mask != nullptr) grads.dmask = outputs.add(*mask);
  Operand dbias;
  if (needs.bias) dbias = outputs.add(contiguous_desc(x.dtype, {weight.shape[0]}));
  for (const TensorDesc* d : {&dy_desc, &x, &weight, &offset, mask}) {
    if (d != nullptr) plan->bytes += d->n_elements() * item_bytes(d->dtype);
  }
  for (const TensorDesc& d : plan->outputs) plan->bytes += d.n_elements() * item_bytes(d.dtype);
  if (needs.bias && weight.shape[0] > 0) {
    add_channel_sums(*plan, call.map, 2, dy, dbias, params.op);
  }
  const Operand* products[] = {&grads.dx, &grads.dweight, &grads.doffset, &grads.dmask};
  if (dy_desc.n_elements() == 0 || x.n_elements() == 0) {
    for (const Operand* to : products) {
      if (to->desc != nullptr && to->desc->n_elements() > 0) add_zeros(*plan, *to);
    }
    return Plan(std::move(plan));
  }
  const bool needs_input = needs.x || needs.offset || grads.dmask.desc != nullptr;
  if (!needs_input && !needs.weight) return Plan(std::move(plan));
  DeformProblem p = call.problem;
  p.dy = add_dy_pixels(*plan, call, dy);
  p.x = add_x_pixels(*plan, call);
  if (needs_input) add_input_grads(*plan, call, p, grads);
  if (needs.weight) add_weight_grads(*plan, call, p, grads.dweight);
  return Plan(std::move(plan));
}

}  // namespace swath
