#include "ops/sliding_conv/describe.h"

#include <algorithm>
#include <utility>

#include "core/format.h"

namespace swath {
namespace {

// What one thread does per second, for deciding about threads and the GIL; orders of magnitude.
constexpr double kFlopsPerSecond = 40e9;
constexpr double kBytesPerSecond = 10e9;

bool is_trivial(const ConvAxis& a) {
  return a.in == 1 && a.out == 1 && a.kernel == 1 && a.pad == 0;
}

bool is_pointwise(const ConvAxis& a) {
  return a.kernel == 1 && a.stride == 1 && a.pad == 0 && a.in == a.out;
}

bool can_merge(const ConvAxis& outer, const ConvAxis& inner) {
  return is_pointwise(outer) && is_pointwise(inner) &&
         outer.x_stride == inner.in * inner.x_stride &&
         outer.y_stride == inner.in * inner.y_stride &&
         outer.residual_stride == inner.in * inner.residual_stride &&
         outer.mask_stride == inner.in * inner.mask_stride;
}

}  // namespace

void describe_channel_arrays(const CallSite& site, const TensorDesc& x, int64_t n_out,
                             const ChannelArrays& arrays, ConvEpilogue& epilogue) {
  const auto describe = [&](const TensorDesc* a, const char* arg, bool& has, int64_t& stride) {
    if (a == nullptr) return;
    check_same_kind(site, x, *a, arg);
    if (a->rank != 1 || a->shape[0] != n_out) {
      site.fail(ErrorCode::shape, arg,
                format("{} has shape {}, needed is ({},): one value per output channel", arg,
                       shape_text(*a), n_out));
    }
    has = true;
    stride = a->strides[0];
  };
  describe(arrays.bias, "bias", epilogue.has_bias, epilogue.bias_stride);
  describe(arrays.scale, "scale", epilogue.has_scale, epilogue.scale_stride);
  describe(arrays.shift, "shift", epilogue.has_shift, epilogue.shift_stride);
}

ReadableSpan readable_span(const Operand& x) {
  ReadableSpan span{x.offset, x.offset + 1};
  for (int i = 0; i < x.desc->rank; ++i) {
    const int64_t reach = (x.desc->shape[i] - 1) * x.desc->strides[i];
    (reach < 0 ? span.low : span.high) += reach;
  }
  return span;
}

void canonicalize_axes(ConvProblem& problem) {
  ConvAxis* axis = problem.axis;
  int merges_left = 2;  // of three axes; those of one element without strides merge for ever
  for (int i = 2; i > 0 && merges_left > 0; --i) {
    if (!can_merge(axis[i - 1], axis[i])) continue;
    --merges_left;
    axis[i].in = axis[i].out = axis[i - 1].in * axis[i].in;
    for (int j = i - 1; j > 0; --j) axis[j] = axis[j - 1];
    axis[0] = ConvAxis{};
    if (i < 2) break;
    ++i;  // the merged axis may merge with its next outer one
  }
  std::stable_partition(axis, axis + 3, is_trivial);
}

void add_conv_step(PlanImpl& plan, ConvProblem problem, const std::string& op, int same_weights) {
  const double halves = problem.epilogue.has_gate ? 2 : 1;
  const double flops = halves * 2.0 * static_cast<double>(problem.n_batch) * problem.n_positions() *
                       problem.n_out_channels() * problem.in_per_group * problem.n_taps();
  const double values = static_cast<double>(problem.n_batch) *
                        (problem.n_positions() * problem.n_out_channels() +
                         problem.axis[0].in * problem.axis[1].in * problem.axis[2].in *
                             problem.n_groups * problem.in_per_group);
  const double seconds =
      std::max(flops / kFlopsPerSecond, values * item_bytes(problem.dtype) / kBytesPerSecond);
  plan.flops += static_cast<int64_t>(flops);
  canonicalize_axes(problem);
  static const Operator& table = find_operator("sliding_conv");
  add_step(plan, table, problem.dtype, std::make_shared<ConvProblem>(problem), seconds, op,
           same_weights);
}

}  // namespace swath
