// describe of attention: q, k, v and the outputs, then the one step.
#include <algorithm>
#include <cmath>

#include "ops/attention/describe.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

constexpr double kFlopsPerSecond = 40e9;  // of one thread, for deciding about threads and the GIL
constexpr int64_t kMaxHeadSize = 256;

}  // namespace

void AttentionDescribe::check_head_size(const TensorDesc& x, int64_t n, const char* arg) const {
  if (n >= 1 && n <= kMaxHeadSize) return;
  site.fail(ErrorCode::shape, arg,
            format("{} has a head size of {} (shape {}), needed is 1 to {}", arg, n, shape_text(x),
                   kMaxHeadSize));
}

HeadAxes AttentionDescribe::read_kv(const TensorDesc& x, const char* arg) const {
  check_same_kind(site, *in.q, x, arg, "q");
  const HeadAxes axes = head_axes(site, x, params.heads_last, arg);
  if (axes.batch != q.batch) {
    site.fail(ErrorCode::shape, arg,
              format("{} has a batch of {}, q of {}", arg, axes.batch, q.batch));
  }
  const bool fits = axes.heads == q.heads || (axes.heads > 0 && q.heads % axes.heads == 0);
  if (!fits) {
    site.fail(ErrorCode::shape, arg,
              format("{} has {} heads, q has {}: needed is a divisor", arg, axes.heads, q.heads));
  }
  return axes;
}

void AttentionDescribe::check_pair(const TensorDesc& k_desc, const TensorDesc& v_desc,
                                   const HeadAxes& a, const HeadAxes& b, const char* k_arg,
                                   const char* v_arg) const {
  if (a.size != q.size) {
    site.fail(ErrorCode::shape, k_arg,
              format("{} has a head size of {} (shape {}), q of {}", k_arg, a.size,
                     shape_text(k_desc), q.size));
  }
  if (a.tokens != b.tokens || a.heads != b.heads) {
    site.fail(ErrorCode::shape, v_arg,
              format("{} has shape {}, {} has {}: needed are the same heads and tokens", v_arg,
                     shape_text(v_desc), k_arg, shape_text(k_desc)));
  }
}

void AttentionDescribe::read_main() {
  check_floating(site, *in.q, "q");
  q = head_axes(site, *in.q, params.heads_last, "q");
  check_head_size(*in.q, q.size, "q");
  k = read_kv(*in.k, "k");
  v = read_kv(*in.v, "v");
  check_pair(*in.k, *in.v, k, v, "k", "v");
  check_head_size(*in.v, v.size, "v");
  AttentionProblem& p = problem();
  p.dtype = in.q->dtype;
  p.tile = p.dtype == DType::f64 ? 8 : kMaxTile;
  p.n_batch = q.batch;
  p.n_heads = q.heads;
  p.heads_per_kv = k.heads > 0 ? q.heads / k.heads : 1;
  p.n_q = q.n_tokens();
  p.n_k = k.n_tokens();
  p.d = q.size;
  p.d_v = v.size;
  p.q = token_array(*in.q, params.heads_last, input_ref(0));
  p.k = token_array(*in.k, params.heads_last, input_ref(1));
  p.v = token_array(*in.v, params.heads_last, input_ref(2));
  p.scale = params.has_scale ? params.scale : 1 / std::sqrt(static_cast<double>(p.d));
  if (params.softcap < 0) {
    site.fail(ErrorCode::param, "softcap",
              format("softcap is {}, needed is a positive number", params.softcap));
  }
  p.softcap = params.softcap;
}

void AttentionDescribe::read_outputs() {
  AttentionProblem& p = problem();
  int64_t shape[kMaxRank];
  std::copy(in.q->shape.begin(), in.q->shape.end(), shape);
  shape[in.q->rank - 1] = v.size;
  const TensorDesc o = output_desc(site, *in.q, shape, in.q->rank, options.out);
  plan->outputs = {o};
  p.o = token_array(o, params.heads_last, output_ref(0));
  if (!params.return_lse) return;
  TensorDesc lse = contiguous_desc(accumulator_of(p.dtype), shape, in.q->rank - 1);
  lse.device = in.q->device;
  p.has_lse = true;
  p.lse = output_ref(1);
  p.lse_batch = lse.strides[0];
  p.lse_head = params.heads_last ? 1 : lse.strides[1];
  p.lse_token = params.heads_last ? std::max<int64_t>(q.heads, 1) : 1;
  plan->outputs.push_back(lse);
}

Plan AttentionDescribe::finish() {
  AttentionProblem& p = problem();
  const double heads = static_cast<double>(p.n_batch) * static_cast<double>(p.n_heads);
  const double flops = 2 * heads * (n_pairs + n_extra_pairs) * static_cast<double>(p.d + p.d_v);
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->flops = static_cast<int64_t>(flops);
  const auto add_bytes = [&](const TensorDesc* x) {
    if (x != nullptr) plan->bytes += item_bytes(x->dtype) * x->n_elements();
  };
  for (const TensorDesc* x :
       {in.q, in.k, in.v, in.bias, in.low_a, in.low_b, in.key_bias, in.key_mask, in.sink}) {
    add_bytes(x);
  }
  for (const AttentionExtra& e : in.extras) {
    for (const TensorDesc* x : {e.k, e.v, e.log_weights}) add_bytes(x);
  }
  for (const AttentionPattern& m : in.patterns) {
    for (const TensorDesc* x : {m.indices, m.counts, m.levels}) add_bytes(x);
  }
  for (const TensorDesc& x : plan->outputs) add_bytes(&x);
  if (p.n_batch * p.n_heads * p.n_q == 0) return Plan(std::move(plan));
  static const Operator& table = find_operator("attention");
  std::shared_ptr<const void> shared(tables, &tables->problem);
  add_step(*plan, table, p.dtype, std::move(shared), flops / kFlopsPerSecond, params.name);
  return Plan(std::move(plan));
}

Plan plan_attention(const AttentionInputs& inputs, const AttentionParams& params,
                    const PlanOptions& options) {
  AttentionDescribe d{inputs, params, options, {params.name}};
  d.read_main();
  d.read_biases();
  d.read_extras();
  d.read_patterns();
  d.read_outputs();
  return d.finish();
}

}  // namespace swath
