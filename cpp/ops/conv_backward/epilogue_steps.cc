// Backward through the epilogue as steps: the sum over taps again where something depends on it,
// then one pass over dy.
#include <algorithm>

#include "ops/common/copy.h"
#include "ops/common/partial_sums.h"
#include "ops/conv_backward/problem.h"
#include "ops/conv_backward/steps.h"
#include "ops/sliding_conv/ratio.h"

namespace swath {
namespace {

constexpr double kBytesPerSecond = 5e9;
/// Channels from which lanes along channels are used where these are consecutive.
constexpr int64_t kLeastLanes = 8;
/// Positions that are worth a partial sum of their own.
constexpr int64_t kPositionsPerPartial = 64;
constexpr int64_t kMostPartials = 16;

EpilogueView view_of(const Operand& x, const AxisMap& map, int ndim) {
  EpilogueView view;
  if (x.desc == nullptr) return view;
  view.is_present = true;
  view.ref = x.ref;
  view.offset = x.offset;
  view.batch_stride = map.n >= 0 ? x.desc->strides[map.n] : 0;
  view.channel_stride = x.desc->strides[map.c];
  for (int i = 0; i < ndim; ++i) view.stride[3 - ndim + i] = x.desc->strides[map.spatial[i]];
  return view;
}

/// Long rows: the axis before the last goes into it where all views allow that.
void merge_axes(EpilogueGradProblem& p) {
  EpilogueView* const views[] = {&p.dy, &p.du, &p.dresidual, &p.v, &p.residual, &p.other};
  for (int i = 0; i < 2; ++i) {
    const bool can_merge = std::all_of(std::begin(views), std::end(views), [&](auto* view) {
      return !view->is_present || p.out[1] == 1 || view->stride[1] == p.out[2] * view->stride[2];
    });
    if (!can_merge) return;
    p.out[2] *= p.out[1];
    p.out[1] = p.out[0];
    p.out[0] = 1;
    for (EpilogueView* view : views) view->stride[1] = view->stride[0];
  }
}

struct WantedSum {
  bool* flag;
  const Operand& to;
};

void add_pass(PlanImpl& plan, EpilogueGradProblem p, const EpilogueGrads& grads,
              const std::string& op) {
  const WantedSum sums[] = {
      {&p.wants_bias, grads.dbias}, {&p.wants_scale, grads.dscale}, {&p.wants_shift, grads.dshift}};
  for (const WantedSum& sum : sums) *sum.flag = sum.to.desc != nullptr;
  merge_axes(p);
  const int64_t positions = p.out[0] * p.out[1] * p.out[2];
  const auto unit = [](const EpilogueView& view) {
    return !view.is_present || view.channel_stride == 1;
  };
  p.along_channels = p.n_channels >= kLeastLanes && unit(p.dy) && unit(p.v) && unit(p.du);
  const int64_t by_tasks = p.along_channels ? kMostPartials : kMostPartials / p.n_channels;
  p.n_partials =
      std::clamp<int64_t>(std::min(by_tasks, positions / kPositionsPerPartial), 1, kMostPartials);
  const PartialSums each{p.dtype, p.n_partials, p.n_channels, p.n_sums() * p.n_channels};
  if (each.pitch > 0) p.partials = reserve_partials(plan, each);
  const int n_arrays =
      1 + p.v.is_present + p.du.is_present + p.residual.is_present + p.dresidual.is_present;
  const double bytes =
      static_cast<double>(p.n_batch) * positions * p.n_channels * n_arrays * item_bytes(p.dtype);
  static const Operator& table = find_operator("conv_backward");
  add_step(plan, table, p.dtype, std::make_shared<EpilogueGradProblem>(p), bytes / kBytesPerSecond,
           op);
  ArrayRef from = p.partials;
  for (const WantedSum& sum : sums) {
    if (!*sum.flag) continue;
    PartialSums one = each;
    one.dtype = sum.to.desc->dtype;  // may be the accumulator's
    add_partial_sums(plan, one, from, sum.to.ref, sum.to.offset);
    from.temp_byte += p.n_channels * accumulator_bytes(p.dtype);
  }
}

bool is_partial(const ConvCall& call) { return call.params.padding_mode == PaddingMode::partial; }

}  // namespace

OwnOperand add_sum_again(PlanImpl& plan, const ConvCall& call, const TensorDesc& y) {
  const ConvArrays arrays{
      .x = call.arrays.x, .weight = call.arrays.weight, .bias = call.arrays.bias};
  SlidingConvParams params = call.params;
  params.activation = Activation::none;
  ConvCall plain = describe_conv(arrays, params);
  plain.mask = call.mask;
  plain.mask_strides = call.mask_strides;
  const OwnOperand v = reserve_like(plan, y, y.dtype);
  add_sliding_conv(plan, plain, v.operand(), false);
  return v;
}

namespace {

void set_values(const ConvCall& call, ConvEpilogue& e) {
  const ConvArrays& a = call.arrays;
  describe_channel_arrays(call.site, call.x, call.n_out, {nullptr, a.scale.desc, a.shift.desc}, e);
  e.scale = a.scale.ref;
  e.shift = a.shift.ref;
  e.scale_offset = a.scale.offset;
  e.shift_offset = a.shift.offset;
  e.activation = call.params.activation;
  e.activation_value = call.params.activation_value;
}

EpilogueGradProblem make_problem(PlanImpl& plan, const ConvCall& call, const Operand& dy) {
  EpilogueGradProblem p;
  p.dtype = dy.desc->dtype;
  p.n_batch = call.n_batch;
  p.n_channels = call.n_out;
  p.mask = call.mask;
  for (int i = 0; i < call.params.ndim; ++i) p.out[3 - call.params.ndim + i] = call.out[i];
  if (is_partial(call)) {
    ConvAxis axis[3];
    const auto pad = padding_before(call, call.params.dilation);
    for (int i = 0; i < call.params.ndim; ++i) {
      axis[3 - call.params.ndim + i] = {.in = call.x.shape[call.xmap.spatial[i]],
                                        .out = call.out[i],
                                        .kernel = call.kernel[i],
                                        .stride = call.params.stride[i],
                                        .dilation = call.params.dilation[i],
                                        .pad = pad[i]};
    }
    p.mask = add_ratio_plane(plan, p.dtype, axis);
  }
  p.dy = view_of(dy, call.xmap, call.params.ndim);
  set_values(call, p.epilogue);
  return p;
}

/// Channels [begin, begin + n) of an array that may be absent.
OwnOperand channels_of(const Operand& x, int axis, int64_t begin, int64_t n) {
  return x.desc == nullptr ? OwnOperand{} : slice(x, axis, begin, n);
}
Operand present(const OwnOperand& x) { return x.desc.rank == 0 ? Operand{} : x.operand(); }

/// The output channels [begin, begin + n), which share their dilation, as a call of their own.
struct ChannelPart {
  OwnOperand weight, scale, shift;
  ConvArrays arrays;
  SlidingConvParams params;

