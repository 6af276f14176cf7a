#include <swath/ops/attention.h>

#include "core/c_api.h"

namespace swath::c {
namespace {

AttentionPattern read_pattern(const char* op, const swath_attention_params& p, int n_axes) {
  static constexpr PatternKind kKinds[] = {PatternKind::dense, PatternKind::causal,
                                           PatternKind::window1d, PatternKind::neighborhood,
                                           PatternKind::mask};
  AttentionPattern found;
  found.kind = kKinds[read_enum<int>(op, "pattern", p.pattern, 5)];
  found.left = p.left;
  found.right = p.right;
  if (found.kind != PatternKind::neighborhood) return found;
  if (n_axes < 1 || n_axes > 3) {
    throw Error(ErrorCode::shape, op, "q",
                format("q has {} token axes, needed are 1 to 3", n_axes));
  }
  const Extents size = read_extents(p.kernel_size), dilation = read_extents(p.dilation);
  const Extents stride = read_extents(p.stride);
  found.n_axes = n_axes;
  found.size.assign(size.begin(), size.begin() + n_axes);
  found.dilation.assign(dilation.begin(), dilation.begin() + n_axes);
  found.stride.assign(stride.begin(), stride.begin() + n_axes);
  found.causal.clear();
  for (int i = 0; i < n_axes; ++i) found.causal.push_back(p.causal_axis[i] != 0 ? 1 : 0);
  return found;
}

}  // namespace
}  // namespace swath::c

swath_status swath_plan_attention(const swath_array* q, const swath_array* k, const swath_array* v,
                                  const swath_array* bias, const swath_array* mask,
                                  const swath_attention_params* params, swath_plan** plan) {
  using namespace swath;
  constexpr const char* op = "swath_plan_attention";
  constexpr int kBias = 3;
  return c::make_plan(op, plan, [&](c::Arrays& a) {
    const auto p = c::read_struct(op, "swath_attention_params", params);
    AttentionInputs in;
    in.q = &a.needed("q", q, 0);
    in.k = &a.needed("k", k, 1);
    in.v = &a.needed("v", v, 2);
    in.bias = a.optional("bias", bias, kBias);
    in.patterns.push_back(c::read_pattern(op, p, in.q->rank - 3));
    in.patterns[0].indices = a.optional("mask", mask, pattern_slot(0, 0));
    if ((mask != nullptr) != (in.patterns[0].kind == PatternKind::mask)) {
      throw Error(ErrorCode::param, op, "mask",
                  "mask and SWATH_PATTERN_MASK go together, found is one of them");
    }
    AttentionParams settings;
    settings.name = op;
    settings.heads_last = p.heads_last != 0;
    settings.return_lse = p.return_lse != 0;
    settings.has_scale = p.has_scale != 0;
    settings.scale = p.scale;
    settings.softcap = p.softcap;
    return plan_attention(in, settings);
  });
}
