#include <swath/ops/long_conv.h>

#include "core/c_api.h"

swath_status swath_plan_long_conv(const swath_array* u, const swath_array* k,
                                  const swath_array* skip, const swath_array* bias,
                                  const swath_array* pre_gate, const swath_array* post_gate,
                                  const swath_long_conv_params* params, swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_long_conv";
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const auto p = c::read_struct(op, "swath_long_conv_params", params);
    LongConvParams settings;
    settings.name = op;
    settings.mode = c::read_enum<LongMode>(op, "mode", p.mode, 6);
    settings.has_offset = p.has_offset != 0;
    settings.offset = p.offset;
    settings.correlate = p.correlate != 0;
    settings.is_interleaved = p.interleaved_heads != 0;
    settings.layout = c::read_layout(op, p.layout);
    LongConvArrays arrays;
    arrays.u = &a.needed("u", u, kLongU);
    arrays.k = &a.needed("k", k, kLongK);
    arrays.skip = a.optional("skip", skip, kLongSkip);
    arrays.bias = a.optional("bias", bias, kLongBias);
    arrays.pre_gate = a.optional("pre_gate", pre_gate, kLongPreGate);
    arrays.post_gate = a.optional("post_gate", post_gate, kLongPostGate);
    return plan_long_conv(arrays, settings);
  });
}
