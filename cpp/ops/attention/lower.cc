#include "ops/attention/lower.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"
#include "ops/attention/axes.h"

namespace swath {
namespace {

int64_t product(const TokenShape& n) {
  int64_t all = 1;
  for (int64_t v : n) all *= v;
  return all;
}

bool is_on_grid(PatternKind kind) {
  return kind == PatternKind::neighborhood || kind == PatternKind::disk ||
         kind == PatternKind::window || kind == PatternKind::halo;
}

std::string shape_of(const TokenShape& n) {
  return shape_text(n.data(), static_cast<int>(n.size()));
}

/// The grid of a pattern that has one.
TokenShape find_grid(const PatternContext& c, const AttentionPattern& p) {
  const auto fail = [&](ErrorCode code, const std::string& text) {
    c.site.fail(code, "pattern", text);
  };
  TokenShape grid;
  if (p.has_grid) {
    grid = p.grid;
  } else if (p.n_prefix == 0 &&
             (p.n_axes == 0 || p.n_axes == static_cast<int>(c.q_tokens.size()))) {
    grid = c.q_tokens;
  } else if (p.n_axes <= 1) {
    grid = {c.n_q - p.n_prefix};
  } else {
    fail(ErrorCode::param, format("pattern has {} axes and no grid, q has tokens {}: needed is "
                                  "grid=(...)",
                                  p.n_axes, shape_of(c.q_tokens)));
  }
  const bool is_same = c.k_tokens.size() == 1 || c.q_tokens.size() == 1 || c.k_tokens == c.q_tokens;
  if (c.n_q != product(grid) + p.n_prefix || c.n_k != c.n_q || !is_same) {
    fail(ErrorCode::shape,
         format("pattern is about a grid {} after {} prefix tokens, q has tokens {} and k {}",
                shape_of(grid), p.n_prefix, shape_of(c.q_tokens), shape_of(c.k_tokens)));
  }
  return grid;
}

/// causal=True on a table of one axis: whether it could be done there.
bool fold_causal(AxisTable& t, const KeyAxis& key, bool has_regions) {
  if (key.wraps || has_regions) return false;
  const auto n = static_cast<int64_t>(t.lo.size());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = modulo(i - key.rotation, n) / key.dilation;
    auto& end = t.hi[static_cast<size_t>(i)];
    end = std::max(t.lo[static_cast<size_t>(i)], std::min(end, at + 1));
  }
  return true;
}

double sum_lengths(const AxisTable& t) {
  double sum = 0;
  for (size_t i = 0; i < t.lo.size(); ++i) sum += static_cast<double>(t.hi[i] - t.lo[i]);
  return sum;
}

void keep_axis(AttentionTables& tables, KeyAxis& key, AxisTable t, bool has_regions) {
  key.lo = tables.keep(std::move(t.lo));
  key.hi = tables.keep(std::move(t.hi));
  if (!has_regions) return;
  key.region_lo = tables.keep(std::move(t.region_lo));
  key.region_hi = tables.keep(std::move(t.region_hi));
}

/// Pairs at most `width` apart on an axis of n places.
double pairs_within(int64_t n, int64_t width) {
  double sum = 0;
  for (int64_t d = -width; d <= width; ++d)
    sum += static_cast<double>(std::max<int64_t>(0, n - std::abs(d)));
  return sum;
}

void lower_disk(const AttentionPattern& p, const TokenShape& grid, AttentionTables& tables,
                KeyPattern& out, PatternFacts& facts) {
  out.kind = KeyKind::disk;
  out.radius = p.radius;
  const int64_t longest = *std::max_element(grid.begin(), grid.end());
  const int64_t reach = std::min<int64_t>(static_cast<int64_t>(std::ceil(p.radius)) - 1,
                                          std::max<int64_t>(longest - 1, 0));
  out.reach = reach;
  const int n_outer = static_cast<int>(grid.size()) - 1;
  std::vector<int64_t> widths;
  const auto width_at = [&](int64_t outer) {
    int64_t w = reach;
    while (w >= 0 && static_cast<double>(outer + w * w) >= p.radius * p.radius) --w;
    return w;
  };
  const int64_t nz = n_outer == 2 ? reach + 1 : 1, ny = n_outer >= 1 ? reach + 1 : 1;
  for (int64_t z = 0; z < nz; ++z) {
    for (int64_t y = 0; y < ny; ++y) {
      const int64_t width = width_at(z * z + y * y);
      widths.push_back(width);
      if (width < 0) continue;
      double pairs = pairs_within(grid.back(), width);
      const auto count = [&](int64_t n, int64_t d) {
        pairs *= static_cast<double>(std::max<int64_t>(0, n - d) * (d == 0 ? 1 : 2));
      };
      if (n_outer == 2) count(grid[0], z);
      if (n_outer >= 1) count(grid[static_cast<size_t>(n_outer) - 1], y);
      facts.n_pairs += pairs;
    }
  }
  out.widths = tables.keep(std::move(widths));
}

void check_prefix(const PatternContext& c, const AttentionPattern& p) {
  const int64_t n = p.n_prefix + (p.kind == PatternKind::grouped ? p.n_shared : 0);
  if (n < 0 || n > c.n_q || n > c.n_k) {
    c.site.fail(
        ErrorCode::shape, "pattern",
        format("pattern has {} prefix tokens, there are {} queries and {} keys", n, c.n_q, c.n_k));
  }
}

void check_sequence(const PatternContext& c, const AttentionPattern& p, int64_t n_q, int64_t n_k) {
  const auto expect = [&](int64_t queries, int64_t keys) {
    if (n_q == queries && n_k == keys) return;
    c.site.fail(ErrorCode::shape, "pattern",
                format("pattern is about {} queries and {} keys, there are {} and {}", queries,
                       keys, n_q, n_k));
  };
  if (p.kind == PatternKind::varlen) {
    expect(p.cu_q.back(), p.cu_k.back());
  } else if (p.kind == PatternKind::segments) {
    int64_t n = 0;
    for (int64_t length : p.lengths) n += length;
    expect(n, n);
  } else if (p.kind == PatternKind::grouped) {
    expect(n_q, n_q);
    if (n_q % p.n_groups == 0) return;
    c.site.fail(
        ErrorCode::shape, "pattern",
        format("pattern has {} groups, {} tokens are no multiple of them", p.n_groups, n_q));
  } else if (p.kind == PatternKind::mask) {
    expect(p.indices->shape[p.indices->rank - 2], p.indices->shape[p.indices->rank - 1]);
  } else if (p.kind == PatternKind::blocks) {
    const int64_t needed = (n_q + p.block_q - 1) / p.block_q;
    if (p.indices->shape[2] == needed) return;
    c.site.fail(ErrorCode::shape, "pattern",
                format("pattern lists {} query blocks of {}, {} queries are {}",
                       p.indices->shape[2], p.block_q, n_q, needed));
  }
}

PatternFacts lower_grid(const PatternContext& c, const AttentionPattern& p, AttentionTables& tables,
                        KeyPattern& out) {
  PatternFacts facts;
  facts.grid = find_grid(c, p);
  const auto n_axes = static_cast<int>(facts.grid.size());
  if (n_axes < 1 || n_axes > kMaxTokenAxes) {
    c.site.fail(ErrorCode::param, "pattern",
                format("pattern has a grid of {} axes, needed are 1 to 3", n_axes));
  }
  if (c.causal && n_axes > 1 && is_on_grid(p.kind)) {
    c.site.fail(ErrorCode::param, "causal",
                format("causal is True with a pattern of {} axes, needed is one axis (Neighborhood "
                       "takes causal per axis)",
                       n_axes));
  }
  out.n_axes = n_axes;
  out.is_causal = c.causal;
  facts.n_pairs = p.kind == PatternKind::disk ? 0 : 1;
  for (int a = 0; a < n_axes; ++a) {
    const int64_t n = facts.grid[static_cast<size_t>(a)];
    KeyAxis& key = out.axes[a];
    key.n_k = n;
    out.query_extent[a] = n;
    facts.period.push_back(0);
    AxisTable t;
    switch (p.kind) {
      case PatternKind::neighborhood:
        t = neighborhood_axis(c, p, a, n, key);
        break;
      case PatternKind::window:
        t = window_axis(p, a, n, key);
        facts.period.back() = on_axis(p.size, a);
        out.has_regions = out.has_regions || (key.rotation != 0 && std::isfinite(p.mask_value));
        break;
      case PatternKind::halo:
        t = halo_axis(p, a, n);
        facts.period.back() = on_axis(p.size, a);
        break;
      default:
        for (int64_t i = 0; i < n; ++i) t.add(0, n);
    }
    if (c.causal && n_axes == 1 && p.kind != PatternKind::disk &&
        fold_causal(t, key, out.has_regions)) {
      out.is_causal = false;
    }
    if (p.kind != PatternKind::disk) facts.n_pairs *= sum_lengths(t);
    keep_axis(tables, key, std::move(t), p.kind == PatternKind::window);
  }
  out.mask_value = p.mask_value;
  if (p.kind == PatternKind::disk) lower_disk(p, facts.grid, tables, out, facts);
  return facts;
}

PatternFacts lower_sequence(const PatternContext& c, const AttentionPattern& p,
                            AttentionTables& tables, KeyPattern& out) {
  PatternFacts facts;
  if (p.kind == PatternKind::grouped) out.n_prefix += p.n_shared;
  const int64_t n_q = c.n_q - out.n_prefix, n_k = c.n_k - out.n_prefix;
  if (p.has_grid && product(p.grid) != n_q) {
    c.site.fail(
        ErrorCode::shape, "pattern",
        format("pattern has a grid {}, {} queries are after the prefix", shape_of(p.grid), n_q));
  }
  check_sequence(c, p, n_q, n_k);
  facts.grid = {n_q};
  facts.period = {0};
  out.axes[0].n_k = n_k;
  out.query_extent[0] = n_q;
  out.is_causal = c.causal;
  switch (p.kind) {
    case PatternKind::segments: {
      out.kind = KeyKind::segments;
      std::vector<int64_t> starts{0};
      for (int64_t length : p.lengths) starts.push_back(starts.back() + length);
      const size_t n = p.lengths.size();
      for (size_t i = 0; i < n * n; ++i) {
        if (p.visible[i]) facts.n_pairs += static_cast<double>(p.lengths[i / n] * p.lengths[i % n]);
      }
      out.n_segments = static_cast<int64_t>(n);
      out.starts = tables.keep(std::move(starts));
      out.visible = tables.keep(p.visible);
      break;
    }
    case PatternKind::blocks:
      out.kind = KeyKind::blocks;
      facts.period = {p.block_q};
      facts.n_pairs = static_cast<double>(n_q) *
                      static_cast<double>(std::min(p.indices->shape[3] * p.block_k, n_k));
      break;
    case PatternKind::mask:
      out.kind = KeyKind::mask;
      facts.n_pairs = static_cast<double>(n_q) * static_cast<double>(n_k);
      break;
    default: {
      AxisTable t = sequence_axis(c, p, n_q, n_k, out.axes[0], facts.cuts);
      if (!out.axes[0].wraps) out.is_causal = false;
      facts.n_pairs = sum_lengths(t);
      keep_axis(tables, out.axes[0], std::move(t), false);
    }
  }
  return facts;
}

}  // namespace

PatternFacts lower_pattern(const PatternContext& c, const AttentionPattern& p,
                           AttentionTables& tables, int index) {
  check_prefix(c, p);
  KeyPattern& out = tables.problem.patterns[index];
  out.n_prefix = p.n_prefix;
  const bool is_dense_grid =
      p.kind == PatternKind::dense && c.has_table && (p.has_grid || c.n_table_axes > 1);
  PatternFacts facts = is_on_grid(p.kind) || is_dense_grid ? lower_grid(c, p, tables, out)
                                                           : lower_sequence(c, p, tables, out);
  const auto prefix = static_cast<double>(out.n_prefix);
  facts.n_pairs +=
      prefix * static_cast<double>(c.n_k) + static_cast<double>(c.n_q - out.n_prefix) * prefix;
  return facts;
}

}  // namespace swath
