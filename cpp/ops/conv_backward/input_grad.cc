// dx of a convolution: the transposed convolution of du with the same weight. Padding that repeats
// elements of x is a border of the transposed result, folded back; output channels with dilations
// of their own are several transposed convolutions, added up.
#include <algorithm>

#include "ops/common/partial_sums.h"
#include "ops/conv_backward/steps.h"

namespace swath {
namespace {

/// (before, after) of each axis for one dilation.
std::array<std::array<int64_t, 2>, 3> pads_of(const ConvCall& call, const Extents& dilation) {
  std::array<std::array<int64_t, 2>, 3> pads{};
  for (int i = 0; i < call.params.ndim; ++i) {
    pads[i] = resolve_padding(call.params.padding, i, call.x.shape[call.xmap.spatial[i]],
                              {call.kernel[i], call.params.stride[i], dilation[i]});
  }
  return pads;
}

bool repeats_elements(PaddingMode mode) {
  return mode == PaddingMode::reflect || mode == PaddingMode::replicate ||
         mode == PaddingMode::circular;
}

bool has_border(const ConvCall& call, const std::vector<DilationRun>& pieces) {
  if (!repeats_elements(call.params.padding_mode)) return false;
  return std::any_of(pieces.begin(), pieces.end(), [&](const DilationRun& piece) {
    for (const auto& pad : pads_of(call, piece.dilation)) {
      if (pad[0] > 0 || pad[1] > 0) return true;
    }
    return false;
  });
}

void add_zero_image(PlanImpl& plan, const ConvCall& call, const Operand& dx) {
  const TensorDesc& d = *dx.desc;
  FillProblem fill{.item_bytes = item_bytes(d.dtype),
                   .n_batch = call.n_batch,
                   .n_channels = d.shape[call.xmap.c],
                   .batch_stride = call.batch_stride(d),
                   .channel_stride = d.strides[call.xmap.c],
                   .bias_stride = 0,
                   .y = dx.ref,
                   .y_offset = dx.offset};
  for (int i = 0; i < call.params.ndim; ++i) {
    fill.shape[i] = d.shape[call.xmap.spatial[i]];
    fill.strides[i] = d.strides[call.xmap.spatial[i]];
  }
  add_fill_step(plan, fill);
}

/// What the pieces of one call share.
struct InputGrad {
  PlanImpl& plan;
  const ConvCall& call;
  Operand du, weight, dx;
  bool accumulate, folds;

  void add_piece(const DilationRun& piece) const {
    const SlidingConvParams& params = call.params;
    const int c = call.xmap.c;
    const int64_t per_group = call.n_out / params.groups, in_per_group = call.weight.shape[1];
    const int64_t n = piece.end - piece.begin, n_groups = std::max<int64_t>(n / per_group, 1);
    const OwnOperand du_part = slice(du, c, piece.begin, n);
    const OwnOperand weight_part = slice(weight, 0, piece.begin, n);
    const OwnOperand dx_part =
        slice(dx, c, piece.begin / per_group * in_per_group, n_groups * in_per_group);
    const TransposedArrays arrays{du_part.operand(), weight_part.operand(), {}};
    ConvTransposeParams t{.ndim = params.ndim,
                          .stride = params.stride,
                          .dilation = piece.dilation,
                          .groups = n_groups,
                          .layout = params.layout,
                          .op = params.op};
    const auto pads = pads_of(call, piece.dilation);
    TensorDesc padded = dx_part.desc;
    std::array<int64_t, 3> before{};
    for (int i = 0; i < params.ndim; ++i) {
      const int at = call.xmap.spatial[i];
      const int64_t length = call.x.shape[at] + pads[i][0] + pads[i][1];
      // Rows at the end that no window reaches.
      t.output_padding[i] =
          (length - piece.dilation[i] * (call.kernel[i] - 1) - 1) % params.stride[i];
      before[i] = pads[i][0];
      padded.shape[at] = length;
      if (!folds) t.padding.pairs[i] = pads[i];
    }
    const TransposedCall transposed = describe_conv_transpose(arrays, t);
    if (!folds) return add_conv_transpose(plan, transposed, dx_part.operand(), accumulate);
    const OwnOperand border = reserve_like(plan, padded, padded.dtype);
    add_conv_transpose(plan, transposed, border.operand());
    add_fold(plan, call.xmap, params.ndim, border.operand(), dx_part.operand(), before,
             params.padding_mode, accumulate);
  }
};

}  // namespace

void add_input_grad(PlanImpl& plan, const ConvCall& call, const Operand& du, const Operand& dx,
                    bool adds) {
  if (dx.desc->n_elements() == 0) return;
  if (du.desc->n_elements() == 0) {
    if (!adds) add_zero_image(plan, call, dx);
    return;
  }
  const std::vector<DilationRun> pieces = conv_pieces(call);
  const bool folds = has_border(call, pieces), accumulate = adds || pieces.size() > 1;
  // Parts that are rounded to 16 bits before they are added would cost accuracy.
  const bool is_half = item_bytes(dx.desc->dtype) == 2;
  if (!is_half || (!folds && !accumulate)) {
    if (accumulate && !adds) add_zero_image(plan, call, dx);
    const InputGrad grad{plan, call, du, call.arrays.weight, dx, accumulate, folds};
    for (const DilationRun& piece : pieces) grad.add_piece(piece);
    return;
  }
  const OwnOperand wide_du = add_widened(plan, du);
  const OwnOperand wide_weight = add_widened(plan, call.arrays.weight);
  const OwnOperand wide_dx = reserve_like(plan, *dx.desc, DType::f32);
  if (accumulate) add_zero_image(plan, call, wide_dx.operand());
  const InputGrad grad{
      plan, call, wide_du.operand(), wide_weight.operand(), wide_dx.operand(), accumulate, folds};
  for (const DilationRun& piece : pieces) grad.add_piece(piece);
  add_fold(plan, call.xmap, call.params.ndim, wide_dx.operand(), dx, {0, 0, 0}, PaddingMode::zeros,
           adds);
}

}  // namespace swath
