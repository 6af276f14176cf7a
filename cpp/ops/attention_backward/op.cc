// describe of attention's backward: what is summed where, one walk, then the sums of the parts.
#include <swath/ops/attention_backward.h>

#include <algorithm>
#include <array>

#include "core/format.h"
#include "ops/attention/describe.h"
#include "ops/attention_backward/combine.h"
#include "ops/attention_backward/problem.h"
#include "ops/common/partial_sums.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

constexpr double kFlopsPerSecond = 40e9;  // of one thread
constexpr int64_t kMinTiles = 4;          // of a part
constexpr int kAlign = 16;                // accumulators of a row of sums: whole vectors

/// The problem points to the tables: both live as long as the plan.
struct Held {
  std::shared_ptr<AttentionTables> tables;
  std::shared_ptr<AttentionGradProblem> problem;
};

struct Describe {
  const AttentionInputs& in;
  const AttentionGradInputs& grads;
  const AttentionParams& params;
  const AttentionNeeds& needs;
  CallSite site;
  AttentionDescribe forward;
  std::shared_ptr<PlanImpl> plan = forward.plan;
  std::shared_ptr<AttentionGradProblem> problem = std::make_shared<AttentionGradProblem>();
  std::vector<CombineRows> rows{};
  struct Finish {
    PartialSums sums;
    ArrayRef from, to;
    int64_t offset;
  };
  std::vector<Finish> finishes{};

  AttentionGradProblem& g() const { return *problem; }
  const AttentionProblem& p() const { return problem->walk; }
  int64_t item() const { return accumulator_bytes(p().dtype); }

  void check_arrays() {
    const int slot = attention_grad_slot(p().n_extras, p().n_patterns);
    const auto shape_like_q = [&](int64_t size) {
      std::array<int64_t, kMaxRank> shape = in.q->shape;
      shape[static_cast<size_t>(in.q->rank) - 1] = size;
      return contiguous_desc(in.q->dtype, shape.data(), in.q->rank);
    };
    const TensorDesc o = shape_like_q(p().d_v);
    const auto read = [&](const TensorDesc& x, const char* arg, int at) {
      check_same_kind(site, *in.q, x, arg, "q");
      check_shape(x, o, arg, "the shape of o");
      return token_array(x, params.heads_last, input_ref(at));
    };
    g().grad = read(*grads.grad, "do", slot);
    g().o = read(*grads.o, "o", slot + 1);
    TensorDesc lse = o;
    --lse.rank;
    lse.dtype = accumulator_of(p().dtype);
    const auto read_lse = [&](const TensorDesc& x, const char* arg, int at) {
      if (x.dtype != lse.dtype) {
        site.fail(ErrorCode::dtype, arg,
                  format("{} is {}, needed is {}", arg, name_of(x.dtype), name_of(lse.dtype)));
      }
      if (x.device != in.q->device) {
        TensorDesc same = x;
        same.dtype = in.q->dtype;
        check_same_kind(site, *in.q, same, arg, "q");
      }
      check_shape(x, lse, arg, "q's without D");
      TensorDesc with_unit = x;  // an axis of one more, for token_array
      with_unit.shape[static_cast<size_t>(x.rank)] = 1;
      with_unit.strides[static_cast<size_t>(x.rank)] = 1;
      ++with_unit.rank;
      return token_array(with_unit, params.heads_last, input_ref(at));
    };
    g().lse = read_lse(*grads.lse, "lse", slot + 2);
    g().has_dlse = grads.dlse != nullptr;
    if (g().has_dlse) g().dlse = read_lse(*grads.dlse, "dlse", slot + 3);
  }

  void check_shape(const TensorDesc& x, const TensorDesc& like, const char* arg,
                   const char* needed) const {
    bool fits = x.rank == like.rank;
    for (int i = 0; fits && i < x.rank; ++i) fits = x.shape[i] == like.shape[i];
    if (fits) return;
    site.fail(
        ErrorCode::shape, arg,
        format("{} has shape {}, needed is {} {}", arg, shape_text(x), needed, shape_text(like)));
  }

