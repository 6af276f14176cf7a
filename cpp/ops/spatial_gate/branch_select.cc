// describe of branch_select: a softmax over the branches, then their weighted sum.
#include <memory>

#include <swath/ops/gates.h>

#include "core/format.h"
#include "ops/common/geometry.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/gate_mul/compose.h"
#include "ops/spatial_gate/compose.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

struct BranchCall {
  CallSite site;
  const TensorDesc &branches, &logits;
  TensorDesc one;  // a single branch
  AxisMap map;     // of its axes
  int ndim = 0;
  int64_t n_branches = 0;

  bool is_batched() const { return map.n >= 0; }
  int64_t n_channels() const { return one.shape[map.c]; }
  /// p as accumulators in the order of the logits.
  TensorDesc softmax_desc() const {
    return contiguous_desc(accumulator_of(one.dtype), logits.shape.data(), logits.rank);
  }
};

TensorDesc without_first_axis(const TensorDesc& x) {
  TensorDesc one = x;
  one.rank = x.rank - 1;
  for (int i = 0; i < one.rank; ++i) {
    one.shape[i] = x.shape[i + 1];
    one.strides[i] = x.strides[i + 1];
  }
  return one;
}

BranchCall describe(const CallSite& site, const TensorDesc& branches, const TensorDesc& logits,
                    const BranchSelectParams& params) {
  check_floating(site, branches, "branches");
  check_same_kind(site, branches, logits, "logits", "branches");
  if (logits.rank != 2 && logits.rank != 3) {
    site.fail(ErrorCode::shape, "logits",
              format("logits has {} axes {}, needed are 3: (N, M, C), or 2 without N", logits.rank,
                     shape_text(logits)));
  }
  const bool is_batched = logits.rank == 3;
  const int ndim = branches.rank - (is_batched ? 3 : 2);
  if (ndim < 1 || ndim > 3) {
    site.fail(ErrorCode::shape, "branches",
              format("branches has {} axes {}, needed are {}, C and 1 to 3 spatial axes",
                     branches.rank, shape_text(branches), is_batched ? "M, N" : "M"));
  }
  if (branches.shape[0] < 1) {
    site.fail(ErrorCode::shape, "branches",
              format("branches has shape {}, needed is at least one branch", shape_text(branches)));
  }
  BranchCall call{site, branches, logits,           without_first_axis(branches),
                  {},   ndim,     branches.shape[0]};
  call.map = map_axes(site, call.one, ndim, params.layout, "branches");
  const int64_t needed[] = {is_batched ? call.one.shape[0] : 1, call.n_branches, call.n_channels()};
  const int first = is_batched ? 0 : 1;
  for (int i = first; i < 3; ++i) {
    if (logits.shape[i - first] == needed[i]) continue;
    site.fail(ErrorCode::shape, "logits",
              format("logits has shape {}, needed is {} (branches.shape={})", shape_text(logits),
                     shape_text(needed + first, 3 - first), shape_text(branches)));
  }
  return call;
}

SoftmaxCall softmax_call(const BranchCall& call, const TensorDesc& dlogits) {
  const TensorDesc p = call.softmax_desc();
  const auto axis = [&](int at) {
    return SoftmaxAxis{call.logits.shape[at],
                       {call.logits.strides[at], dlogits.strides[at], p.strides[at]}};
  };
  SoftmaxCall s;
  const int first = call.is_batched() ? 1 : 0;
  if (call.is_batched()) s.outer.push_back(axis(0));
  s.axis.push_back(axis(first));
  s.lanes = axis(first + 1);
  return s;
}

/// Axes of one branch (a), p (b, db), y (forward) or dbranches (y), and dy (c).
GateGeometry geometry(const BranchCall& call, const TensorDesc& c, const TensorDesc& y) {
  const TensorDesc p = call.softmax_desc();
  const AxisMap& map = call.map;
  GateGeometry g;
  const auto axis = [&](int at, int64_t p_stride) {
    return GateAxis{call.one.shape[at],
                    {call.one.strides[at], p_stride, c.strides[at], y.strides[at], p_stride}};
  };
  if (call.is_batched()) g.kept.push_back(axis(map.n, p.strides[0]));
  g.kept.push_back(axis(map.c, 1));
  for (int i = 0; i < call.ndim; ++i) g.repeats.push_back(axis(map.spatial[i], 0));
  return g;
}

