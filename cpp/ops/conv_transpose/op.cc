// The transposed convolution: the adjoint of the convolution with the same arguments. Each residue
// of the output position modulo the stride sees a fixed subset of the taps, and with those it is an
// ordinary convolution of stride 1 with flipped taps. So it is a sequence of sliding_conv steps
// over strided views of weight and output; nothing is copied and no zero is multiplied.
#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include <swath/ops/sliding_conv.h>

#include "core/format.h"
#include "ops/conv_transpose/call.h"

namespace swath {
namespace {

/// One residue of one axis: taps first_tap, first_tap + tap_step, ... and outputs first_out,
/// first_out + stride, ...
struct Phase {
  int64_t first_out, n_out;
  int64_t first_tap, tap_step, n_taps;
  int64_t dilation, pad;

  int64_t last_tap() const { return first_tap + (n_taps - 1) * tap_step; }
};

/// The phases that some tap reaches, in order of their residue.
std::vector<Phase> phases_of(const TransposedAxis& a) {
  const int64_t common = std::gcd(a.stride, a.dilation);
  const int64_t tap_step = a.stride / common;
  std::vector<Phase> phases;
  for (int64_t first = 0; first < std::min(tap_step, a.kernel); ++first) {
    const int64_t residue = a.residue_of(first);
    if (residue >= a.out) continue;
    Phase phase{residue,  (a.out - residue + a.stride - 1) / a.stride,  first,
                tap_step, (a.kernel - first + tap_step - 1) / tap_step, a.dilation / common,
                0};
    // Flipped, tap 0 of the ordinary convolution is the last original tap.
    phase.pad = -((residue + a.pad - phase.last_tap() * a.dilation) / a.stride);
    phases.push_back(phase);
  }
  return phases;
}

/// The convolution of "same_tf" is that of stride * in elements, as frameworks upsample.
std::array<int64_t, 2> padding_of(const Padding& padding, int axis, const TransposedAxis& a) {
  const int64_t most = std::numeric_limits<int64_t>::max() / a.stride;
  return resolve_padding(padding, axis, std::min(a.in, most) * a.stride,
                         {a.kernel, a.stride, a.dilation});
}

int64_t output_length(const CallSite& site, int axis, const TransposedAxis& a, int64_t pad_after,
                      int64_t extra) {
  if (extra < 0 || extra >= std::max(a.stride, a.dilation)) {
    site.fail(ErrorCode::param, "output_padding",
              format("output_padding is {} on axis {}, needed is a number >= 0 and below "
                     "max(stride, dilation) = {}",
                     extra, axis, std::max(a.stride, a.dilation)));
  }
  if (a.in == 0) return 0;
  if (static_cast<double>(a.in) * static_cast<double>(a.stride) > 1e15) {
    site.fail(
        ErrorCode::out_of_memory, "stride",
        format("stride {} on axis {} gives an output larger than any memory", a.stride, axis));
  }
  const int64_t length =
      (a.in - 1) * a.stride - a.pad - pad_after + a.dilation * (a.kernel - 1) + 1 + extra;
  if (length < 1) {
    site.fail(ErrorCode::shape, "padding",
              format("padding leaves {} outputs on axis {}, needed is at least 1", length, axis));
  }
  return length;
}

}  // namespace

TransposedCall describe_conv_transpose(const TransposedArrays& arrays,
                                       const ConvTransposeParams& p) {
  const CallSite site{p.op};
  const TensorDesc &x = *arrays.x.desc, &weight = *arrays.weight.desc;
  check_floating(site, x);
  check_same_kind(site, x, weight, "weight");
  TransposedCall call{
      .site = site, .arrays = arrays, .params = p, .map = map_axes(site, x, p.ndim, p.layout, "x")};
  const AxisMap& map = call.map;
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
  if (map.n >= 0) call.y_shape[map.n] = x.shape[map.n];
  call.y_shape[map.c] = weight.shape[1] * p.groups;
  for (int i = 0; i < p.ndim; ++i) {
    const int64_t n = x.shape[map.spatial[i]];
    call.axes[i] = {n, 1, kernel[i], p.stride[i], p.dilation[i], 0};
    const auto pad = call.pads.pairs[i] = padding_of(p.padding, i, call.axes[i]);
    call.axes[i].pad = pad[0];
    call.axes[i].out = call.y_shape[map.spatial[i]] =
        output_length(site, i, call.axes[i], pad[1], p.output_padding[i]);
  }
  ConvEpilogue unused;
  describe_channel_arrays(site, x, call.y_shape[map.c], {.bias = arrays.bias.desc}, unused);
  return call;
}

namespace {

/// What all phases share.
ConvProblem whole_problem(const TransposedCall& call, const Operand& y) {
  const TransposedArrays& arrays = call.arrays;
  const TensorDesc &x = *arrays.x.desc, &weight = *arrays.weight.desc;
  const AxisMap& map = call.map;
  ConvProblem c;
  describe_channel_arrays(call.site, x, call.y_shape[map.c], {.bias = arrays.bias.desc},
                          c.epilogue);
  c.epilogue.bias = arrays.bias.ref;
  c.epilogue.bias_offset = arrays.bias.offset;
  c.dtype = x.dtype;
  c.x = arrays.x.ref;
  c.w = arrays.weight.ref;
  c.y = y.ref;
  c.n_batch = map.n >= 0 ? x.shape[map.n] : 1;
  c.n_groups = call.params.groups;
  c.in_per_group = x.shape[map.c] / call.params.groups;
  c.out_per_group = weight.shape[1];
  c.x_batch_stride = map.n >= 0 ? x.strides[map.n] : 0;
  c.x_channel_stride = x.strides[map.c];
  c.y_batch_stride = map.n >= 0 ? y.desc->strides[map.n] : 0;
  c.y_channel_stride = y.desc->strides[map.c];
  c.w_group_stride = c.in_per_group * weight.strides[0];
  c.w_in_stride = weight.strides[0];
  c.w_out_stride = weight.strides[1];
  c.x_offset = arrays.x.offset;
  c.y_offset = y.offset;
  c.w_offset = arrays.weight.offset;
  const ReadableSpan span = readable_span(arrays.x);
  c.x_low = span.low;
  c.x_high = span.high;
  return c;
}

void add_fill(PlanImpl& plan, const TransposedCall& call, const ConvProblem& whole,
              const Operand& y) {
  FillProblem fill{.item_bytes = item_bytes(whole.dtype),
                   .n_batch = whole.n_batch,
                   .n_channels = call.y_shape[call.map.c],
                   .batch_stride = whole.y_batch_stride,
                   .channel_stride = whole.y_channel_stride,
                   .bias_stride = whole.epilogue.bias_stride,
                   .has_bias = whole.epilogue.has_bias,
                   .bias = whole.epilogue.bias,
                   .y = y.ref,
                   .bias_offset = whole.epilogue.bias_offset,
                   .y_offset = y.offset};
  for (int i = 0; i < call.params.ndim; ++i) {
    fill.shape[i] = y.desc->shape[call.map.spatial[i]];
    fill.strides[i] = y.desc->strides[call.map.spatial[i]];
  }
  add_fill_step(plan, fill);
}

/// `whole` cut down to one phase of each axis.
ConvProblem phase_problem(const TransposedCall& call, const ConvProblem& whole, const Operand& y,
                          const std::array<const Phase*, 3>& phase) {
  const TensorDesc &x = *call.arrays.x.desc, &weight = *call.arrays.weight.desc;
  ConvProblem c = whole;
  const int ndim = call.params.ndim;
  for (int i = 0; i < ndim; ++i) {
    const int at = call.map.spatial[i];
    const Phase& f = *phase[i];
    const int64_t w_stride = weight.strides[2 + i];
    c.axis[3 - ndim + i] = {.in = x.shape[at],
                            .out = f.n_out,
                            .kernel = f.n_taps,
                            .stride = 1,
                            .dilation = f.dilation,
                            .pad = f.pad,
                            .x_stride = x.strides[at],
                            .w_stride = -f.tap_step * w_stride,
                            .y_stride = call.params.stride[i] * y.desc->strides[at]};
    c.axis[3 - ndim + i].residual_stride = c.axis[3 - ndim + i].y_stride;
    c.y_offset += f.first_out * y.desc->strides[at];
    c.epilogue.residual_offset = c.y_offset;
    c.w_offset += f.last_tap() * w_stride;
  }
  return c;
}

}  // namespace

void add_conv_transpose(PlanImpl& plan, const TransposedCall& call, const Operand& y,
                        bool accumulate) {
  if (y.desc->n_elements() == 0) return;
  ConvProblem whole = whole_problem(call, y);
  // y is its own residual: each element is read right before the same task writes it.
  whole.epilogue.has_residual = accumulate;
  whole.epilogue.residual = y.ref;
  whole.epilogue.residual_batch_stride = whole.y_batch_stride;
  whole.epilogue.residual_channel_stride = whole.y_channel_stride;
  std::array<std::vector<Phase>, 3> phases;
  bool has_gaps = whole.in_per_group == 0;  // outputs that no tap reaches
  for (int i = 0; i < 3; ++i) {
    const TransposedAxis& a = call.axes[i];
    phases[i] = phases_of(a);
    has_gaps |= static_cast<int64_t>(phases[i].size()) < std::min(a.stride, a.out);
  }
  if (has_gaps && !accumulate) add_fill(plan, call, whole, y);
  if (whole.in_per_group == 0) return;
  for (const Phase& f0 : phases[0]) {
    for (const Phase& f1 : phases[1]) {
      for (const Phase& f2 : phases[2]) {
        add_conv_step(plan, phase_problem(call, whole, y, {&f0, &f1, &f2}), call.params.op);
      }
    }
  }
}

Plan plan_conv_transpose(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                         const ConvTransposeParams& params, const PlanOptions& options) {
  const TransposedArrays arrays{
      {&x, input_ref(kConvX)}, {&weight, input_ref(kConvWeight)}, {bias, input_ref(kConvBias)}};
  const TransposedCall call = describe_conv_transpose(arrays, params);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  const TensorDesc y = output_desc(call.site, x, call.y_shape.data(), x.rank, options.out);
  plan->outputs = {y};
  plan->bytes = item_bytes(x.dtype) * (x.n_elements() + y.n_elements() + weight.n_elements());
  add_conv_transpose(*plan, call, {&y, output_ref(0)});
  return Plan(std::move(plan));
}

}  // namespace swath
