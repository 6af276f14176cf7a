// describe of linear_attention and its backward.
#include <swath/ops/linear_attention.h>

#include <cmath>
#include <memory>

#include "core/format.h"
#include "core/operator.h"
#include "ops/common/partial_sums.h"
#include "ops/linear_attention/heads.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

struct LinearCall {
  CallSite site;
  HeadAxes q, k;  // v's axes are k's
  TensorDesc o;
};

LinearCall describe(const CallSite& site, const TensorDesc& q, const TensorDesc& k,
                    const TensorDesc& v, const LinearAttentionParams& params) {
  check_floating(site, q, "q");
  LinearCall call{
      site, head_axes(site, q, params.layout, "q"), head_axes(site, k, params.layout, "k"), {}};
  check_keys(site, q, call.q, k, call.k);
  head_axes(site, v, params.layout, "v");
  check_same_kind(site, q, v, "v", "q");
  bool fits = v.rank == k.rank;
  for (int i = 0; fits && i + 1 < k.rank; ++i) fits = v.shape[i] == k.shape[i];
  if (!fits) {
    site.fail(ErrorCode::shape, "v",
              format("v has shape {}, needed is that of k but for the last axis (k.shape={})",
                     shape_text(v), shape_text(k)));
  }
  std::array<int64_t, kMaxRank> shape = q.shape;
  shape[q.rank - 1] = v.shape[v.rank - 1];
  call.o = contiguous_desc(q.dtype, shape.data(), q.rank);
  return call;
}

LinearAttentionProblem base_problem(const LinearCall& call, const TensorDesc& q,
                                    const TensorDesc& k, const TensorDesc& v,
                                    const LinearAttentionParams& params, int first_slot) {
  LinearAttentionProblem p;
  p.dtype = q.dtype;
  p.is_causal = params.is_causal;
  p.has_softmax = params.has_softmax;
  p.n_d = q.shape[q.rank - 1];
  p.n_e = v.shape[v.rank - 1];
  p.scale = params.has_scale ? params.scale : 1 / std::sqrt(static_cast<double>(p.n_d));
  p.n_batch = q.shape[0];
  p.n_heads = q.shape[call.q.head];
  p.n_kv_heads = k.shape[call.k.head];
  p.n_q = n_tokens(q, call.q);
  p.n_k = n_tokens(k, call.k);
  p.q = head_array(q, call.q, input_ref(first_slot));
  p.k = head_array(k, call.k, input_ref(first_slot + 1));
  p.v = head_array(v, call.k, input_ref(first_slot + 2));
  return p;
}

void add_linear_step(PlanImpl& plan, const std::string& op, const LinearAttentionProblem& p) {
  constexpr double kFlopsPerSecond = 2e10;  // an order of magnitude
  static const Operator& table = find_operator("linear_attention");
  add_step(plan, table, p.dtype, std::make_shared<LinearAttentionProblem>(p),
           static_cast<double>(plan.flops) / kFlopsPerSecond, op);
}

/// Two per multiply-add; the products within a chunk of a causal call are not counted.
int64_t flops_of(const LinearAttentionProblem& p) {
  return 2 * p.n_batch * p.n_d * p.n_e * (p.n_heads * p.n_q + p.n_kv_heads * p.n_k);
}

}  // namespace

Plan plan_linear_attention(const TensorDesc& q, const TensorDesc& k, const TensorDesc& v,
                           const LinearAttentionParams& params, const PlanOptions& options) {
  const CallSite site{params.name};
  const LinearCall call = describe(site, q, k, v, params);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  const TensorDesc o = output_desc(site, q, call.o.shape.data(), q.rank, options.out);
  plan->outputs = {o};
  plan->bytes = bytes_of(q) + bytes_of(k) + bytes_of(v) + bytes_of(o);
  LinearAttentionProblem p = base_problem(call, q, k, v, params, 0);
  plan->flops = flops_of(p);
  if (o.n_elements() == 0) return Plan(std::move(plan));
  p.o = head_array(o, call.q, output_ref(0));
  add_linear_step(*plan, site.op, p);
  return Plan(std::move(plan));
}

Plan plan_linear_attention_backward(const TensorDesc& d_o, const TensorDesc& q, const TensorDesc& k,
                                    const TensorDesc& v, const LinearAttentionParams& params,
                                    const LinearAttentionNeeds& needs, const PlanOptions& options) {
  const CallSite site{params.name};
  const LinearCall call = describe(site, q, k, v, params);
  check_same_array(site, call.o, d_o, "do", "o");
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->bytes = bytes_of(q) + bytes_of(k) + bytes_of(v) + bytes_of(d_o);
  LinearAttentionProblem p = base_problem(call, q, k, v, params, 1);
  p.is_backward = true;
  plan->flops = 3 * flops_of(p);
  p.o = head_array(d_o, call.q, input_ref(0));
  std::vector<TensorDesc>& outputs = plan->outputs;
  const auto add_output = [&](bool needed, const TensorDesc& like, const HeadAxes& axes, bool& has,
                              HeadArray& array) {
    has = needed;
    if (!needed) return;
    outputs.push_back(contiguous_desc(like.dtype, like.shape.data(), like.rank));
    plan->bytes += bytes_of(like);
    array = head_array(outputs.back(), axes, output_ref(static_cast<int>(outputs.size()) - 1));
  };
  add_output(needs.q, q, call.q, p.has_dq, p.dq);
  add_output(needs.k, k, call.k, p.has_dk, p.dk);
  add_output(needs.v, v, call.k, p.has_dv, p.dv);
  if (outputs.empty()) return Plan(std::move(plan));
  if (p.n_batch * p.n_kv_heads * (p.n_q + p.n_k) == 0) return Plan(std::move(plan));
  add_linear_step(*plan, site.op, p);
  return Plan(std::move(plan));
}

}  // namespace swath
