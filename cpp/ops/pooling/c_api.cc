#include <swath/ops/pooling.h>

#include "core/c_api.h"

swath_status swath_plan_pooling(const swath_array* x, const swath_pooling_params* params,
                                swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_pooling";
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const auto p = c::read_struct(op, "swath_pooling_params", params);
    PoolingParams settings;
    settings.name = op;
    settings.ndim = p.ndim;
    settings.op = c::read_enum<PoolOp>(op, "op", p.op, 4);
    settings.window = c::read_extents(p.window);
    settings.stride = c::read_extents(p.stride);
    settings.dilation = c::read_extents(p.dilation);
    settings.padding = c::read_padding(op, p.padding_rule, p.padding);
    settings.count_include_pad = p.exclude_padding == 0;
    settings.layout = c::read_layout(op, p.layout);
    if (p.ndim < 1 || p.ndim > 3) {
      throw Error(ErrorCode::param, op, "ndim", format("ndim is {}, needed is 1, 2 or 3", p.ndim));
    }
    return plan_pooling(a.needed("x", x, 0), settings);
  });
}
