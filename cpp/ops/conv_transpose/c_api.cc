#include <swath/ops/sliding_conv.h>

#include "core/c_api.h"

swath_status swath_plan_conv_transpose(const swath_array* x, const swath_array* weight,
                                       const swath_array* bias,
                                       const swath_conv_transpose_params* params,
                                       swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_conv_transpose";
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const auto p = c::read_struct(op, "swath_conv_transpose_params", params);
    ConvTransposeParams t;
    t.op = op;
    t.ndim = p.ndim;
    t.stride = c::read_extents(p.stride);
    t.dilation = c::read_extents(p.dilation);
    t.padding = c::read_padding(op, SWATH_PADDING_GIVEN, p.padding);
    std::copy(std::begin(p.output_padding), std::end(p.output_padding), t.output_padding.begin());
    t.groups = p.groups == 0 ? 1 : p.groups;
    t.layout = c::read_layout(op, p.layout);
    if (t.ndim < 1 || t.ndim > 3) {
      throw Error(ErrorCode::param, op, "ndim", format("ndim is {}, needed is 1, 2 or 3", t.ndim));
    }
    const TensorDesc& x_desc = a.needed("x", x, kConvX);
    const TensorDesc& weight_desc = a.needed("weight", weight, kConvWeight);
    return plan_conv_transpose(x_desc, weight_desc, a.optional("bias", bias, kConvBias), t);
  });
}