  ArrayRef add_output(const TensorDesc& desc) {
    plan->outputs.push_back(desc);
    plan->outputs.back().device = in.q->device;
    return output_ref(static_cast<int>(plan->outputs.size()) - 1);
  }
  static TensorDesc dense(const TensorDesc& x) {
    return contiguous_desc(x.dtype, x.shape.data(), x.rank);
  }

  /// How the work is cut: by the shape, and by the batch only where sums over it are asked for.
  void cut_work() {
    const bool sums_batch = (needs.bias && in.bias != nullptr) ||
                            (needs.low_rank && p().has_low_rank) ||
                            (needs.key_bias && in.key_bias != nullptr) ||
                            (needs.sink && in.sink != nullptr) || has_weights();
    g().n_kv_heads = std::max<int64_t>(forward.k.heads, 1);
    const int64_t heads = std::min<int64_t>(g().n_kv_heads, kMaxPartialSums);
    g().n_head_groups = sums_batch ? heads : g().n_kv_heads;
    g().n_parts = std::clamp<int64_t>(p().n_tiles() / kMinTiles, 1, kMaxPartialSums / heads);
    const int64_t most = std::max<int64_t>(1, kMaxPartialSums / (heads * g().n_parts));
    g().n_groups = sums_batch ? std::min(p().n_batch, most) : p().n_batch;
  }
  bool has_weights() const {
    return needs.extras && std::any_of(in.extras.begin(), in.extras.end(),
                                       [](const AttentionExtra& e) { return e.log_weights; });
  }

  /// Sums into an array of `x`'s shape; its axes 0..3 are b, h, query, key where `axes` says so.
  void add_sum(BroadcastSum& to, const TensorDesc& x, const std::array<int, 4>& axes,
               bool sums_queries, const ArrayRef& out, int64_t offset) {
    to.is_wanted = true;
    to.n = x.n_elements();
    const TensorDesc flat = dense(x);
    for (size_t i = 0; i < 4; ++i) {
      const int axis = axes[i];
      to.stride[i] = axis < 0 || flat.shape[axis] == 1 ? 0 : flat.strides[axis];
    }
    const int64_t n_part = sums_queries ? g().n_parts : 1;
    const int64_t n_head = to.stride[1] == 0 ? g().n_head_groups : 1;
    const int64_t n_group = to.stride[0] == 0 ? g().n_groups : 1;
    to.n_copies = n_part * n_head * n_group;
    to.copy_part = n_part > 1 ? 1 : 0;
    to.copy_head = n_head > 1 ? n_part : 0;
    to.copy_group = n_group > 1 ? n_part * n_head : 0;
    const PartialSums sums{p().dtype, to.n_copies, to.n, to.n};
    to.ref = reserve_partials(*plan, sums);
    if (to.n == 0) return;
    add_zero_step(*plan, to.ref, to.n_copies * to.n * item());
    finishes.push_back({sums, to.ref, out, offset});
  }

