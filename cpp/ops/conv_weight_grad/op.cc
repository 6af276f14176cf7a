// From a convolution's call to the problems of its weight's gradient: one for each run of output
// channels that share their dilation.
#include <algorithm>

#include "ops/common/partial_sums.h"
#include "ops/conv_weight_grad/call.h"

namespace swath {
namespace {

constexpr double kFlopsPerSecond = 40e9;
constexpr double kBytesPerSecond = 10e9;
/// Positions whose sum costs much more than to write and add one partial sum of a weight: with 512,
/// the partial sums of 64 x 64 weights of 3x3 at 56x56 cost 3 % of the whole.
constexpr int64_t kPositionsPerPartial = 512;
/// Output channels of about one task, and channels of a depthwise one along channels.
constexpr int64_t kOutputsPerTask = 32, kChannelsPerTask = 64;

/// By the shape of one sample and of the weight alone.
int64_t partials_for(const ConvProblem& p) {
  const bool is_depthwise = p.in_per_group == 1 && p.out_per_group == 1;
  const auto tasks_of = [](int64_t n, int64_t each) { return (n + each - 1) / each; };
  const int64_t tasks = is_depthwise && p.y_channel_stride == 1
                            ? tasks_of(p.n_groups, kChannelsPerTask)
                            : p.n_groups * tasks_of(p.out_per_group, kOutputsPerTask);
  const int64_t by_work = p.n_positions() / kPositionsPerPartial;
  return std::clamp<int64_t>(std::min(by_work, kEnoughTasks / tasks), 1, kMostPartials);
}

}  // namespace

void add_weight_grad(PlanImpl& plan, WeightGradProblem problem, const std::string& op) {
  ConvProblem& p = problem.conv;
  const double flops = 2.0 * static_cast<double>(p.n_batch) * p.n_positions() * p.n_out_channels() *
                       p.in_per_group * p.n_taps();
  const double values = static_cast<double>(p.n_batch) *
                        (p.n_positions() * p.n_out_channels() +
                         p.axis[0].in * p.axis[1].in * p.axis[2].in * p.n_groups * p.in_per_group);
  const double seconds =
      std::max(flops / kFlopsPerSecond, values * item_bytes(p.dtype) / kBytesPerSecond);
  plan.flops += static_cast<int64_t>(flops);
  const int64_t n = problem.n_weights();
  problem.n_partials = partials_for(p);
  canonicalize_axes(p);
  const PartialSums sums{.dtype = p.dtype, .n_partials = problem.n_partials, .n = n, .pitch = n};
  if (sums.n_partials > 1) problem.partials = reserve_partials(plan, sums);
  static const Operator& table = find_operator("conv_weight_grad");
  add_step(plan, table, p.dtype, std::make_shared<WeightGradProblem>(problem), seconds, op);
  if (sums.n_partials > 1) {
    add_partial_sums(plan, sums, problem.partials, p.w, p.w_offset);
  }
}

void add_weight_grad(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                     const Operand& dweight) {
  if (dweight.desc->n_elements() == 0) return;
  if (dy.desc->n_elements() == 0 || call.x.n_elements() == 0) {
    add_zeros(plan, dweight);
    return;
  }
  // The same call with dweight in the weight's place.
  const ConvArrays arrays{.x = call.arrays.x, .weight = dweight};
  ConvCall own = describe_conv(arrays, call.params);
  own.out = call.out;
  own.mask = call.mask;
  own.mask.has_ratio = own.mask.has_keep = own.mask.has_flags = false;  // they are in dy already
  own.mask_strides = call.mask_strides;
  const ReadableSpan span = readable_span(dy);
  for (ConvProblem p : conv_problems(own, own.arrays.x, 0, dy)) {
    p.epilogue = ConvEpilogue{};
    WeightGradProblem problem;
    problem.conv = p;
    problem.dy_low = span.low;
    problem.dy_high = span.high;
    add_weight_grad(plan, problem, call.params.op);
  }
}

}  // namespace swath
