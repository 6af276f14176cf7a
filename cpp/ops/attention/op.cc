// describe of attention: shapes, biases, extra keys, then tables and the one step.
#include <swath/ops/attention.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/format.h"
#include "core/operator.h"
#include "ops/attention/arrays.h"
#include "ops/attention/describe.h"
#include "ops/attention/lower.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

constexpr double kFlopsPerSecond = 40e9;  // of one thread, for deciding about threads and the GIL
constexpr int64_t kMaxHeadSize = 256;

struct Describe {
  const AttentionInputs& in;
  const AttentionParams& params;
  const PlanOptions& options;
  CallSite site;
  HeadAxes q{}, k{}, v{};
  std::shared_ptr<AttentionTables> tables = std::make_shared<AttentionTables>();
  std::shared_ptr<PlanImpl> plan = std::make_shared<PlanImpl>();
  double n_pairs = 0, n_extra_pairs = 0;

  AttentionProblem& problem() { return tables->problem; }

  void check_head_size(const TensorDesc& x, int64_t n, const char* arg) const {
    if (n >= 1 && n <= kMaxHeadSize) return;
    site.fail(ErrorCode::shape, arg,
              format("{} has a head size of {} (shape {}), needed is 1 to {}", arg, n,
                     shape_text(x), kMaxHeadSize));
  }