  void add_keys(KeySums& to, const TensorDesc& k, const TensorDesc& v, int64_t n,
                const ArrayRef& k_out, int64_t k_offset, const ArrayRef& v_out, int64_t v_offset,
                bool wants_k, bool wants_v) {
    const int64_t units = p().n_batch * g().n_kv_heads * g().n_parts;
    to.n = n;
    to.dk = reserve_temp(*plan, units * n * g().k_width * item());
    to.dv = reserve_temp(*plan, units * n * g().v_width * item());
    to.range = reserve_temp(*plan, units * 2 * static_cast<int64_t>(sizeof(int64_t)));
    const auto add = [&](const TensorDesc& x, const ArrayRef& from, const ArrayRef& out,
                         int64_t offset, int64_t n_d, int64_t width, KeyGrad& whole) {
      const TokenArray array = token_array(dense(x), params.heads_last, out);
      if (g().n_parts == 1) {
        whole = {true, array, offset, n_d};
        return;
      }
      CombineRows c;
      c.dtype = p().dtype;
      c.from = from;
      c.range = to.range;
      c.to = array;
      c.offset = offset;
      c.n_batch = p().n_batch;
      c.n_heads = g().n_kv_heads;
      c.n_parts = g().n_parts;
      c.n = n;
      c.n_d = n_d;
      c.width = width;
      rows.push_back(c);
    };
    if (wants_k) add(k, to.dk, k_out, k_offset, p().d, g().k_width, to.k_grad);
    if (wants_v) add(v, to.dv, v_out, v_offset, p().d_v, g().v_width, to.v_grad);
  }

  void add_main() {
    g().needs_q = needs.q;
    if (needs.q) g().dq = token_array(dense(*in.q), params.heads_last, add_output(dense(*in.q)));
    ArrayRef dk{}, dv{};
    if (needs.k) dk = add_output(dense(*in.k));
    if (needs.v) dv = add_output(dense(*in.v));
    const bool has_extras = needs.extras && !in.extras.empty();
    g().needs_kv = needs.k || needs.v || has_extras;
    const auto whole = [](int64_t n) { return (n + kAlign - 1) / kAlign * kAlign; };
    g().k_width = whole(p().d);
    g().v_width = whole(p().d_v);
    if (g().needs_kv) {
      add_keys(g().keys[0], *in.k, *in.v, p().n_k, dk, 0, dv, 0, needs.k, needs.v);
    }
  }

  void add_biases() {
    if (needs.bias && in.bias != nullptr) {
      const TensorDesc& x = *in.bias;
      const ArrayRef out = add_output(dense(x));
      const bool is_pairs = params.bias == AttentionBias::pairs;
      if (is_pairs) {
        const auto axis = [&](int i) { return i - (4 - x.rank); };
        add_sum(g().bias, x, {axis(0), axis(1), axis(2), axis(3)},
                axis(2) < 0 || x.shape[axis(2)] == 1, out, 0);
      } else {
        add_sum(g().table, x, {-1, 0, -1, -1}, true, out, 0);
        place_table(dense(x));
      }
    }
    if (needs.low_rank && in.low_a != nullptr) {
      const ArrayRef a = add_output(dense(*in.low_a)), b = add_output(dense(*in.low_b));
      add_sum(g().low_a, *in.low_a, {0, 1, 2, 3}, p().n_q == 1, a, 0);
      add_sum(g().low_b, *in.low_b, {0, 1, 2, 3}, true, b, 0);
    }
    if (needs.key_bias && in.key_bias != nullptr) {
      add_sum(g().key_bias, *in.key_bias, {0, -1, 1, -1}, true, add_output(dense(*in.key_bias)), 0);
    }
    if (needs.sink && in.sink != nullptr) {
      add_sum(g().sink, *in.sink, {-1, 0, -1, -1}, true, add_output(dense(*in.sink)), 0);
    }
  }

  void place_table(const TensorDesc& x) {
    const int64_t sign = params.bias == AttentionBias::key_minus_query ? 1 : -1;
    for (int a = 0; a < p().patterns[0].n_axes; ++a) {
      g().table_stride[a] = sign * x.strides[a + 1];
      g().table_centre += x.shape[a + 1] / 2 * x.strides[a + 1];
    }
  }

