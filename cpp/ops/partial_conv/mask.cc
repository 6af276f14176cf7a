#include "ops/partial_conv/mask.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Core>

#include "core/format.h"
#include "ops/partial_conv/planes.h"
#include "ops/pooling/compose.h"

namespace swath {
namespace {

template <class M>
bool is_mask_value(M m) {
  if constexpr (std::is_same_v<M, uint8_t>) {
    return m <= 1;
  } else {
    const auto v = static_cast<double>(m);
    return v >= 0 && v <= 1;  // false for NaN
  }
}

template <class M>
void check_values(const std::string& op, const TensorDesc& mask, const M* values) {
  const int last = mask.rank - 1;
  const int64_t n = mask.n_elements();
  const int64_t n_line = last >= 0 ? mask.shape[last] : 1;
  const int64_t step = last >= 0 ? mask.strides[last] : 0;
  for (int64_t line = 0; line * n_line < n; ++line) {
    int64_t rest = line, at = 0;
    for (int i = last - 1; i >= 0; --i) {
      at += rest % mask.shape[i] * mask.strides[i];
      rest /= mask.shape[i];
    }
    bool is_legal = true;
    for (int64_t i = 0; i < n_line; ++i) is_legal &= is_mask_value(values[at + i * step]);
    for (int64_t i = 0; !is_legal && i < n_line; ++i) {
      const M v = values[at + i * step];
      if (is_mask_value(v)) continue;
      throw Error(ErrorCode::param, op, "mask",
                  format("mask holds the value {}, needed are {}", static_cast<double>(v),
                         sizeof(M) == 1 ? "0 and 1" : "values from 0 to 1"));
    }
  }
}

TensorDesc plane_desc(DType dtype, int64_t n_batch, const std::array<int64_t, 3>& shape, int ndim) {
  std::array<int64_t, kMaxRank> extents{n_batch, 1};
  for (int i = 0; i < ndim; ++i) extents[2 + i] = shape[i];
  return contiguous_desc(dtype, extents.data(), ndim + 2);
}

/// The accumulator's dtype.
DType plane_dtype(const ConvCall& call) {
  return call.x.dtype == DType::f64 ? DType::f64 : DType::f32;
}

std::array<int64_t, 3> input_shape(const ConvCall& call) {
  std::array<int64_t, 3> shape{1, 1, 1};
  for (int i = 0; i < call.params.ndim; ++i) shape[i] = call.x.shape[call.xmap.spatial[i]];
  return shape;
}

/// Axes of fewer than three dimensions stand at the end of an array of three.
template <class A>
A at_end(const A& values, int ndim, int64_t missing) {
  A moved;
  moved.fill(missing);
  for (int i = 0; i < ndim; ++i) moved[3 - ndim + i] = values[i];
  return moved;
}

ArrayRef add_mask_sum(PlanImpl& plan, const ConvCall& call, const MaskCall& mask) {
  const int ndim = call.params.ndim;
  const auto shape = at_end(input_shape(call), ndim, 1);
  MaskSumProblem p;
  p.is_absent = mask.desc == nullptr;
  p.values = mask.ref;
  p.mask.dtype = plane_dtype(call);
  p.mask.rank = 5;
  p.mask.shape = {mask.n_batch, 1, shape[0], shape[1], shape[2]};
  if (!p.is_absent) {
    p.mask_dtype = mask.desc->dtype;
    p.mask.shape[1] = mask.desc->shape[call.xmap.c];
    p.mask.strides[0] = mask.n_batch > 1 ? mask.desc->strides[call.xmap.n] : 0;
    p.mask.strides[1] = mask.desc->strides[call.xmap.c];
    for (int i = 0; i < ndim; ++i) {
      p.mask.strides[5 - ndim + i] = mask.desc->strides[call.xmap.spatial[i]];
    }
  }
  const int64_t n = mask.n_batch * shape[0] * shape[1] * shape[2];
  constexpr int64_t kSlack = 64;  // rows are read in whole vectors
  p.plane = reserve_temp(plan, n * item_bytes(p.mask.dtype) + kSlack);
  add_mask_sum_step(plan, p);
  return p.plane;
}

/// Sums of `plane` over the convolution's windows.
ArrayRef add_window_sums(PlanImpl& plan, const ConvCall& call, const MaskCall& mask,
                         const ArrayRef& plane, const std::array<int64_t, 3>& pad) {
  const SlidingConvParams& conv = call.params;
  PoolingParams p;
  p.ndim = conv.ndim;
  p.op = PoolOp::sum;
  p.window = call.kernel;
  p.stride = conv.stride;
  p.dilation = conv.dilation;
  p.name = conv.op;
  const auto in = input_shape(call);
  for (int i = 0; i < conv.ndim; ++i) {
    const int64_t reach = (call.out[i] - 1) * p.stride[i] + (p.window[i] - 1) * p.dilation[i] + 1;
    p.padding.pairs[i] = {pad[i], std::max<int64_t>(reach - in[i] - pad[i], 0)};
  }
  const TensorDesc x = plane_desc(plane_dtype(call), mask.n_batch, in, conv.ndim);
  const TensorDesc y = plane_desc(plane_dtype(call), mask.n_batch, call.out, conv.ndim);
  const ArrayRef sums = reserve_temp(plan, y.n_elements() * item_bytes(y.dtype));
  add_pooling(plan, {&x, plane}, {&y, sums}, p);
  return sums;
}

}  // namespace

MaskCall describe_mask(const ConvCall& call, const TensorDesc* mask, const ArrayRef& ref,
                       const PartialConvParams& params) {
  MaskCall m{.desc = mask, .ref = ref, .out_dtype = call.x.dtype};
  if (!(params.eps >= 0) || !std::isfinite(params.eps)) {
    call.site.fail(ErrorCode::param, "eps",
                   format("eps is {}, needed is a number >= 0", params.eps));
  }
  if (mask == nullptr) return m;
  m.out_dtype = mask->dtype;
  if (!is_floating(mask->dtype) && mask->dtype != DType::b8 && mask->dtype != DType::u8) {
    call.site.fail(
        ErrorCode::dtype, "mask",
        format("mask is {}, needed is bool, uint8 or a floating dtype", name_of(mask->dtype)));
  }
  bool fits = mask->rank == call.x.rank;
  for (int i = 0; fits && i < mask->rank; ++i) {
    const bool may_be_one = i == call.xmap.n || i == call.xmap.c;
    fits = mask->shape[i] == call.x.shape[i] || (may_be_one && mask->shape[i] == 1);
  }
  if (!fits) {
    call.site.fail(
        ErrorCode::shape, "mask",
        format("mask has shape {}, needed is x's shape {} with 1 or all samples and channels",
               shape_text(*mask), shape_text(call.x)));
  }
  if (call.xmap.n >= 0) m.n_batch = mask->shape[call.xmap.n];
  m.has_channels = mask->shape[call.xmap.c] != 1;
  if (m.has_channels && params.mask_update == MaskUpdate::same) {
    call.site.fail(ErrorCode::param, "mask_update",
                   format("mask_update is 'same', needed is a mask of one channel, found are {}",
                          mask->shape[call.xmap.c]));
  }
  return m;
}

TensorDesc mask_out_desc(const ConvCall& call, const MaskCall& mask) {
  std::array<int64_t, kMaxRank> shape = call.y_shape();
  if (call.xmap.n >= 0) shape[call.xmap.n] = mask.n_batch;
  shape[call.xmap.c] = mask.has_channels ? call.n_out : 1;
  return contiguous_desc(mask.out_dtype, shape.data(), call.x.rank);
}

namespace {

/// Throws ParamError unless every value is in [0, 1]; of integers, 0 or 1.
void check_mask_values(const std::string& op, const TensorDesc& mask, const void* values) {
  switch (mask.dtype) {
    case DType::f32:
      return check_values(op, mask, static_cast<const float*>(values));
    case DType::f64:
      return check_values(op, mask, static_cast<const double*>(values));
    case DType::f16:
      return check_values(op, mask, static_cast<const Eigen::half*>(values));
    case DType::bf16:
      return check_values(op, mask, static_cast<const Eigen::bfloat16*>(values));
    case DType::u8:
      return check_values(op, mask, static_cast<const uint8_t*>(values));
    default:
      return;  // every bool is one
  }
}

}  // namespace

void add_mask_check(PlanImpl& plan, const MaskCall& mask, const std::string& op) {
  if (mask.desc == nullptr) return;
  plan.checks.push_back([op, desc = *mask.desc, ref = mask.ref](const Buffers& b) {
    check_mask_values(op, desc, b.read(ref));
  });
}

void check_mask_options(const CallSite& site, const SlidingConvParams& p) {
  if (p.padding_mode != PaddingMode::zeros) {
    site.fail(ErrorCode::param, "padding_mode",
              "padding_mode is given, a masked convolution pads with holes");
  }
  if (p.dilation_per_channel != nullptr) {
    site.fail(ErrorCode::param, "dilation",
              "dilation is an array, needed is one dilation for all output channels");
  }
  if (p.has_channels) site.fail(ErrorCode::param, "channels", "channels is not supported");
}

namespace {

/// Where the convolution finds M along its axes.
void set_mask_strides(ConvCall& call, const MaskCall& mask) {
  int64_t stride = 1;  // of the plane that add_mask_sum writes
  for (int i = call.params.ndim - 1; i >= 0; --i) {
    const int at = call.xmap.spatial[i];
    call.mask_strides[i] = mask.has_channels ? mask.desc->strides[at] : stride;
    stride *= call.x.shape[at];
  }
}

/// Positions of a row of the convolution's problem (one dilation: there is at most one): the flags
/// are kept by its rows.
int64_t problem_row(const ConvCall& call, const Operand& y) {
  for (ConvProblem problem : conv_problems(call, call.arrays.x, 0, y)) {
    canonicalize_axes(problem);
    return problem.axis[2].out;
  }
  return call.out[call.params.ndim - 1];
}

}  // namespace

void add_mask_steps(PlanImpl& plan, ConvCall& call, const MaskCall& mask,
                    const PartialConvParams& params, const Operand& y, const Operand& mask_out) {
  set_mask_strides(call, mask);
  const int ndim = call.params.ndim;
  const DType dtype = plane_dtype(call);
  const auto pad = padding_before(call, call.params.dilation);
  const auto in = input_shape(call);
  MaskFactorProblem p;
  p.dtype = dtype;
  p.n_batch = mask.n_batch;
  p.plane = add_mask_sum(plan, call, mask);
  p.sums = add_window_sums(plan, call, mask, p.plane, pad);
  p.in = at_end(in, ndim, 1);
  p.out = at_end(call.out, ndim, 1);
  p.stride = at_end(call.params.stride, ndim, 1);
  p.window = mask.has_channels ? static_cast<double>(call.n_in) : 1;
  for (int i = 0; i < ndim; ++i) {
    p.window *= static_cast<double>(call.kernel[i]);
    p.center[3 - ndim + i] = call.params.dilation[i] * ((call.kernel[i] - 1) / 2) - pad[i];
  }
  p.eps = params.eps;
  p.keeps_center = params.mask_update == MaskUpdate::same;
  p.has_ratio = params.renormalize;
  // Where a mask of zeros and ones drops an output the ratio is 0 too, else the factor is 1.
  const bool is_binary = mask.desc == nullptr || !is_floating(mask.desc->dtype);
  const bool keeps_bias = call.arrays.bias.desc != nullptr && !is_binary;
  p.has_keep = p.keeps_center || !params.renormalize || keeps_bias;
  const int64_t row = problem_row(call, y);
  p.row = row;
  const int64_t n = p.n_batch * p.out[0] * p.out[1] * p.out[2];
  if (p.has_ratio) p.ratio = reserve_temp(plan, n * item_bytes(dtype));
  p.keep = reserve_temp(plan, n * item_bytes(dtype));
  p.active = reserve_temp(plan, n / row * ((row + kActiveSpan - 1) / kActiveSpan));
  p.n_mask_channels = 0;
  p.mask_out = p.active;
  if (mask_out.desc != nullptr) {
    const TensorDesc& m = *mask_out.desc;
    p.mask_out = mask_out.ref;
    p.mask_dtype = m.dtype;
    p.n_mask_channels = m.shape[call.xmap.c];
    p.out_batch_stride = call.batch_stride(m);
    p.out_channel_stride = m.strides[call.xmap.c];
    // It is contiguous: positions follow each other in either layout.
    p.out_position_stride = call.params.layout == Layout::channels_first ? 1 : p.n_mask_channels;
  }
  add_mask_factor_step(plan, p);

  ConvMask planes{.has_values = true,
                  .has_flags = true,
                  .has_ratio = p.has_ratio,
                  .has_keep = p.has_keep,
                  .ratio = p.ratio,
                  .keep = p.keep,
                  .active = p.active,
                  .is_shared = mask.n_batch == 1,
                  .values = p.plane,
                  .dtype = dtype,
                  .batch_stride = mask.n_batch > 1 ? in[0] * in[1] * in[2] : 0};
  if (mask.has_channels) {
    planes.values = mask.ref;
    planes.dtype = mask.desc->dtype;
    planes.batch_stride = mask.n_batch > 1 ? mask.desc->strides[call.xmap.n] : 0;
    planes.channel_stride = mask.desc->strides[call.xmap.c];
  }
  call.mask = planes;
}

}  // namespace swath
