#include <swath/ops/sliding_conv.h>

#include "core/c_api.h"
#include "ops/sliding_conv/c_params.h"

namespace swath::c {

SlidingConvParams read_conv_params(const char* op, const swath_conv_params* given) {
  const swath_conv_params p = read_struct(op, "swath_conv_params", given);
  SlidingConvParams c;
  c.op = op;
  c.ndim = p.ndim;
  c.stride = read_extents(p.stride);
  c.dilation = read_extents(p.dilation);
  c.padding = read_padding(op, p.padding_rule, p.padding);
  c.padding_mode = read_enum<PaddingMode>(op, "padding_mode", p.padding_mode, 5);
  c.groups = p.groups == 0 ? 1 : p.groups;
  c.layout = read_layout(op, p.layout);
  c.activation = read_enum<Activation>(op, "activation", p.activation, kActivations);
  c.activation_value = activation_value(c.activation, p.activation_value);
  c.residual_before_activation = p.residual_before_activation != 0;
  c.has_channels = p.channels_begin != 0 || p.channels_end != 0;
  c.channels = {p.channels_begin, p.channels_end};
  c.pass_through = p.drop_other_channels == 0;
  if (c.ndim < 1 || c.ndim > 3) {
    throw Error(ErrorCode::param, op, "ndim", format("ndim is {}, needed is 1, 2 or 3", c.ndim));
  }
  return c;
}

}  // namespace swath::c

swath_status swath_plan_conv(const swath_array* x, const swath_array* weight,
                             const swath_array* bias, const swath_array* scale,
                             const swath_array* shift, const swath_array* residual,
                             const swath_conv_params* params, swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_conv";
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const TensorDesc& x_desc = a.needed("x", x, kConvX);
    const TensorDesc& weight_desc = a.needed("weight", weight, kConvWeight);
    const TensorDesc* bias_desc = a.optional("bias", bias, kConvBias);
    const TensorDesc* scale_desc = a.optional("scale", scale, kConvScale);
    const TensorDesc* shift_desc = a.optional("shift", shift, kConvShift);
    const TensorDesc* residual_desc = a.optional("residual", residual, kConvResidual);
    return plan_sliding_conv(x_desc, weight_desc, bias_desc, scale_desc, shift_desc, residual_desc,
                             c::read_conv_params(op, params));
  });
}