  /// All of them in one array: plans have few outputs.
  void add_extras() {
    const bool is_wanted = needs.extras && !in.extras.empty();
    int64_t total = 0;
    for (const AttentionExtra& e : in.extras) {
      total += e.k->n_elements() + e.v->n_elements();
      if (e.log_weights != nullptr) total += e.log_weights->n_elements();
    }
    ArrayRef out{};
    if (is_wanted) out = add_output(contiguous_desc(p().dtype, {total}));
    int64_t at = 0;
    for (size_t i = 0; i < in.extras.size(); ++i) {
      const AttentionExtra& e = in.extras[i];
      const int64_t v_at = at + e.k->n_elements(), w_at = v_at + e.v->n_elements();
      if (g().needs_kv) {
        add_keys(g().keys[i + 1], *e.k, *e.v, p().extras[i].n, out, at, out, v_at, is_wanted,
                 is_wanted);
      }
      at = w_at;
      if (e.log_weights == nullptr) continue;
      if (is_wanted) add_sum(g().weights[i], *e.log_weights, {0, -1, 1, -1}, true, out, w_at);
      at += e.log_weights->n_elements();
    }
  }

  Plan run(const PlanOptions& options) {
    plan->op = params.name;
    plan->wants_reasons = options.explain;
    forward.read_main();
    forward.read_biases();
    forward.read_extras();
    forward.read_patterns();
    g().walk = forward.tables->problem;
    g().softcap = p().softcap;
    g().walk.softcap = 0;
    if (attention_grad_slot(p().n_extras, p().n_patterns) + 4 > kMaxInputs) {
      site.fail(ErrorCode::unsupported, "extra_kv",
                format("extra_kv has {} entries and pattern {} members, needed are at most 6 "
                       "together",
                       p().n_extras, p().n_patterns));
    }
    check_arrays();
    cut_work();
    add_main();
    add_biases();
    add_extras();
    finish();
    return Plan(std::move(plan));
  }

  void finish() {
    const double heads = static_cast<double>(p().n_batch) * static_cast<double>(p().n_heads);
    const double flops = heads * (forward.n_pairs + forward.n_extra_pairs) *
                         static_cast<double>(6 * p().d + 4 * p().d_v);
    plan->flops = static_cast<int64_t>(flops);
    const auto bytes = [&](const TensorDesc* x) {
      if (x != nullptr) plan->bytes += item_bytes(x->dtype) * x->n_elements();
    };
    for (const TensorDesc* x : {in.q, in.k, in.v, in.bias, in.low_a, in.low_b, in.key_bias,
                                in.key_mask, in.sink, grads.grad, grads.o, grads.lse, grads.dlse}) {
      bytes(x);
    }
    for (const AttentionExtra& e : in.extras) {
      for (const TensorDesc* x : {e.k, e.v, e.log_weights}) bytes(x);
    }
    for (const TensorDesc& x : plan->outputs) bytes(&x);
    if (plan->outputs.empty()) return;
    if (p().n_batch * p().n_heads * p().n_q == 0) {
      plan->steps.clear();
      for (size_t i = 0; i < plan->outputs.size(); ++i) {
        const TensorDesc& x = plan->outputs[i];
        const int64_t n = item_bytes(x.dtype) * x.n_elements();
        if (n > 0) add_zero_step(*plan, output_ref(static_cast<int>(i)), n);
      }
      return;
    }
    static const Operator& table = find_operator("attention_backward");
    const auto held = std::make_shared<Held>(Held{forward.tables, problem});
    std::shared_ptr<const void> shared(held, held->problem.get());
    add_step(*plan, table, p().dtype, std::move(shared), flops / kFlopsPerSecond, params.name);
    for (const CombineRows& c : rows) add_combine_step(*plan, c);
    for (const Finish& f : finishes) add_partial_sums(*plan, f.sums, f.from, f.to, f.offset);
  }
};

}  // namespace

Plan plan_attention_backward(const AttentionInputs& inputs, const AttentionGradInputs& grads,
                             const AttentionParams& params, const AttentionNeeds& needs,
                             const PlanOptions& options) {
  Describe d{inputs, grads, params, needs, {params.name}, {inputs, params, options, {params.name}}};
  return d.run(options);
}

}  // namespace swath
