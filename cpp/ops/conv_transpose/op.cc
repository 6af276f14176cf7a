// The transposed convolution: the adjoint of the convolution with the same arguments. Each residue
// of the output position modulo the stride sees a fixed subset of the taps, and with those it is an
// ordinary convolution of stride 1 with flipped taps. So it is a sequence of sliding_conv steps over
// strided views of weight and output; nothing is copied and no zero is multiplied.
#include <algorithm>
#include <numeric>

#include <swath/ops/sliding_conv.h>

#include "core/format.h"
#include "ops/sliding_conv/describe.h"

namespace swath {
namespace {

/// One residue of one axis: taps first_tap, first_tap + tap_step, ... and outputs first_out,
/// first_out + stride, ...
struct Phase {
  int64_t first_out, n_out;
  int64_t first_tap, tap_step, n_taps;
  int64_t dilation, pad;
};

Phase make_phase(int64_t residue, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                 int64_t pad) {
  const int64_t common = std::gcd(stride, dilation);
  Phase phase{residue, (out - residue + stride - 1) / stride, 0, stride / common, 0,
              dilation / common, 0};
  // Tap t reaches output p from input (p + pad - t dilation) / stride, where that is whole.
  int64_t first = 0;
  while (first < phase.tap_step && (residue + pad - first * dilation) % stride != 0) ++first;
  if (first == phase.tap_step || first >= kernel) return phase;
  phase.first_tap = first;
  phase.n_taps = (kernel - first + phase.tap_step - 1) / phase.tap_step;
  // Flipped, tap m of the ordinary convolution is original tap first + (n_taps - 1 - m) tap_step.
  const int64_t last = first + (phase.n_taps - 1) * phase.tap_step;
  phase.pad = -((residue + pad - last * dilation) / stride);
  return phase;
}

}  // namespace

Plan plan_conv_transpose(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                         const ConvTransposeParams& p, const PlanOptions& options) {
  const CallSite site{p.op};
  check_floating(site, x);
  check_same_kind(site, x, weight, "weight");
  const AxisMap map = map_axes(site, x, p.ndim, p.layout, "x");
  if (weight.rank != p.ndim + 2) {
    site.fail(ErrorCode::shape, "weight",
              format("weight has {} axes {}, needed are {}: (C_in, C_out/groups, *kernel)",
                     weight.rank, shape_text(weight), p.ndim + 2));
  }
  const int64_t n_in = x.shape[map.c];
  if (weight.shape[0] != n_in) {
    site.fail(ErrorCode::shape, "weight",
              format("weight has {} input channels, x has {} (x.shape={})", weight.shape[0], n_in,
                     shape_text(x)));
  }
  if (p.groups < 1 || n_in % p.groups != 0) {
    site.fail(ErrorCode::param, "groups",
              format("groups is {}, x has {} channels to divide", p.groups, n_in));
  }
  Extents kernel{1, 1, 1};
  for (int i = 0; i < p.ndim; ++i) kernel[i] = weight.shape[2 + i];
  check_window(site, p.ndim, kernel, "weight", p.stride, p.dilation, p.padding);

  std::array<int64_t, kMaxRank> shape{};
  const int64_t n_batch = map.n >= 0 ? x.shape[map.n] : 1;
  const int64_t n_out = weight.shape[1] * p.groups;
  if (map.n >= 0) shape[map.n] = n_batch;
  shape[map.c] = n_out;
  for (int i = 0; i < p.ndim; ++i) {
    const int64_t extra = p.output_padding[i];
    if (extra < 0 || extra >= std::max(p.stride[i], p.dilation[i])) {
      site.fail(ErrorCode::param, "output_padding",
                format("output_padding is {} on axis {}, needed is a number >= 0 and below "
                       "max(stride, dilation) = {}",
                       extra, i, std::max(p.stride[i], p.dilation[i])));
    }
    const int64_t n = x.shape[map.spatial[i]];
    const auto pad = resolve_padding(p.padding, i, n, {kernel[i], p.stride[i], p.dilation[i]});
    const int64_t length = n == 0 ? 0
                                  : (n - 1) * p.stride[i] - pad[0] - pad[1] +
                                        p.dilation[i] * (kernel[i] - 1) + 1 + extra;
    if (length < 0 || (length == 0 && n > 0)) {
      site.fail(ErrorCode::shape, "padding",
                format("padding leaves {} outputs on axis {}, needed is at least 1", length, i));
    }
    shape[map.spatial[i]] = length;
  }

  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  const TensorDesc y = output_desc(site, x, shape.data(), x.rank, options.out);
  plan->outputs = {y};
  plan->bytes = item_bytes(x.dtype) * (x.n_elements() + y.n_elements() + weight.n_elements());
  ConvProblem whole;
  describe_channel_arrays(site, x, n_out, {.bias = bias}, whole.epilogue);
  if (y.n_elements() == 0) return Plan(std::move(plan));

  whole.dtype = x.dtype;
  whole.n_batch = n_batch;
  whole.n_groups = p.groups;
  whole.in_per_group = n_in / p.groups;
  whole.out_per_group = weight.shape[1];
  whole.x_batch_stride = map.n >= 0 ? x.strides[map.n] : 0;
  whole.x_channel_stride = x.strides[map.c];
  whole.y_batch_stride = map.n >= 0 ? y.strides[map.n] : 0;
  whole.y_channel_stride = y.strides[map.c];
  whole.w_group_stride = whole.in_per_group * weight.strides[0];
  whole.w_in_stride = weight.strides[0];
  whole.w_out_stride = weight.strides[1];
  whole.epilogue.activation = p.activation;
  whole.epilogue.activation_value = p.activation_value;
  set_readable_span(x, whole);

  Extents n_phases{1, 1, 1};
  for (int i = 0; i < p.ndim; ++i) {
    n_phases[i] = std::min(p.stride[i], y.shape[map.spatial[i]]);
  }
  for (int64_t index = 0; index < n_phases[0] * n_phases[1] * n_phases[2]; ++index) {
    const int64_t residue[3] = {index / (n_phases[1] * n_phases[2]),
                                index / n_phases[2] % n_phases[1], index % n_phases[2]};
    ConvProblem c = whole;
    for (int i = 0; i < p.ndim; ++i) {
      const int at = map.spatial[i];
      const auto pad = resolve_padding(p.padding, i, x.shape[at],
                                       {kernel[i], p.stride[i], p.dilation[i]});
      const Phase phase = make_phase(residue[i], y.shape[at], kernel[i], p.stride[i],
                                     p.dilation[i], pad[0]);
      const int64_t w_stride = weight.strides[2 + i];
      const int64_t last_tap = phase.first_tap + (phase.n_taps - 1) * phase.tap_step;
      c.axis[3 - p.ndim + i] = {.in = x.shape[at], .out = phase.n_out, .kernel = phase.n_taps,
                                .stride = 1, .dilation = phase.dilation, .pad = phase.pad,
                                .x_stride = x.strides[at], .w_stride = -phase.tap_step * w_stride,
                                .y_stride = p.stride[i] * y.strides[at]};
      c.y_offset += phase.first_out * y.strides[at];
      if (phase.n_taps > 0) c.w_offset += last_tap * w_stride;
    }
    if (c.n_taps() == 0) {
      // No tap reaches these outputs: a convolution without input channels is the bias alone.
      c.in_per_group = 0;
      for (ConvAxis& a : c.axis) a.kernel = 1;
    }
    canonicalize_axes(c);
    add_conv_step(*plan, c, p.op);
  }
  return Plan(std::move(plan));
}

}  // namespace swath
