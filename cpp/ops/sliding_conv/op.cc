// describe of the sliding-window convolution: validates, infers shapes, and cuts the call into
// steps.
#include <swath/ops/sliding_conv.h>

#include <algorithm>
#include <vector>

#include "core/format.h"
#include "ops/sliding_conv/describe.h"

namespace swath {
namespace {

/// Everything about one call that its steps share.
struct Call {
  CallSite site;
  const TensorDesc& x;
  const TensorDesc& weight;
  const SlidingConvParams& params;
  AxisMap xmap;
  int64_t n_batch = 1, n_in = 0, n_out = 0;  // n_in: convolved input channels
  int64_t first_channel = 0;                 // of the convolved range
  bool copies_others = false;                // pass-through channels are part of y
  Extents kernel{1, 1, 1};
  std::array<int64_t, 3> out{1, 1, 1};
};

void check_channels(Call& call) {
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

void check_weight(const Call& call) {
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

void check_padding_mode(const Call& call, int axis, int64_t n, std::array<int64_t, 2> pad) {
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

/// A run of output channels that share their dilation.
struct DilationRun {
  int64_t begin, end;
  Extents dilation;
};

std::vector<DilationRun> dilation_runs(const Call& call) {
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

std::array<int64_t, 3> run_geometry(const Call& call, const Extents& dilation,
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

void check_same_size(const Call& call) {
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

TensorDesc make_output(const Call& call, const PlanOptions& options) {
  std::array<int64_t, kMaxRank> shape{};
  if (call.xmap.n >= 0) shape[call.xmap.n] = call.n_batch;
  shape[call.xmap.c] = call.copies_others ? call.x.shape[call.xmap.c] : call.n_out;
  for (int i = 0; i < call.params.ndim; ++i) shape[call.xmap.spatial[i]] = call.out[i];
  return output_desc(call.site, call.x, shape.data(), call.x.rank, options.out);
}

int64_t batch_stride(const Call& call, const TensorDesc& d) {
  return call.xmap.n >= 0 ? d.strides[call.xmap.n] : 0;
}

/// The epilogue of the convolved channels; the residual has y's shape or only those channels.
ConvEpilogue make_epilogue(const Call& call, const TensorDesc& y, const ChannelArrays& arrays,
                           const TensorDesc* residual) {
  const SlidingConvParams& p = call.params;
  ConvEpilogue e;
  describe_channel_arrays(call.site, call.x, call.n_out, arrays, e);
  e.activation = p.activation;
  e.activation_value = p.activation_value;
  e.residual_first = p.residual_before_activation;
  if (residual == nullptr) return e;
  check_same_kind(call.site, call.x, *residual, "residual");
  TensorDesc narrow = y;
  narrow.shape[call.xmap.c] = call.n_out;
  const auto same = [&](const TensorDesc& d) {
    return residual->rank == d.rank &&
           std::equal(d.shape.begin(), d.shape.begin() + d.rank, residual->shape.begin());
  };
  if (!same(y) && !same(narrow)) {
    call.site.fail(
        ErrorCode::shape, "residual",
        format("residual has shape {}, needed is {} as y", shape_text(*residual), shape_text(y)));
  }
  e.has_residual = true;
  e.residual_channel_stride = residual->strides[call.xmap.c];
  e.residual_batch_stride = batch_stride(call, *residual);
  if (call.copies_others && same(y)) {
    e.residual_offset = call.first_channel * e.residual_channel_stride;
  }
  return e;
}

/// The problem of the whole call, before it is cut into runs of one dilation.
ConvProblem make_problem(const Call& call, const TensorDesc& x, int64_t x_offset,
                         const TensorDesc& y, const ConvEpilogue& epilogue,
                         const TensorDesc* residual) {
  const SlidingConvParams& p = call.params;
  ConvProblem c;
  c.dtype = x.dtype;
  c.padding_mode = p.padding_mode;
  c.n_batch = call.n_batch;
  c.in_per_group = call.weight.shape[1];
  c.x_offset = x_offset;
  c.x_batch_stride = batch_stride(call, x);
  c.x_channel_stride = x.strides[call.xmap.c];
  c.y_batch_stride = batch_stride(call, y);
  c.y_channel_stride = y.strides[call.xmap.c];
  c.y_offset = call.copies_others ? call.first_channel * c.y_channel_stride : 0;
  c.w_out_stride = call.weight.strides[0];
  c.w_in_stride = call.weight.strides[1];
  c.epilogue = epilogue;
  set_readable_span(x, c);
  for (int i = 0; i < p.ndim; ++i) {
    ConvAxis& a = c.axis[3 - p.ndim + i];
    const int at = call.xmap.spatial[i];
    a = {.in = x.shape[at],
         .out = call.out[i],
         .kernel = call.kernel[i],
         .stride = p.stride[i],
         .dilation = 1,
         .pad = 0,
         .x_stride = x.strides[at],
         .w_stride = call.weight.strides[2 + i],
         .y_stride = y.strides[at],
         .residual_stride = residual != nullptr ? residual->strides[at] : 0};
  }
  return c;
}

/// Output channels [begin, end) of `whole`, with their dilation.
ConvProblem cut_problem(const Call& call, const ConvProblem& whole, const DilationRun& run) {
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
  e.bias_offset += run.begin * e.bias_stride;
  e.scale_offset += run.begin * e.scale_stride;
  e.shift_offset += run.begin * e.shift_stride;
  e.residual_offset += run.begin * e.residual_channel_stride;
  std::array<int64_t, 3> pad{};
  run_geometry(call, run.dilation, pad);
  for (int i = 0; i < call.params.ndim; ++i) {
    ConvAxis& a = c.axis[3 - call.params.ndim + i];
    a.dilation = run.dilation[i];
    a.pad = pad[i];
  }
  canonicalize_axes(c);
  return c;
}

/// Copies the channels that are not convolved; an in-place call leaves them where they are.
void add_pass_through(PlanImpl& plan, const Call& call, const TensorDesc& y) {
  const int c = call.xmap.c;
  const int64_t all = call.x.shape[c];
  const int64_t ranges[2][2] = {{0, call.first_channel}, {call.first_channel + call.n_in, all}};
  for (const auto& [begin, end] : ranges) {
    if (begin == end) continue;
    CopyProblem copy{.from = call.x,
                     .to = y,
                     .from_offset = begin * call.x.strides[c],
                     .to_offset = begin * y.strides[c]};
    copy.from.shape[c] = copy.to.shape[c] = end - begin;
    add_copy_step(plan, copy);
  }
}

/// An in-place call reads a copy of the convolved channels. Returns the copy's description.
TensorDesc add_input_copy(PlanImpl& plan, const Call& call) {
  const int c = call.xmap.c;
  TensorDesc from = call.x;
  from.shape[c] = call.n_in;
  return add_temp_copy(plan, from, kConvX, call.first_channel * call.x.strides[c]);
}

}  // namespace

Plan plan_sliding_conv(const TensorDesc& x, const TensorDesc& weight, const TensorDesc* bias,
                       const TensorDesc* scale, const TensorDesc* shift, const TensorDesc* residual,
                       const SlidingConvParams& params, const PlanOptions& options) {
  const CallSite site{params.op};
  check_floating(site, x);
  check_same_kind(site, x, weight, "weight");
  Call call{.site = site,
            .x = x,
            .weight = weight,
            .params = params,
            .xmap = map_axes(site, x, params.ndim, params.layout, "x")};
  if (weight.rank != params.ndim + 2) {
    site.fail(ErrorCode::shape, "weight",
              format("weight has {} axes {}, needed are {}: (C_out, C_in/groups, *kernel)",
                     weight.rank, shape_text(weight), params.ndim + 2));
  }
  call.n_batch = call.xmap.n >= 0 ? x.shape[call.xmap.n] : 1;
  call.n_out = weight.shape[0];
  for (int i = 0; i < params.ndim; ++i) call.kernel[i] = weight.shape[2 + i];
  check_channels(call);
  check_weight(call);

  const auto runs = dilation_runs(call);
  for (size_t i = 0; i < runs.size(); ++i) {
    std::array<int64_t, 3> pad{};
    const auto out = run_geometry(call, runs[i].dilation, pad);
    if (i > 0 && out != call.out) {
      site.fail(ErrorCode::shape, "dilation",
                "dilation gives output channels different sizes, use padding='same'");
    }
    call.out = out;
  }
  if (runs.empty()) {
    std::array<int64_t, 3> pad{};
    call.out = run_geometry(call, params.dilation, pad);
  }
  if (call.copies_others) check_same_size(call);

  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  const TensorDesc y = make_output(call, options);
  plan->outputs = {y};
  const ConvEpilogue epilogue = make_epilogue(call, y, {bias, scale, shift}, residual);
  plan->bytes = item_bytes(x.dtype) * (x.n_elements() + y.n_elements() + weight.n_elements());
  if (y.n_elements() == 0) return Plan(std::move(plan));
  if (call.copies_others && !options.in_place) add_pass_through(*plan, call, y);
  if (call.n_out == 0) return Plan(std::move(plan));

  TensorDesc source = x;
  int64_t x_offset = call.first_channel * x.strides[call.xmap.c];
  if (options.in_place) {
    source = add_input_copy(*plan, call);
    x_offset = 0;
  }
  ConvProblem whole = make_problem(call, source, x_offset, y, epilogue, residual);
  whole.x_is_temp = options.in_place;
  for (const DilationRun& run : cut_at_groups(runs, call.n_out / params.groups)) {
    add_conv_step(*plan, cut_problem(call, whole, run), params.op);
  }
  return Plan(std::move(plan));
}

}  // namespace swath
