// describe of the gates with one value per position: spatial_gate and spatial_softmax_gate.
#include <swath/ops/gates.h>

#include <memory>

#include "core/format.h"
#include "ops/common/geometry.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/gate_mul/compose.h"
#include "ops/spatial_gate/compose.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

/// What the forward and the backward need to know of a call.
struct SpatialCall {
  CallSite site;
  const TensorDesc &x, &logits;
  const SpatialGateParams& params;
  AxisMap map;
  int64_t n_groups = 1;

  int64_t n_channels() const { return x.shape[map.c]; }
  /// p as accumulators in the order (N, G, *S).
  TensorDesc softmax_desc() const {
    TensorDesc p;
    p.dtype = accumulator_of(x.dtype);
    int64_t shape[kMaxRank];
    int rank = 0;
    if (map.n >= 0) shape[rank++] = x.shape[map.n];
    shape[rank++] = n_groups;
    for (int i = 0; i < params.ndim; ++i) shape[rank++] = x.shape[map.spatial[i]];
    return contiguous_desc(p.dtype, shape, rank);
  }
};

SpatialCall describe(const CallSite& site, const TensorDesc& x, const TensorDesc& logits,
                     const SpatialGateParams& params) {
  check_floating(site, x);
  if (params.ndim < 1 || params.ndim > 3) {
    site.fail(ErrorCode::shape, "x",
              format("x has {} axes {} and {} of them after the channels, needed are 1 to 3 (give "
                     "ndim for an x without N)",
                     x.rank, shape_text(x), params.ndim));
  }
  SpatialCall call{site, x, logits, params, map_axes(site, x, params.ndim, params.layout, "x")};
  check_same_kind(site, x, logits, "logits");
  bool fits = logits.rank == x.rank;
  for (int i = 0; fits && i < x.rank; ++i) {
    fits = i == call.map.c || logits.shape[i] == x.shape[i];
  }
  const int64_t n_groups = fits ? logits.shape[call.map.c] : 0;
  if (params.is_softmax) {
    fits = fits && (n_groups > 0 ? call.n_channels() % n_groups == 0 : call.n_channels() == 0);
  } else {
    fits = fits && n_groups == 1;
  }
  if (!fits) {
    site.fail(ErrorCode::shape, "logits",
              format("logits has shape {}, needed is that of x, {}, with {}", shape_text(logits),
                     shape_text(x),
                     params.is_softmax ? "a number of channels that divides x's" : "one channel"));
  }
  call.n_groups = n_groups;
  return call;
}

/// Axes of x (a), the gates (b, db), dy or x again (c) and the result (y). Gates lie as in `b`,
/// which has x's axes, or is p.
GateGeometry geometry(const SpatialCall& call, const TensorDesc& c, const TensorDesc& y,
                      const TensorDesc& b, const TensorDesc& db) {
  const AxisMap& map = call.map;
  const TensorDesc& x = call.x;
  const bool is_p = call.params.is_softmax;
  GateGeometry g;
  const auto add = [&](GateAxes& axes, int64_t n, int at, int at_b, int64_t factor) {
    axes.push_back({n,
                    {x.strides[at] * factor, at_b < 0 ? 0 : b.strides[at_b], c.strides[at] * factor,
                     y.strides[at] * factor, at_b < 0 ? 0 : db.strides[at_b]}});
  };
  const int first = map.n >= 0 ? 1 : 0;
  if (map.n >= 0) add(g.kept, x.shape[map.n], map.n, is_p ? 0 : map.n, 1);
  const int64_t per_group = call.n_channels() / call.n_groups;
  if (is_p) add(g.kept, call.n_groups, map.c, first, per_group);
  for (int i = 0; i < call.params.ndim; ++i) {
    const int at = map.spatial[i];
    add(g.kept, x.shape[at], at, is_p ? first + 1 + i : at, 1);
  }
  add(g.repeats, per_group, map.c, -1, 1);
  return g;
}

SoftmaxCall softmax_call(const SpatialCall& call, const TensorDesc& dlogits) {
  const AxisMap& map = call.map;
  const TensorDesc p = call.softmax_desc();
  SoftmaxCall s;
  const auto add = [&](SoftmaxAxes& axes, int at) {
    const int at_p = static_cast<int>(s.outer.size() + s.axis.size());
    axes.push_back(
        {call.logits.shape[at], {call.logits.strides[at], dlogits.strides[at], p.strides[at_p]}});
  };
  if (map.n >= 0) add(s.outer, map.n);
  add(s.outer, map.c);
  for (int i = 0; i < call.params.ndim; ++i) add(s.axis, map.spatial[i]);
  return s;
}

