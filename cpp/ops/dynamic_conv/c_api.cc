#include <swath/ops/dynamic_conv.h>

#include "core/c_api.h"

swath_status swath_plan_dynamic_conv(const swath_array* x, const swath_array* weight,
                                     const swath_dynamic_conv_params* params, swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_dynamic_conv";
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const auto p = c::read_struct(op, "swath_dynamic_conv_params", params);
    DynamicConvParams settings;
    settings.name = op;
    settings.ndim = p.ndim;
    settings.has_kernel = p.ndim == 1 || p.kernel[0] != 0 || p.kernel[1] != 0;
    settings.kernel = c::read_extents(p.kernel);
    settings.stride = c::read_extents(p.stride);
    settings.dilation = c::read_extents(p.dilation);
    settings.padding = c::read_padding(op, p.padding_rule, p.padding);
    settings.softmax = p.softmax != 0;
    settings.renormalize_padding = p.renormalize_padding != 0;
    settings.is_interleaved = p.interleaved_groups != 0;
    settings.layout = c::read_layout(op, p.layout);
    if (p.ndim != 1 && p.ndim != 2) {
      throw Error(ErrorCode::param, op, "ndim", format("ndim is {}, needed is 1 or 2", p.ndim));
    }
    const TensorDesc& x_desc = a.needed("x", x, 0);
    return plan_dynamic_conv(x_desc, a.needed("weight", weight, 1), settings);
  });
}