  ChannelPart(const ConvCall& call, const DilationRun& run, int64_t begin, int64_t n)
      : weight(slice(call.arrays.weight, 0, begin, n)),
        scale(channels_of(call.arrays.scale, 0, begin, n)),
        shift(channels_of(call.arrays.shift, 0, begin, n)),
        arrays{.x = call.arrays.x,
               .weight = weight.operand(),
               .scale = present(scale),
               .shift = present(shift)},
        params(call.params) {
    params.dilation_per_channel = nullptr;
    params.dilation = run.dilation;
  }
  ChannelPart(const ChannelPart&) = delete;

  ConvCall call_like(const ConvCall& call) const {
    ConvCall part{.site = call.site,
                  .arrays = arrays,
                  .x = call.x,
                  .weight = weight.desc,
                  .params = params,
                  .xmap = call.xmap,
                  .runs = {},
                  .mask = call.mask};
    part.n_batch = call.n_batch;
    part.n_in = call.n_in;
    part.n_out = weight.desc.shape[0];
    part.kernel = call.kernel;
    part.out = call.out;
    return part;
  }
};

/// The arrays over batch, channels and positions that one pass works on.
struct PassArrays {
  Operand dy, v, du;
  const GatePartner* partner = nullptr;
};

/// The partner's v and epilogue for channels [begin, begin + n).
void set_partner(const GatePartner& partner, int64_t begin, int64_t n, const AxisMap& map, int ndim,
                 EpilogueGradProblem& p) {
  p.other = view_of(slice(partner.v, map.c, begin, n).operand(), map, ndim);
  ConvEpilogue& e = p.other_epilogue;
  set_values(partner.call, e);
  e.scale_offset += begin * e.scale_stride;
  e.shift_offset += begin * e.shift_stride;
}

void add_run(PlanImpl& plan, const ConvCall& call, const DilationRun& run, const PassArrays& arrays,
             const EpilogueGrads& grads) {
  const int c = call.xmap.c, ndim = call.params.ndim;
  const int64_t begin = run.begin, n = run.end - run.begin;
  const ChannelPart part(call, run, begin, n);
  const OwnOperand dy = slice(arrays.dy, c, begin, n);
  EpilogueGradProblem p = make_problem(plan, part.call_like(call), dy.operand());
  const OwnOperand v = channels_of(arrays.v, c, begin, n), du = channels_of(arrays.du, c, begin, n);
  p.v = view_of(present(v), call.xmap, ndim);
  p.du = view_of(present(du), call.xmap, ndim);
  if (arrays.partner != nullptr) set_partner(*arrays.partner, begin, n, call.xmap, ndim, p);
  if (call.params.residual_before_activation) {
    const OwnOperand residual = channels_of(call.arrays.residual, c, begin, n);
    const OwnOperand dresidual = channels_of(grads.dresidual, c, begin, n);
    p.residual = view_of(present(residual), call.xmap, ndim);
    p.dresidual = view_of(present(dresidual), call.xmap, ndim);
  }
  const OwnOperand dbias = channels_of(grads.dbias, 0, begin, n);
  const OwnOperand dscale = channels_of(grads.dscale, 0, begin, n);
  const OwnOperand dshift = channels_of(grads.dshift, 0, begin, n);
  add_pass(plan, p, {present(dbias), present(dscale), present(dshift), {}}, call.params.op);
}

/// One pass for all channels, or for each run of one dilation where partial padding's ratio
/// depends on it.
void add_passes(PlanImpl& plan, const ConvCall& call, const PassArrays& arrays,
                const EpilogueGrads& grads) {
  if (!is_partial(call)) {
    return add_run(plan, call, {0, call.n_out, call.runs.front().dilation}, arrays, grads);
  }
  for (const DilationRun& run : call.runs) add_run(plan, call, run, arrays, grads);
}

}  // namespace

OwnOperand own(const Operand& x) { return {*x.desc, x.ref, x.offset}; }

OwnOperand reserve_like(PlanImpl& plan, const TensorDesc& desc, DType dtype) {
  const TensorDesc own = contiguous_desc(dtype, desc.shape.data(), desc.rank);
  return {own, reserve_temp(plan, own.n_elements() * item_bytes(dtype))};
}

OwnOperand slice(const Operand& x, int axis, int64_t begin, int64_t n) {
  OwnOperand part = own(x);
  part.offset += begin * part.desc.strides[axis];
  part.desc.shape[axis] = n;
  return part;
}

OwnOperand add_epilogue_backward(PlanImpl& plan, const ConvCall& call, const Operand& dy,
                                 const EpilogueGrads& grads, bool needs_du) {
  const bool is_curved = call.params.activation != Activation::none;
  const bool residual_after = !call.params.residual_before_activation || !is_curved;
  EpilogueGrads rest = grads;
  if (grads.dresidual.desc != nullptr && residual_after) {
    add_copy_step(plan, {.from = *dy.desc,
                         .to = *grads.dresidual.desc,
                         .from_offset = dy.offset,
                         .to_offset = grads.dresidual.offset,
                         .from_ref = dy.ref,
                         .to_ref = grads.dresidual.ref});
    rest.dresidual = {};
  }
  const bool changes = is_curved || call.arrays.scale.desc != nullptr || is_partial(call) ||
                       call.mask.has_ratio || call.mask.has_keep;
  const bool has_sums = rest.dbias.desc != nullptr || rest.dscale.desc != nullptr ||
                        rest.dshift.desc != nullptr || rest.dresidual.desc != nullptr;
  if (dy.desc->n_elements() == 0) {
    for (const Operand& sum : {rest.dbias, rest.dscale, rest.dshift}) {
      if (sum.desc != nullptr) add_zeros(plan, sum);
    }
    return own(dy);
  }
  if (!has_sums && !(needs_du && changes)) return own(dy);
  const bool needs_v = is_curved || rest.dscale.desc != nullptr;
  OwnOperand v, du = own(dy);
  if (needs_v) v = add_sum_again(plan, call, *dy.desc);
  // du goes where v was: each element is read before it is written.
  if (needs_du && changes) du = needs_v ? v : reserve_like(plan, *dy.desc, dy.desc->dtype);
  add_passes(
      plan, call,
      {dy, needs_v ? v.operand() : Operand{}, needs_du && changes ? du.operand() : Operand{}},
      rest);
  return du;
}

void add_gated_half(PlanImpl& plan, const ConvCall& call, const Operand& dy, const Operand& v,
                    const GatePartner& partner, const Operand& du, const EpilogueGrads& grads) {
  add_passes(plan, call, {dy, v, du, &partner}, grads);
}

namespace {

/// Positions and channels of x, nothing to do with them yet.
EpilogueGradProblem plain_problem(const AxisMap& map, int ndim, const Operand& x) {
  EpilogueGradProblem p;
  p.dtype = x.desc->dtype;
  p.n_batch = map.n >= 0 ? x.desc->shape[map.n] : 1;
  p.n_channels = x.desc->shape[map.c];
  for (int i = 0; i < ndim; ++i) p.out[3 - ndim + i] = x.desc->shape[map.spatial[i]];
  p.dy = view_of(x, map, ndim);
  return p;
}

}  // namespace

void add_channel_sums(PlanImpl& plan, const AxisMap& map, int ndim, const Operand& dy,
                      const Operand& dbias, const std::string& op) {
  if (dy.desc->n_elements() == 0) return add_zeros(plan, dbias);
  add_pass(plan, plain_problem(map, ndim, dy),
           {.dbias = dbias, .dscale = {}, .dshift = {}, .dresidual = {}}, op);
}

void add_position_product(PlanImpl& plan, const AxisMap& map, int ndim, const Operand& x,
                          const ConvMask& factors, const std::string& op) {
  if (x.desc->n_elements() == 0) return;
  EpilogueGradProblem p = plain_problem(map, ndim, x);
  p.du = p.dy;
  p.mask = factors;
  add_pass(plan, p, {}, op);
}

}  // namespace swath