GateProblem base_problem(const SpatialCall& call) {
  GateProblem p;
  p.dtype = call.x.dtype;
  if (call.params.is_softmax) {
    p.b_is_acc = true;
    p.gate.shift = call.params.residual ? 1 : 0;
  } else {
    p.gate.kind = Activation::sigmoid;
  }
  return p;
}

}  // namespace

Plan plan_spatial_gate(const TensorDesc& x, const TensorDesc& logits,
                       const SpatialGateParams& params, const PlanOptions& options) {
  const SpatialCall call = describe({params.name}, x, logits, params);
  const TensorDesc y = output_desc(call.site, x, x.shape.data(), x.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  plan->bytes = 2 * bytes_of(x) + bytes_of(logits);
  plan->flops = x.n_elements();
  if (y.n_elements() == 0) return Plan(std::move(plan));
  GateProblem g = base_problem(call);
  g.a = input_ref(0);
  g.b = input_ref(1);
  g.y = output_ref(0);
  TensorDesc b = logits;
  if (params.is_softmax) {
    b = call.softmax_desc();
    g.b = reserve_temp(*plan, bytes_of(b));
    SoftmaxProblem s{.dtype = x.dtype, .logits = input_ref(1), .p = g.b};
    add_softmax_step(*plan, call.site.op, s, softmax_call(call, logits));
  }
  assign_gate_roles(g, geometry(call, x, y, b, b));
  add_gate_step(*plan, call.site.op, g, plan->bytes);
  return Plan(std::move(plan));
}

Plan plan_spatial_gate_backward(const TensorDesc& dy, const TensorDesc& x, const TensorDesc& logits,
                                const SpatialGateParams& params, const PairNeeds& needs,
                                const PlanOptions& options) {
  const SpatialCall call = describe({params.name}, x, logits, params);
  check_same_array(call.site, x, dy, "dy", "x");
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->bytes = 2 * bytes_of(x) + bytes_of(logits);
  plan->flops = 4 * x.n_elements();
  const auto add_output = [&](const TensorDesc& desc) {
    plan->outputs.push_back(desc);
    plan->bytes += bytes_of(desc);
    return output_ref(static_cast<int>(plan->outputs.size()) - 1);
  };
  const TensorDesc dx = contiguous_desc(x.dtype, x.shape.data(), x.rank);
  const TensorDesc dlogits = contiguous_desc(x.dtype, logits.shape.data(), x.rank);
  GateProblem g = base_problem(call);
  g.is_backward = true;
  g.has_da = needs.first;
  g.has_db = needs.second;
  if (g.has_da) g.y = add_output(dx);
  if (g.has_db) g.db = add_output(dlogits);
  if (x.n_elements() == 0) {
    if (g.has_db) add_zero_step(*plan, g.db, bytes_of(dlogits));
    return Plan(std::move(plan));
  }
  if (!g.has_da && !g.has_db) return Plan(std::move(plan));
  g.c = input_ref(0);
  g.a = input_ref(1);
  g.b = input_ref(2);
  if (!params.is_softmax) {
    assign_gate_roles(g, geometry(call, dy, dx, logits, dlogits));
    add_gate_step(*plan, call.site.op, g, plan->bytes);
    return Plan(std::move(plan));
  }
  const TensorDesc p = call.softmax_desc();
  g.b = reserve_temp(*plan, bytes_of(p));
  SoftmaxProblem s{.dtype = x.dtype, .logits = input_ref(2), .p = g.b, .dlogits = g.db};
  add_softmax_step(*plan, call.site.op, s, softmax_call(call, dlogits));
  if (g.has_db) s.dp = g.db = reserve_temp(*plan, bytes_of(p));
  g.db_is_acc = true;
  assign_gate_roles(g, geometry(call, dy, dx, p, p));
  add_gate_step(*plan, call.site.op, g, plan->bytes);
  if (g.has_db) {
    s.is_backward = true;
    add_softmax_step(*plan, call.site.op, s, softmax_call(call, dlogits));
  }
  return Plan(std::move(plan));
}

}  // namespace swath
