#include <swath/ops/gated_conv.h>

#include "core/c_api.h"
#include "ops/sliding_conv/c_params.h"

swath_status swath_plan_gated_conv(const swath_array* x, const swath_array* weight,
                                   const swath_array* bias, const swath_array* scale,
                                   const swath_array* shift, const swath_array* residual,
                                   const swath_conv_params* conv, const swath_gate_params* params,
                                   swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_gated_conv";
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const auto p = c::read_struct(op, "swath_gate_params", params);
    ConvGate gate;
    const auto chosen = c::read_enum<Activation>(op, "gate", p.gate, c::kActivations);
    if (chosen != Activation::none || p.is_linear != 0) gate.gate = chosen;
    gate.gate_value = c::activation_value(gate.gate, p.gate_value);
    gate.gate_first = p.gate_first != 0;
    const TensorDesc& x_desc = a.needed("x", x, kConvX);
    const TensorDesc& weight_desc = a.needed("weight", weight, kConvWeight);
    const TensorDesc* bias_desc = a.optional("bias", bias, kConvBias);
    const TensorDesc* scale_desc = a.optional("scale", scale, kConvScale);
    const TensorDesc* shift_desc = a.optional("shift", shift, kConvShift);
    const TensorDesc* residual_desc = a.optional("residual", residual, kConvResidual);
    return plan_gated_conv(x_desc, weight_desc, bias_desc, scale_desc, shift_desc, residual_desc,
                           {c::read_conv_params(op, conv), gate});
  });
}