GateProblem base_problem(const BranchCall& call, const ArrayRef& p) {
  GateProblem g;
  g.dtype = call.one.dtype;
  g.b_is_acc = true;
  g.b = p;
  return g;
}

}  // namespace

Plan plan_branch_select(const TensorDesc& branches, const TensorDesc& logits,
                        const BranchSelectParams& params, const PlanOptions& options) {
  const BranchCall call = describe({params.name}, branches, logits, params);
  const TensorDesc& one = call.one;
  const TensorDesc y = output_desc(call.site, one, one.shape.data(), one.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  plan->bytes = bytes_of(branches) + bytes_of(logits) + bytes_of(y);
  plan->flops = 2 * branches.n_elements();
  if (y.n_elements() == 0) return Plan(std::move(plan));
  const ArrayRef p = reserve_temp(*plan, bytes_of(call.softmax_desc()));
  add_softmax_step(*plan, call.site.op, {.dtype = one.dtype, .logits = input_ref(1), .p = p},
                   softmax_call(call, logits));
  GateProblem g = base_problem(call, p);
  g.a = input_ref(0);
  g.y = output_ref(0);
  g.n_terms = call.n_branches;
  g.a_term_stride = branches.strides[0];
  g.b_term_stride = call.n_channels();
  assign_gate_roles(g, geometry(call, one, y));
  add_gate_step(*plan, call.site.op, g, plan->bytes);
  return Plan(std::move(plan));
}

Plan plan_branch_select_backward(const TensorDesc& dy, const TensorDesc& branches,
                                 const TensorDesc& logits, const BranchSelectParams& params,
                                 const PairNeeds& needs, const PlanOptions& options) {
  const BranchCall call = describe({params.name}, branches, logits, params);
  check_same_array(call.site, call.one, dy, "dy", "one branch");
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->bytes = bytes_of(branches) + bytes_of(logits) + bytes_of(dy);
  plan->flops = 4 * branches.n_elements();
  const auto add_output = [&](const TensorDesc& desc) {
    plan->outputs.push_back(desc);
    plan->bytes += bytes_of(desc);
    return output_ref(static_cast<int>(plan->outputs.size()) - 1);
  };
  const TensorDesc dbranches =
      contiguous_desc(branches.dtype, branches.shape.data(), branches.rank);
  const TensorDesc dlogits = contiguous_desc(branches.dtype, logits.shape.data(), logits.rank);
  ArrayRef to_branches, to_logits;
  if (needs.first) to_branches = add_output(dbranches);
  if (needs.second) to_logits = add_output(dlogits);
  if (branches.n_elements() == 0) {
    if (needs.second) add_zero_step(*plan, to_logits, bytes_of(dlogits));
    return Plan(std::move(plan));
  }
  if (plan->outputs.empty()) return Plan(std::move(plan));
  const TensorDesc p_desc = call.softmax_desc();
  const ArrayRef p = reserve_temp(*plan, bytes_of(p_desc));
  SoftmaxProblem s{.dtype = dy.dtype, .logits = input_ref(2), .p = p, .dlogits = to_logits};
  add_softmax_step(*plan, call.site.op, s, softmax_call(call, dlogits));
  GateProblem g = base_problem(call, p);
  g.is_backward = true;
  g.db_is_acc = true;
  g.has_da = needs.first;
  g.has_db = needs.second;
  g.c = input_ref(0);
  g.a = input_ref(1);
  g.y = to_branches;
  if (g.has_db) s.dp = g.db = reserve_temp(*plan, bytes_of(p_desc));
  GateGeometry axes = geometry(call, dy, without_first_axis(dbranches));
  axes.kept.push_back(
      {call.n_branches,
       {branches.strides[0], call.n_channels(), 0, dbranches.strides[0], call.n_channels()}});
  assign_gate_roles(g, std::move(axes));
  add_gate_step(*plan, call.site.op, g, plan->bytes);
  if (g.has_db) {
    s.is_backward = true;
    add_softmax_step(*plan, call.site.op, s, softmax_call(call, dlogits));
  }
  return Plan(std::move(plan));
}

}  // namespace swath
