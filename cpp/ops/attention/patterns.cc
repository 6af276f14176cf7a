// describe of attention: patterns, the lists that some of them have, and relative tables.
#include <algorithm>

#include "ops/attention/describe.h"

namespace swath {

void AttentionDescribe::read_patterns() {
  AttentionProblem& p = problem();
  if (in.patterns.empty() || in.patterns.size() > kMaxPatterns) {
    site.fail(
        ErrorCode::param, "pattern",
        format("pattern is a union of {}, needed are 1 to {}", in.patterns.size(), kMaxPatterns));
  }
  p.n_patterns = static_cast<int32_t>(in.patterns.size());
  p.causal_shift = p.n_k - p.n_q;
  const bool has_table = in.bias != nullptr && params.bias != AttentionBias::pairs;
  const PatternContext context{site,  q.tokens,      k.tokens,  p.n_q,
                               p.n_k, params.causal, has_table, has_table ? in.bias->rank - 1 : 0};
  std::vector<PatternFacts> facts;
  for (int m = 0; m < p.n_patterns; ++m) {
    const AttentionPattern& given = in.patterns[static_cast<size_t>(m)];
    read_lists(given, p.patterns[m], pattern_slot(p.n_extras, m));
    facts.push_back(lower_pattern(context, given, *tables, m));
    n_pairs += facts.back().n_pairs;
  }
  for (int m = 0; m < p.n_patterns; ++m) p.n_prefix = std::max(p.n_prefix, p.patterns[m].n_prefix);
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

void AttentionDescribe::read_lists(const AttentionPattern& given, KeyPattern& out, int slot) {
  if (given.kind == PatternKind::mask) {
    read_mask(*given.indices, out, slot);
  } else if (given.kind == PatternKind::blocks) {
    read_blocks(given, out, slot);
  }
}

void AttentionDescribe::read_mask(const TensorDesc& mask, KeyPattern& out, int slot) {
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

void AttentionDescribe::check_lead(const TensorDesc& x, int n) const {
  const AttentionProblem& p = tables->problem;
  const bool fits =
      (n == 0 || n == 2) && (n == 0 || ((x.shape[0] == 1 || x.shape[0] == p.n_batch) &&
                                        (x.shape[1] == 1 || x.shape[1] == p.n_heads)));
  if (fits) return;
  site.fail(ErrorCode::shape, "pattern",
            format("pattern has a list of shape {}, needed are first axes (B|1, H|1) = ({}, {})",
                   shape_text(x), p.n_batch, p.n_heads));
}

void AttentionDescribe::read_blocks(const AttentionPattern& given, KeyPattern& out, int slot) {
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

void AttentionDescribe::read_table() {
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

int64_t AttentionDescribe::farthest_key(const KeyPattern& pattern, int a) const {
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

}  // namespace swath