  HeadAxes read_kv(const TensorDesc& x, const char* arg) const {
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

  /// Keys and values that belong together.
  void check_pair(const TensorDesc& k_desc, const TensorDesc& v_desc, const HeadAxes& a,
                  const HeadAxes& b, const char* k_arg, const char* v_arg) const {
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

  void read_main() {
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

  void read_outputs() {
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

  /// Strides of an array that broadcasts to `shape`, aligned at the last axes.
  void broadcast(const TensorDesc& x, std::initializer_list<int64_t> shape, int64_t* strides,
                 const char* arg, const char* needed) const {
    const auto n = static_cast<int>(shape.size());
    bool fits = x.rank <= n;
    for (int i = 0; i < n && fits; ++i) {
      const int axis = i - (n - x.rank);
      const int64_t want = shape.begin()[i];
      strides[i] = 0;
      if (axis < 0) continue;
      fits = x.shape[axis] == want || x.shape[axis] == 1;
      if (x.shape[axis] != 1) strides[i] = x.strides[axis];
    }
    if (fits) return;
    site.fail(ErrorCode::shape, arg,
              format("{} has shape {}, needed is {} = {}", arg, shape_text(x), needed,
                     shape_text(shape.begin(), n)));
  }
  void need_rank(const TensorDesc& x, int rank, const char* arg, const char* needed) const {
    if (x.rank == rank) return;
    site.fail(ErrorCode::shape, arg,
              format("{} has shape {}, needed is {}", arg, shape_text(x), needed));
  }

  void read_biases() {
    AttentionProblem& p = problem();
    if (in.bias != nullptr && params.bias == AttentionBias::pairs) {
      check_same_kind(site, *in.q, *in.bias, "bias", "q");
      broadcast(*in.bias, {p.n_batch, p.n_heads, p.n_q, p.n_k}, p.bias_stride, "bias",
                "what broadcasts to (B, H, N_q, N_k)");
      p.has_bias = true;
      p.bias = input_ref(3);
    }
    if (in.low_a != nullptr) {
      const char* arg = "bias_lowrank";
      check_same_kind(site, *in.q, *in.low_a, arg, "q");
      check_same_kind(site, *in.q, *in.low_b, arg, "q");
      need_rank(*in.low_a, 4, arg, "a (B|1, H|1, N_q, R)");
      need_rank(*in.low_b, 4, arg, "b (B|1, H|1, N_k, R)");
      p.rank = in.low_a->shape[3];
      if (in.low_b->shape[3] != p.rank) {
        site.fail(
            ErrorCode::shape, arg,
            format("bias_lowrank has ranks {} and {}, needed is one", p.rank, in.low_b->shape[3]));
      }
      const auto exact = [&](const TensorDesc& x, int64_t tokens) {
        if (x.shape[2] == tokens) return;
        site.fail(ErrorCode::shape, arg,
                  format("bias_lowrank has shape {}, there are {} tokens", shape_text(x), tokens));
      };
      exact(*in.low_a, p.n_q);
      exact(*in.low_b, p.n_k);
      broadcast(*in.low_a, {p.n_batch, p.n_heads, p.n_q, p.rank}, p.low_a_stride, arg,
                "(B|1, H|1, N_q, R)");
      broadcast(*in.low_b, {p.n_batch, p.n_heads, p.n_k, p.rank}, p.low_b_stride, arg,
                "(B|1, H|1, N_k, R)");
      p.has_low_rank = p.rank > 0;
      p.low_a = input_ref(4);
      p.low_b = input_ref(5);
    }
    int64_t strides[2];
    if (in.key_bias != nullptr) {
      check_same_kind(site, *in.q, *in.key_bias, "key_bias", "q");
      read_per_key(*in.key_bias, p.n_k, strides, "key_bias");
      p.has_key_bias = true;
      p.key_bias = input_ref(6);
      p.key_bias_batch = strides[0];
      p.key_bias_key = strides[1];
    }
    if (in.key_mask != nullptr) {
      if (in.key_mask->dtype != DType::b8) {
        site.fail(
            ErrorCode::dtype, "key_mask",
            format("key_mask is {}, needed is bool (True: attend)", name_of(in.key_mask->dtype)));
      }
      read_per_key(*in.key_mask, p.n_k, strides, "key_mask");
      p.has_key_mask = true;
      p.key_mask = input_ref(7);
      p.key_mask_batch = strides[0];
      p.key_mask_key = strides[1];
    }
    if (in.sink != nullptr) {
      check_same_kind(site, *in.q, *in.sink, "sink", "q");
      if (in.sink->rank != 1 || in.sink->shape[0] != p.n_heads) {
        site.fail(
            ErrorCode::shape, "sink",
            format("sink has shape {}, needed is (H,) = ({},)", shape_text(*in.sink), p.n_heads));
      }
      p.has_sink = true;
      p.sink = input_ref(8);
      p.sink_stride = in.sink->strides[0];
    }
  }

  /// (B|1, N).
  void read_per_key(const TensorDesc& x, int64_t n, int64_t* strides, const char* arg) const {
    const int64_t batch = problem_batch();
    const bool fits = x.rank == 2 && x.shape[1] == n && (x.shape[0] == batch || x.shape[0] == 1);
    if (!fits) {
      site.fail(
          ErrorCode::shape, arg,
          format("{} has shape {}, needed is (B|1, N) = ({}, {})", arg, shape_text(x), batch, n));
    }
    strides[0] = x.shape[0] == 1 ? 0 : x.strides[0];
    strides[1] = x.strides[1];
  }
  int64_t problem_batch() const { return tables->problem.n_batch; }

  void read_extras() {
    AttentionProblem& p = problem();
    if (in.extras.size() > kMaxExtras) {
      site.fail(
          ErrorCode::param, "extra_kv",
          format("extra_kv has {} entries, needed are at most {}", in.extras.size(), kMaxExtras));
    }
    for (const AttentionExtra& given : in.extras) {
      const int slot = extra_slot(p.n_extras);
      ExtraKeys& e = p.extras[p.n_extras++];
      const HeadAxes a = read_kv(*given.k, "extra_kv"), b = read_kv(*given.v, "extra_kv");
      check_pair(*given.k, *given.v, a, b, "extra_kv", "extra_kv");
      if (a.heads != k.heads || b.size != v.size) {
        site.fail(ErrorCode::shape, "extra_kv",
                  format("extra_kv has shapes {} and {}, needed are the heads and sizes of k and v",
                         shape_text(*given.k), shape_text(*given.v)));
      }
      e.k = token_array(*given.k, params.heads_last, input_ref(slot));
      e.v = token_array(*given.v, params.heads_last, input_ref(slot + 1));
      e.n = a.n_tokens();
      e.log_weight = given.log_weight;
      e.grid_only = given.grid_only;
      if (given.log_weights == nullptr) continue;
      check_same_kind(site, *in.q, *given.log_weights, "extra_kv", "q");
      int64_t strides[2];
      read_per_key(*given.log_weights, e.n, strides, "extra_kv");
      e.has_weights = true;
      e.weights = input_ref(slot + 2);
      e.weights_batch = strides[0];
      e.weights_key = strides[1];
    }
  }

  void read_patterns() {
    AttentionProblem& p = problem();
    if (in.patterns.empty() || in.patterns.size() > kMaxPatterns) {
      site.fail(
          ErrorCode::param, "pattern",
          format("pattern is a union of {}, needed are 1 to {}", in.patterns.size(), kMaxPatterns));
    }
    p.n_patterns = static_cast<int32_t>(in.patterns.size());
    p.causal_shift = p.n_k - p.n_q;
    const bool has_table = in.bias != nullptr && params.bias != AttentionBias::pairs;
    const PatternContext context{
        site,  q.tokens,      k.tokens,  p.n_q,
        p.n_k, params.causal, has_table, has_table ? in.bias->rank - 1 : 0};
    std::vector<PatternFacts> facts;
    for (int m = 0; m < p.n_patterns; ++m) {
      const AttentionPattern& given = in.patterns[static_cast<size_t>(m)];
      read_lists(given, p.patterns[m], pattern_slot(p.n_extras, m));
      facts.push_back(lower_pattern(context, given, *tables, m));
      n_pairs += facts.back().n_pairs;
    }
    for (int m = 0; m < p.n_patterns; ++m)
      p.n_prefix = std::max(p.n_prefix, p.patterns[m].n_prefix);
    bool all_share = true;
    for (int m = 0; m < p.n_patterns; ++m) {
      KeyPattern& member = p.patterns[m];
      const bool has_tiles_of_first = facts[static_cast<size_t>(m)].grid == facts[0].grid;
      member.shares_tiles = has_tiles_of_first && member.n_prefix == p.n_prefix;
      all_share = all_share && member.shares_tiles;
    }
    if (!all_share) {
      for (int m = 0; m < p.n_patterns; ++m) p.patterns[m].shares_tiles = false;
    }
    n_pairs = std::min(n_pairs, static_cast<double>(p.n_q) * static_cast<double>(p.n_k));
    for (const AttentionExtra& given : in.extras) {
      const ExtraKeys& e = p.extras[&given - in.extras.data()];
      n_extra_pairs +=
          static_cast<double>(e.grid_only ? p.n_q - p.n_prefix : p.n_q) * static_cast<double>(e.n);
    }
    if (has_table) read_table();
    make_query_tiles(*tables, facts[0], p.n_q - p.n_prefix);
  }

  void read_lists(const AttentionPattern& given, KeyPattern& out, int slot) {
    if (given.kind == PatternKind::mask) {
      read_mask(*given.indices, out, slot);
    } else if (given.kind == PatternKind::blocks) {
      read_blocks(given, out, slot);
    }
  }

  void read_mask(const TensorDesc& mask, KeyPattern& out, int slot) {
    if (mask.dtype != DType::b8) {
      site.fail(ErrorCode::dtype, "pattern",
                format("pattern has a mask of {}, needed is bool", name_of(mask.dtype)));
    }
    check_lead(mask, mask.rank - 2);
    out.list = input_ref(slot);
    for (int i = 0; i < 4; ++i) {
      const int axis = i - (4 - mask.rank);
      out.list_stride[i] = axis < 0 || (i < 2 && mask.shape[axis] == 1) ? 0 : mask.strides[axis];
    }
  }

  /// The first axes of a list are (B|1, H|1).
  void check_lead(const TensorDesc& x, int n) const {
    const AttentionProblem& p = tables->problem;
    const bool fits =
        (n == 0 || n == 2) && (n == 0 || ((x.shape[0] == 1 || x.shape[0] == p.n_batch) &&
                                          (x.shape[1] == 1 || x.shape[1] == p.n_heads)));
    if (fits) return;
    site.fail(ErrorCode::shape, "pattern",
              format("pattern has a list of shape {}, needed are first axes (B|1, H|1) = ({}, {})",
                     shape_text(x), p.n_batch, p.n_heads));
  }

  void read_blocks(const AttentionPattern& given, KeyPattern& out, int slot) {
    const AttentionProblem& p = problem();
    const auto is_list = [&](const TensorDesc* x, int rank, const char* name) {
      if (x->rank != rank) {
        site.fail(
            ErrorCode::shape, "pattern",
            format("pattern has {} of shape {}, needed are {} axes", name, shape_text(*x), rank));
      }
      if (x->dtype != DType::i32) {
        site.fail(ErrorCode::dtype, "pattern",
                  format("pattern has {} of {}, needed is int32", name, name_of(x->dtype)));
      }
      check_lead(*x, 2);
      for (int i = 0; i < 3; ++i) {
        if (x->shape[i] == given.indices->shape[i]) continue;
        site.fail(ErrorCode::shape, "pattern",
                  format("pattern has {} of shape {}, its indices have {}", name, shape_text(*x),
                         shape_text(*given.indices)));
      }
    };
    is_list(given.indices, 4, "indices");
    is_list(given.counts, 3, "counts");
    if (given.levels != nullptr) is_list(given.levels, 4, "levels");
    if (given.block_q < 1 || given.block_k < 1) {
      site.fail(ErrorCode::param, "pattern", "pattern has blocks of no tokens");
    }
    out.block_q = given.block_q;
    out.block_k = given.block_k;
    out.list = input_ref(slot);
    out.counts = input_ref(slot + 1);
    const auto strides = [](const TensorDesc& x, int64_t* to) {
      for (int i = 0; i < x.rank; ++i) to[i] = i < 2 && x.shape[i] == 1 ? 0 : x.strides[i];
    };
    strides(*given.indices, out.list_stride);
    strides(*given.counts, out.count_stride);
    out.has_levels = given.levels != nullptr;
    if (out.has_levels) {
      out.levels = input_ref(slot + 2);
      strides(*given.levels, out.level_stride);
      const bool has_pairs = in.bias != nullptr || in.low_a != nullptr || in.key_bias != nullptr ||
                             in.key_mask != nullptr || params.causal;
      if (has_pairs) {
        site.fail(ErrorCode::param, "pattern",
                  "pattern has levels, whose means of keys have no bias, key_mask or causal order");
      }
    }
    const int64_t n_keys = p.n_k - given.n_prefix;
    plan->checks.push_back(
        block_check(params.name, given, out, (n_keys + given.block_k - 1) / given.block_k));
  }

  void read_table() {
    AttentionProblem& p = problem();
    const TensorDesc& table = *in.bias;
    const KeyPattern& pattern = p.patterns[0];
    check_same_kind(site, *in.q, table, "bias", "q");
    const bool has_places = pattern.kind == KeyKind::intervals || pattern.kind == KeyKind::disk;
    if (p.n_patterns > 1 || !has_places) {
      site.fail(ErrorCode::unsupported, "bias",
                "bias is a relative table, needed is a pattern on a grid: give the bias of all "
                "pairs");
    }
    bool fits =
        table.rank == pattern.n_axes + 1 && (table.shape[0] == p.n_heads || table.shape[0] == 1);
    const int64_t sign = params.bias == AttentionBias::key_minus_query ? 1 : -1;
    p.table_head = table.shape[0] == 1 ? 0 : table.strides[0];
    for (int a = 0; fits && a < pattern.n_axes; ++a) {
      const int64_t size = table.shape[a + 1] / 2 + 1;
      fits = table.shape[a + 1] % 2 == 1 && farthest_key(pattern, a) < size;
      p.table_stride[a] = sign * table.strides[a + 1];
      p.table_centre += (size - 1) * table.strides[a + 1];
    }
    if (!fits) {
      site.fail(ErrorCode::shape, "bias",
                format("bias is a relative table of shape {}, needed is (H, 2 K - 1, ...) with {} "
                       "axes of positions that reach all keys of the pattern",
                       shape_text(table), pattern.n_axes));
    }
    p.has_table = true;
    p.bias = input_ref(3);
  }

  /// How far from its query a key of an axis may lie.
  int64_t farthest_key(const KeyPattern& pattern, int a) const {
    const KeyAxis& axis = pattern.axes[a];
    if (pattern.kind == KeyKind::disk) return std::min(pattern.reach, axis.n_k - 1);
    int64_t most = 0;
    for (int64_t i = 0; i < pattern.query_extent[a]; ++i) {
      if (axis.lo[i] >= axis.hi[i]) continue;
      const int64_t at = (i - axis.rotation + axis.n_k) % std::max<int64_t>(axis.n_k, 1);
      const int64_t unit = at / axis.dilation;
      most = std::max({most, unit - axis.lo[i], axis.hi[i] - 1 - unit});
    }
    return most;
  }

  Plan finish() {
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
};

}  // namespace

AttentionDescription describe_attention(const AttentionInputs& inputs,
                                        const AttentionParams& params, const PlanOptions& options,
                                        const std::shared_ptr<PlanImpl>& plan) {
  Describe d{inputs, params, options, {params.name}};
  d.plan = plan;
  d.read_main();
  d.read_biases();
  d.read_extras();
  d.read_patterns();
  return {d.tables, d.q, d.k, d.v, d.n_pairs + d.n_extra_pairs};
}

Plan plan_attention(const AttentionInputs& inputs, const AttentionParams& params,
                    const PlanOptions& options) {
  Describe d{inputs, params, options, {params.name}};
  d.read_main();
  d.read_biases();
  d.read_extras();
  d.read_patterns();
  d.read_outputs();
  return d.finish();
}

}  // namespace swath
