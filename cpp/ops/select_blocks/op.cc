// describe of select_blocks.
#include <swath/ops/select_blocks.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/format.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/common/walk_axes.h"
#include "ops/linear_attention/heads.h"
#include "ops/select_blocks/problem.h"
#include "ops/tokens/compose.h"

namespace swath {
namespace {

int64_t blocks_of(int64_t n, int64_t block) { return (n + block - 1) / block; }

struct SelectCall {
  CallSite site;
  const TensorDesc &q, &k;
  const SelectBlocksParams& params;
  HeadAxes q_axes, k_axes;
};

/// Appends the step that writes means of blocks of tokens as accumulators [B][heads][blocks][D].
ArrayRef add_means(PlanImpl& plan, const SelectCall& call, const TensorDesc& x,
                   const HeadAxes& axes, int slot, int64_t block) {
  const int64_t n = n_tokens(x, axes), n_blocks = blocks_of(n, block);
  const int64_t n_d = x.shape[x.rank - 1], n_heads = x.shape[axes.head];
  TokensProblem p;
  p.dtype = x.dtype;
  p.mode = TokenMode::mean;
  p.has_offsets = true;
  p.y_is_acc = true;
  p.x = input_ref(slot);
  p.y = reserve_temp(plan,
                     item_bytes(accumulator_of(x.dtype)) * x.shape[0] * n_heads * n_blocks * n_d);
  p.offsets = reserve_temp(plan, 8 * (n_blocks + 1));
  p.sources = reserve_temp(plan, 8 * n);
  p.x_rows = token_rows(x, axes.tokens);
  p.y_rows = {1, {n_blocks}, {n_d}};
  p.n_rows = n_blocks;
  p.n_channels = n_d;
  p.x_step = x.strides[x.rank - 1];
  WalkAxes<kTokenArrays> lead{{x.shape[0], {x.strides[0], n_heads * n_blocks * n_d}},
                              {n_heads, {x.strides[axes.head], n_blocks * n_d}}};
  p.lead = make_walk(lead);
  const auto list = [=, to = p.offsets, sources = p.sources](const Buffers& b, int64_t, int64_t) {
    auto* offsets = static_cast<int64_t*>(b.write(to));
    for (int64_t i = 0; i <= n_blocks; ++i) offsets[i] = std::min(i * block, n);
    auto* tokens = static_cast<int64_t*>(b.write(sources));
    for (int64_t i = 0; i < n; ++i) tokens[i] = i;
  };
  add_plain_step(plan, {list}, static_cast<double>(n) * 1e-9);
  add_tokens_step(plan, call.site.op, p, x.shape[0] * n_heads * n);
  return p.y;
}

void check_list(const SelectCall& call, const TensorDesc& x, DType dtype, int rank,
                const char* arg) {
  if (x.dtype == dtype && x.rank == rank) return;
  call.site.fail(x.dtype == dtype ? ErrorCode::shape : ErrorCode::dtype, arg,
                 format("{} has shape {} and dtype {}, needed are {} axes of {}", arg,
                        shape_text(x), name_of(x.dtype), rank, name_of(dtype)));
}

void set_parents(SelectProblem& p, const SelectCall& call, const TensorDesc& indices,
                 const TensorDesc& counts) {
  check_list(call, indices, DType::i32, 4, "parents");
  check_list(call, counts, DType::i32, 3, "parents");
  const auto& [bq, bk] = call.params.block;
  const auto& [pq, pk] = call.params.parent_block;
  if (pq < 1 || pk < 1 || pq % bq != 0 || pk % bk != 0) {
    call.site.fail(ErrorCode::param, "parents",
                   format("parents have blocks of ({}, {}), needed are multiples of ({}, {})", pq,
                          pk, bq, bk));
  }
  const int64_t n_rows = blocks_of(n_tokens(call.q, call.q_axes), pq);
  const auto broadcasts = [](int64_t n, int64_t to) { return n == to || n == 1; };
  if (indices.shape[2] != n_rows || !broadcasts(indices.shape[0], p.n_batch) ||
      !broadcasts(indices.shape[1], p.n_heads)) {
    call.site.fail(ErrorCode::shape, "parents",
                   format("parents have shape {}, needed are {} rows for batch {} and {} heads",
                          shape_text(indices), n_rows, p.n_batch, p.n_heads));
  }
  p.has_parents = true;
  p.q_ratio = pq / bq;
  p.k_ratio = pk / bk;
  p.max_parents = indices.shape[3];
  for (int i = 0; i < 4; ++i) {
    p.parent_stride[i] = i < 2 && indices.shape[i] == 1 ? 0 : indices.strides[i];
  }
  for (int i = 0; i < 3; ++i) {
    p.count_stride[i] = i < 2 && counts.shape[i] == 1 ? 0 : counts.strides[i];
  }
}

/// Counts that fit, and indices that exist and ascend.
void check_parents(const CallSite& site, const SelectProblem& p, int64_t n_parent_blocks,
                   const Buffers& b) {
  const int64_t n_rows = (p.n_q + p.q_ratio - 1) / p.q_ratio;
  for (int64_t i = 0; i < p.n_batch * p.n_heads * n_rows; ++i) {
    const int64_t row = i % n_rows, head = i / n_rows % p.n_heads, batch = i / n_rows / p.n_heads;
    const int64_t n = static_cast<const int32_t*>(
        b.in[3])[batch * p.count_stride[0] + head * p.count_stride[1] + row * p.count_stride[2]];
    const auto* parents = static_cast<const int32_t*>(b.in[2]) + batch * p.parent_stride[0] +
                          head * p.parent_stride[1] + row * p.parent_stride[2];
    int64_t last = 0;
    bool fits = n >= 0 && n <= p.max_parents;
    for (int64_t k = 0; fits && k < n; ++k) {
      const int64_t parent = parents[k * p.parent_stride[3]];
      fits = parent >= last && parent < n_parent_blocks;
      last = parent;
    }
    if (fits) continue;
    site.fail(ErrorCode::param, "parents",
              format("parents of row {} are not ascending block indices below {}, or their count "
                     "is not from 0 to {}",
                     row, n_parent_blocks, p.max_parents));
  }
}

void set_choice(SelectProblem& p, const SelectCall& call) {
  const SelectBlocksParams& params = call.params;
  p.top_k = params.top_k;
  p.top_p = params.top_p;
  p.threshold = params.threshold;
  p.by_weight = params.by_weight;
  if (params.levels.size() > kMaxBlockLevels) {
    call.site.fail(ErrorCode::param, "levels",
                   format("{} levels are given, needed are at most {}", params.levels.size(),
                          kMaxBlockLevels));
  }
  for (const BlockLevel& level : params.levels) p.levels[p.n_levels++] = level;
  p.max_candidates = p.has_parents ? std::min(p.n_k, p.max_parents * p.k_ratio) : p.n_k;
  const int64_t chosen = p.top_k >= 0 ? std::min(p.top_k, p.max_candidates) : p.max_candidates;
  p.k_max = std::min(p.n_k, chosen + params.max_forced);
}

void set_forced(SelectProblem& p, const SelectCall& call, const TensorDesc& forced,
                const TensorDesc* rows) {
  check_list(call, forced, DType::i32, 1, "force");
  p.has_forced = true;
  p.forces_rows = rows != nullptr;
  p.n_forced = forced.shape[0];
  if (rows == nullptr) return;
  check_list(call, *rows, DType::i64, 1, "force");
}

/// Forced blocks exist and ascend within a row, and no row has more than max_forced.
void check_forced(const CallSite& site, const SelectProblem& p, int64_t max_forced,
                  const Buffers& b) {
  const auto* blocks = static_cast<const int32_t*>(b.in[4]);
  const auto* rows = static_cast<const int64_t*>(b.in[5]);
  for (int64_t r = 0; r < (p.forces_rows ? p.n_q : 1); ++r) {
    const int64_t first = p.forces_rows ? rows[r] : 0;
    const int64_t end = p.forces_rows ? rows[r + 1] : p.n_forced;
    bool fits = first >= 0 && end <= p.n_forced && end - first <= max_forced;
    int64_t last = -1;
    for (int64_t i = first; fits && i < end; ++i) {
      fits = blocks[i] > last && blocks[i] < p.n_k;
      last = blocks[i];
    }
    if (fits) continue;
    site.fail(ErrorCode::param, "force",
              format("force is not of ascending block indices from 0 to {}", p.n_k - 1));
  }
}

}  // namespace

Plan plan_select_blocks(const TensorDesc& q, const TensorDesc& k, const TensorDesc* parent_indices,
                        const TensorDesc* parent_counts, const TensorDesc* forced,
                        const TensorDesc* forced_rows, const SelectBlocksParams& params,
                        const PlanOptions& options) {
  const CallSite site{params.name};
  check_floating(site, q, "q");
  const SelectCall call{site,
                        q,
                        k,
                        params,
                        head_axes(site, q, params.layout, "q"),
                        head_axes(site, k, params.layout, "k")};
  check_keys(site, q, call.q_axes, k, call.k_axes);
  if (params.block[0] < 1 || params.block[1] < 1) {
    site.fail(ErrorCode::param, "block", "block is not positive, needed is at least one token");
  }
  SelectProblem p;
  p.dtype = q.dtype;
  p.n_batch = q.shape[0];
  p.n_heads = q.shape[call.q_axes.head];
  p.n_kv_heads = k.shape[call.k_axes.head];
  p.n_d = q.shape[q.rank - 1];
  p.n_q = blocks_of(n_tokens(q, call.q_axes), params.block[0]);
  p.n_k = blocks_of(n_tokens(k, call.k_axes), params.block[1]);
  p.scale = params.has_scale ? params.scale : 1 / std::sqrt(static_cast<double>(p.n_d));
  if (parent_indices != nullptr) set_parents(p, call, *parent_indices, *parent_counts);
  if (forced != nullptr) set_forced(p, call, *forced, forced_rows);
  set_choice(p, call);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->outputs = {contiguous_desc(DType::i32, {p.n_batch, p.n_heads, p.n_q, p.k_max}),
                   contiguous_desc(DType::i32, {p.n_batch, p.n_heads, p.n_q})};
  if (p.n_levels > 0) plan->outputs.push_back(plan->outputs[0]);
  const int64_t n_pairs = p.n_batch * p.n_heads * p.n_q * p.max_candidates;
  plan->flops = 2 * n_pairs * p.n_d + q.n_elements() + k.n_elements();
  plan->bytes =
      item_bytes(q.dtype) * (q.n_elements() + k.n_elements()) + 4 * plan->outputs[0].n_elements();
  if (plan->outputs[1].n_elements() == 0) return Plan(std::move(plan));
  if (p.has_forced) {
    plan->checks.push_back([op = params.name, p, n = params.max_forced](const Buffers& b) {
      check_forced({op}, p, n, b);
    });
  }
  if (p.has_parents) {
    const int64_t n_parents = blocks_of(n_tokens(k, call.k_axes), params.parent_block[1]);
    plan->checks.push_back([op = params.name, p, n_parents](const Buffers& b) {
      check_parents({op}, p, n_parents, b);
    });
  }
  p.q_means = add_means(*plan, call, q, call.q_axes, 0, params.block[0]);
  p.k_means = p.n_k > 0 ? add_means(*plan, call, k, call.k_axes, 1, params.block[1]) : p.q_means;
  static const Operator& table = find_operator("select_blocks");
  constexpr double kSecondsPerFlop = 5e-11, kSecondsPerPair = 3e-9;  // orders of magnitude
  add_step(*plan, table, q.dtype, std::make_shared<SelectProblem>(p),
           static_cast<double>(plan->flops) * kSecondsPerFlop +
               static_cast<double>(n_pairs) * kSecondsPerPair,
           site.op);
  return Plan(std::move(plan));
}

}  // namespace swath
