// describe of the sliding-window convolution: validates, infers shapes, and makes the problems.
#include "ops/sliding_conv/call.h"

#include <algorithm>

#include "core/format.h"

namespace swath {
namespace {

void check_channels(ConvCall& call) {
  const int64_t all = call.x.shape[call.xmap.c];
  call.n_in = all;
  if (!call.params.has_channels) return;
  const auto [start, stop] = call.params.channels;
  if (start < 0 || stop > all || start > stop) {
    call.site.fail(ErrorCode::param, "channels",
                   format("channels is ({}, {}), x has {} channels", start, stop, all));
  }
  call.first_channel = start;
  call.n_in = stop - start;
  call.copies_others = call.params.pass_through;
  if (call.copies_others && call.n_out != call.n_in) {
    call.site.fail(
        ErrorCode::shape, "weight",
        format("weight has {} output channels, passthrough='copy' needs {} as in channels",
               call.n_out, call.n_in));
  }
}

/// Both halves of a gated weight must be there.
void set_output_channels(ConvCall& call) {
  const int64_t n = call.weight.shape[0];
  call.n_out = n;
  if (call.gate == nullptr) return;
  if (n % 2 != 0) {
    call.site.fail(ErrorCode::shape, "weight",
                   format("weight has {} output channels, needed is an even number: features and "
                          "gates",
                          n));
  }
  call.n_out = n / 2;
}

void check_weight(const ConvCall& call) {
  const TensorDesc& w = call.weight;
  const int64_t groups = call.params.groups;
  if (groups < 1 || call.n_in % std::max<int64_t>(groups, 1) != 0) {
    call.site.fail(ErrorCode::param, "groups",
                   format("groups is {}, x has {} channels to divide", groups, call.n_in));
  }
  if (call.n_out % groups != 0) {
    call.site.fail(
        ErrorCode::param, "groups",
        format("groups is {}, weight has {} output channels to divide", groups, call.n_out));
  }
  if (w.shape[1] * groups != call.n_in) {
    call.site.fail(ErrorCode::shape, "weight",
                   format("weight has {} input channels, x has {} (x.shape={}, groups={})",
                          w.shape[1], call.n_in, shape_text(call.x), groups));
  }
}

void check_padding_mode(const ConvCall& call, int axis, int64_t n, std::array<int64_t, 2> pad) {
  const int64_t most = std::max(pad[0], pad[1]);
  if (most == 0) return;
  const PaddingMode mode = call.params.padding_mode;
  const int64_t limit = mode == PaddingMode::reflect ? n - 1 : n;
  const bool is_bounded = mode == PaddingMode::reflect || mode == PaddingMode::circular;
  if (is_bounded && most > limit) {
    call.site.fail(ErrorCode::param, "padding",
                   format("padding is {} on axis {} of length {}, padding_mode {} allows {}", most,
                          axis, n, mode == PaddingMode::reflect ? "'reflect'" : "'circular'",
                          std::max<int64_t>(limit, 0)));
  }
  if (mode == PaddingMode::replicate && n == 0) {
    call.site.fail(ErrorCode::param, "padding", "padding_mode 'replicate' needs a non-empty x");
  }
}

std::vector<DilationRun> dilation_runs(const ConvCall& call) {
  const SlidingConvParams& p = call.params;
  if (p.dilation_per_channel == nullptr) return {{0, call.n_out, p.dilation}};
  if (p.n_dilation_rows != call.n_out) {
    call.site.fail(ErrorCode::shape, "dilation",
                   format("dilation has {} rows, weight has {} output channels", p.n_dilation_rows,
                          call.n_out));
  }
  std::vector<DilationRun> runs;
  for (int64_t o = 0; o < call.n_out; ++o) {
    Extents d{1, 1, 1};
    std::copy_n(p.dilation_per_channel + o * p.ndim, p.ndim, d.begin());
    if (runs.empty() || runs.back().dilation != d) runs.push_back({o, o, d});
    runs.back().end = o + 1;
  }
  return runs;
}

/// Cuts a run so that every piece is whole groups or lies within one group.
std::vector<DilationRun> cut_at_groups(const std::vector<DilationRun>& runs, int64_t per_group) {
  std::vector<DilationRun> pieces;
  for (const DilationRun& run : runs) {
    int64_t at = run.begin;
    while (at < run.end) {
      int64_t end = run.end;
      const int64_t group_end = (at / per_group + 1) * per_group;
      if (at % per_group != 0 || end < group_end) {
        end = std::min(end, group_end);
      } else {
        end = end / per_group * per_group;
      }
      pieces.push_back({at, end, run.dilation});
      at = end;
    }
  }
  return pieces;
}

std::array<int64_t, 3> run_geometry(const ConvCall& call, const Extents& dilation,
                                    std::array<int64_t, 3>& pad) {
  const SlidingConvParams& p = call.params;
  check_window(call.site, p.ndim, call.kernel, "weight", p.stride, dilation, p.padding);
  std::array<int64_t, 3> out{1, 1, 1};
  for (int i = 0; i < p.ndim; ++i) {
    const int64_t n = call.x.shape[call.xmap.spatial[i]];
    const Window window{call.kernel[i], p.stride[i], dilation[i]};
    const auto pads = resolve_padding(p.padding, i, n, window);
    check_padding_mode(call, i, n, pads);
    pad[i] = pads[0];
    out[i] = output_length(call.site, i, n, pads, window);
  }
  return out;
}

void check_same_size(const ConvCall& call) {
  const SlidingConvParams& p = call.params;
  for (int i = 0; i < p.ndim; ++i) {
    const int64_t n = call.x.shape[call.xmap.spatial[i]];
    if (p.stride[i] != 1 || call.out[i] != n) {
      call.site.fail(
          ErrorCode::param, p.stride[i] != 1 ? "stride" : "padding",
          format("{} changes axis {} from {} to {}, passthrough='copy' needs stride 1 and "
                 "an output of x's size",
                 p.stride[i] != 1 ? "stride" : "padding", i, n, call.out[i]));
    }
  }
}

/// The residual has y's shape or only the convolved channels.
bool covers_all_channels(const ConvCall& call) {
  return call.copies_others &&
         call.arrays.residual.desc->shape[call.xmap.c] == call.x.shape[call.xmap.c];
}

void check_residual(const ConvCall& call) {
  const TensorDesc* residual = call.arrays.residual.desc;
  if (residual == nullptr) return;
  check_same_kind(call.site, call.x, *residual, "residual");
  TensorDesc y = call.x;
  y.shape = call.y_shape();
  TensorDesc narrow = y;
  narrow.shape[call.xmap.c] = call.n_out;
  const auto same = [&](const TensorDesc& d) {
    return residual->rank == d.rank &&
           std::equal(d.shape.begin(), d.shape.begin() + d.rank, residual->shape.begin());
  };
  if (same(y) || same(narrow)) return;
  call.site.fail(
      ErrorCode::shape, "residual",
      format("residual has shape {}, needed is {} as y", shape_text(*residual), shape_text(y)));
}

ConvEpilogue make_epilogue(const ConvCall& call) {
  const SlidingConvParams& p = call.params;
  const ConvArrays& a = call.arrays;
  ConvEpilogue e;
  describe_channel_arrays(call.site, call.x, call.weight.shape[0],
                          {a.bias.desc, a.scale.desc, a.shift.desc}, e);
  e.bias = a.bias.ref;
  e.scale = a.scale.ref;
  e.shift = a.shift.ref;
  e.bias_offset = a.bias.offset;
  e.scale_offset = a.scale.offset;
  e.shift_offset = a.shift.offset;
  e.activation = p.activation;
  e.activation_value = p.activation_value;
  e.residual_first = p.residual_before_activation;
  if (call.gate != nullptr) {
    e.has_gate = true;
    e.gate = call.gate->gate;
    e.gate_value = call.gate->gate_value;
    e.gate_channels = call.gate->gate_first ? -call.n_out : call.n_out;
    e.residual_first = false;
  }
  if (a.residual.desc == nullptr) return e;
  e.has_residual = true;
  e.residual = a.residual.ref;
  e.residual_channel_stride = a.residual.desc->strides[call.xmap.c];
  e.residual_batch_stride = call.batch_stride(*a.residual.desc);
  e.residual_offset = a.residual.offset;
  if (covers_all_channels(call)) {
    e.residual_offset += call.first_channel * e.residual_channel_stride;
  }
  return e;
}

/// The problem of the whole call, before it is cut into runs of one dilation.
ConvProblem make_problem(const ConvCall& call, const Operand& x, int64_t x_first,
                         const Operand& y) {
  const SlidingConvParams& p = call.params;
  const TensorDesc* residual = call.arrays.residual.desc;
  ConvProblem c;
  c.dtype = call.x.dtype;
  if (p.padding_mode != PaddingMode::partial) c.padding_mode = p.padding_mode;
  c.n_batch = call.n_batch;
  c.in_per_group = call.weight.shape[1];
  c.x = x.ref;
  c.w = call.arrays.weight.ref;
  c.y = y.ref;
  c.x_batch_stride = call.batch_stride(*x.desc);
  c.x_channel_stride = x.desc->strides[call.xmap.c];
  c.x_offset = x.offset + (call.first_channel - x_first) * c.x_channel_stride;
  c.y_batch_stride = call.batch_stride(*y.desc);
  c.y_channel_stride = y.desc->strides[call.xmap.c];
  c.y_offset = y.offset + (call.copies_others ? call.first_channel * c.y_channel_stride : 0);
  c.w_offset = call.arrays.weight.offset;
  c.w_out_stride = call.weight.strides[0];
  c.w_in_stride = call.weight.strides[1];
  c.epilogue = make_epilogue(call);
  c.mask = call.mask;
  const ReadableSpan span = readable_span(x);
  c.x_low = span.low;
  c.x_high = span.high;
  for (int i = 0; i < p.ndim; ++i) {
    ConvAxis& a = c.axis[3 - p.ndim + i];
    const int at = call.xmap.spatial[i];
    a = {.in = call.x.shape[at],
         .out = call.out[i],
         .kernel = call.kernel[i],
         .stride = p.stride[i],
         .dilation = 1,
         .pad = 0,
         .x_stride = x.desc->strides[at],
         .w_stride = call.weight.strides[2 + i],
         .y_stride = y.desc->strides[at],
         .residual_stride = residual != nullptr ? residual->strides[at] : 0,
         .mask_stride = call.mask_strides[i]};
  }
  return c;
}

/// Output channels [begin, end) of `whole`, with their dilation.
ConvProblem cut_problem(const ConvCall& call, const ConvProblem& whole, const DilationRun& run) {
  const int64_t per_group = call.n_out / call.params.groups;
  ConvProblem c = whole;
  const int64_t n = run.end - run.begin;
  c.n_groups = std::max<int64_t>(n / per_group, 1);
  c.out_per_group = std::min(n, per_group);
  c.w_group_stride = per_group * c.w_out_stride;
  c.w_offset += run.begin * c.w_out_stride;
  c.x_offset += run.begin / per_group * c.in_per_group * c.x_channel_stride;
  c.y_offset += run.begin * c.y_channel_stride;
  ConvEpilogue& e = c.epilogue;
  // With gate_first the features are the second half of the weight's channels.
  const int64_t first = run.begin + (e.gate_channels < 0 ? call.n_out : 0);
  c.w_offset += (first - run.begin) * c.w_out_stride;
  e.bias_offset += first * e.bias_stride;
  e.scale_offset += first * e.scale_stride;
  e.shift_offset += first * e.shift_stride;
  e.residual_offset += run.begin * e.residual_channel_stride;
  std::array<int64_t, 3> pad{};
  run_geometry(call, run.dilation, pad);
  for (int i = 0; i < call.params.ndim; ++i) {
    ConvAxis& a = c.axis[3 - call.params.ndim + i];
    a.dilation = run.dilation[i];
    a.pad = pad[i];
  }
  return c;
}

void set_geometry(ConvCall& call) {
  call.runs = dilation_runs(call);
  for (size_t i = 0; i < call.runs.size(); ++i) {
    std::array<int64_t, 3> pad{};
    const auto out = run_geometry(call, call.runs[i].dilation, pad);
    if (i > 0 && out != call.out) {
      call.site.fail(ErrorCode::shape, "dilation",
                     "dilation gives output channels different sizes, use padding='same'");
    }
    call.out = out;
  }
  if (call.runs.empty()) {
    std::array<int64_t, 3> pad{};
    call.out = run_geometry(call, call.params.dilation, pad);
  }
}

}  // namespace

ConvArrays conv_inputs(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                       const TensorDesc* scale, const TensorDesc* shift,
                       const TensorDesc* residual) {
  return {{&x, input_ref(kConvX)},        {&weight, input_ref(kConvWeight)},
          {bias, input_ref(kConvBias)},   {scale, input_ref(kConvScale)},
          {shift, input_ref(kConvShift)}, {residual, input_ref(kConvResidual)}};
}

std::array<int64_t, kMaxRank> ConvCall::y_shape() const {
  std::array<int64_t, kMaxRank> shape{};
  if (xmap.n >= 0) shape[xmap.n] = n_batch;
  shape[xmap.c] = copies_others ? x.shape[xmap.c] : n_out;
  for (int i = 0; i < params.ndim; ++i) shape[xmap.spatial[i]] = out[i];
  return shape;
}

std::array<int64_t, 3> padding_before(const ConvCall& call, const Extents& dilation) {
  std::array<int64_t, 3> pad{};
  run_geometry(call, dilation, pad);
  return pad;
}

ConvCall describe_conv(const ConvArrays& arrays, const SlidingConvParams& params,
                       const ConvGate* gate) {
  const CallSite site{params.op};
  const TensorDesc &x = *arrays.x.desc, &weight = *arrays.weight.desc;
  check_floating(site, x);
  check_same_kind(site, x, weight, "weight");
  ConvCall call{.site = site,
                .arrays = arrays,
                .x = x,
                .weight = weight,
                .params = params,
                .gate = gate,
                .xmap = map_axes(site, x, params.ndim, params.layout, "x"),
                .runs = {},
                .mask = {}};
  if (weight.rank != params.ndim + 2) {
    site.fail(ErrorCode::shape, "weight",
              format("weight has {} axes {}, needed are {}: (C_out, C_in/groups, *kernel)",
                     weight.rank, shape_text(weight), params.ndim + 2));
  }
  call.n_batch = call.xmap.n >= 0 ? x.shape[call.xmap.n] : 1;
  set_output_channels(call);
  for (int i = 0; i < params.ndim; ++i) call.kernel[i] = weight.shape[2 + i];
  check_channels(call);
  check_weight(call);
  set_geometry(call);
  if (call.copies_others) check_same_size(call);
  check_residual(call);
  make_epilogue(call);  // checks the arrays of one value per channel
  return call;
}

std::vector<DilationRun> conv_pieces(const ConvCall& call) {
  return cut_at_groups(call.runs, call.n_out / call.params.groups);
}

std::vector<ConvProblem> conv_problems(const ConvCall& call, const Operand& x, int64_t x_first,
                                       const Operand& y) {
  std::vector<ConvProblem> problems;
  if (call.n_out == 0) return problems;
  const ConvProblem whole = make_problem(call, x, x_first, y);
  for (const DilationRun& run : conv_pieces(call)) {
    problems.push_back(cut_problem(call, whole, run));
  }
  return problems;
}

}  // namespace swath
