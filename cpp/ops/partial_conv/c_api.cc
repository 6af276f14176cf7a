#include <swath/ops/partial_conv.h>

#include "core/c_api.h"
#include "ops/sliding_conv/c_params.h"

swath_status swath_plan_partial_conv(const swath_array* x, const swath_array* weight,
                                     const swath_array* bias, const swath_array* mask,
                                     const swath_conv_params* conv,
                                     const swath_partial_conv_params* params, swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_partial_conv";
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const auto p = c::read_struct(op, "swath_partial_conv_params", params);
    PartialConvParams settings{c::read_conv_params(op, conv), p.keep_sums == 0,
                               p.same_mask != 0 ? MaskUpdate::same : MaskUpdate::any};
    if (p.eps != 0) settings.eps = p.eps;
    const TensorDesc& x_desc = a.needed("x", x, kPartialX);
    const TensorDesc& weight_desc = a.needed("weight", weight, kPartialWeight);
    const TensorDesc* bias_desc = a.optional("bias", bias, kPartialBias);
    const TensorDesc* mask_desc = a.optional("mask", mask, kPartialMask);
    return plan_partial_conv(x_desc, weight_desc, bias_desc, mask_desc, settings);
  });
}
