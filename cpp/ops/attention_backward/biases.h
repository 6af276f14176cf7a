// Sums of dS into every kind of bias. Included by *.isa.cc only.
#pragma once

#include "ops/attention_backward/memory.h"
#include "ops/attention_backward/slopes.h"

namespace swath::SWATH_ISA {
namespace {

/// What a tile of queries knows of itself, and the sums of dS into biases.
template <class S>
struct GradBiases {
  using A = typename AccOf<S>::type;
  /// Where a piece of keys comes from: 0 for the main ones.
  struct Source {
    int32_t index;
    int64_t token, step, level, n_tokens, j;
  };

  const AttentionGradProblem& g;
  const AttentionProblem& p;
  const Buffers& b;
  const GradMemory<S>& memory;
  int64_t group, head_group, part;
  Attend<S> attend;
  const QueryTile& tile;
  alignas(64) A lse[kQueries<A>], delta[kQueries<A>], ones[kQueries<A>], present[kQueries<A>];

  GradBiases(const AttentionGradProblem& problem, const Buffers& buffers, const GradMemory<S>& m,
             int64_t g_index, int64_t h_index, int64_t part_index, int64_t task)
      : g(problem),
        p(problem.walk),
        b(buffers),
        memory(m),
        group(g_index),
        head_group(h_index),
        part(part_index),
        attend(problem.walk, buffers, m.attend, task),
        tile(attend.tile) {}

  const S* read(const ArrayRef& ref) const { return static_cast<const S*>(b.read(ref)); }
  A* sums(const BroadcastSum& to) const {
    const int64_t copy = group * to.copy_group + head_group * to.copy_head + part * to.copy_part;
    return static_cast<A*>(b.write(to.ref)) + copy * to.n;
  }

  A lane_sum(const A* row) const {
    Vec<A> sum = zero<A>();
    for (int v = 0; v < kRow; ++v) {
      const Vec<A> is_there = load(present + v * kLanes<A>);
      sum += select(is_there == zero<A>(), zero<A>(), load(row + v * kLanes<A>));
    }
    return reduce_add(sum);
  }

  void add_per_key(const BroadcastSum& to, const A* slopes, const Source& from, int64_t n) {
    A* out = sums(to) + tile.b * to.stride[0];
    for (int64_t j = 0; j < n; ++j) {
      out[(from.token + j * from.step) * to.stride[2]] += lane_sum(slopes + j * kQueries<A>);
    }
  }

  void add_pairs(const A* slopes, const Source& from, int64_t n) {
    const int64_t* s = g.bias.stride;
    A* base = sums(g.bias) + tile.b * s[0] + tile.h * s[1] + from.token * s[3];
    if (s[2] == 0) {
      for (int64_t j = 0; j < n; ++j) {
        base[j * from.step * s[3]] += lane_sum(slopes + j * kQueries<A>);
      }
      return;
    }
    for (int l = 0; l < tile.n; ++l) {
      A* out = base + tile.token[l] * s[2];
      if (s[3] != 0) {
        for (int64_t j = 0; j < n; ++j) out[j * from.step * s[3]] += slopes[j * kQueries<A> + l];
        continue;
      }
      A sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += slopes[j * kQueries<A> + l];
      *out += sum;
    }
  }

  void add_low_rank(const A* slopes, const Source& from, int64_t n) {
    const int64_t* t = p.low_b_stride;
    if (g.low_a.is_wanted) {
      const S* rows = read(p.low_b) + tile.b * t[0] + tile.h * t[1] + from.token * t[2];
      stage_rows(rows, t[2] * from.step, t[3], n, p.rank, memory.low_stage);
      const Piece<A> piece{memory.low_stage, memory.rank, 0, n, tile.all};
      add_values_carefully<A>(&piece, 1, slopes, tile.n, memory.rank, memory.da, ones);
    }
    if (!g.low_b.is_wanted) return;
    const int64_t* s = g.low_b.stride;
    A* out = sums(g.low_b) + tile.b * s[0] + tile.h * s[1] + from.token * s[2];
    for (int64_t j = 0; j < n; ++j) {
      for (int l = 0; l < tile.n; ++l) {
        const A slope = slopes[j * kQueries<A> + l];
        if (slope == 0) continue;
        for (int64_t r = 0; r < p.rank; ++r) {
          out[j * from.step * s[2] + r * s[3]] += slope * memory.low_rows[l * memory.rank + r];
        }
      }
    }
  }

  /// The mirror of Attend::add_table.
  void add_table_sums(const KeyRun& run, int64_t j, int64_t n, const A* slopes) {
    const KeyPattern& pattern = p.patterns[0];
    const int last = pattern.n_axes - 1;
    int64_t base =
        tile.h * g.table.stride[1] + g.table_centre + (run.unit + j) * g.table_stride[last];
    for (int a = 0; a < last; ++a) base += run.outer[a] * g.table_stride[a];
    A* table = sums(g.table) + base;
    int64_t query[kMaxTile];
    find_table_places(query);
    const LaneInterval all{run.unit + j, run.unit + j + n, run.lanes};
    const LaneInterval* seen = run.intervals != nullptr ? run.intervals : &all;
    const int n_seen = run.intervals != nullptr ? run.n_intervals : 1;
    for (int s = 0; s < n_seen; ++s) {
      const int64_t lo = seen[s].lo - run.unit - j, hi = seen[s].hi - run.unit - j;
      const int64_t begin = lo < 0 ? 0 : lo, end = hi > n ? n : hi;
      for_bits(seen[s].lanes & run.lanes, [&](int l) {
        A* row = table - query[l];
        for (int64_t at = begin; at < end; ++at) {
          row[at * g.table_stride[last]] += slopes[at * kQueries<A> + l];
        }
      });
    }
  }

  /// Where each query stands in the sums of the table.
  void find_table_places(int64_t* query) const {
    const KeyPattern& k = p.patterns[0];
    for (int l = 0; l < tile.n; ++l) query[l] = 0;
    for (int a = 0; a < k.n_axes; ++a) {
      const KeyAxis& axis = k.axes[a];
      const int own_axis = a + kMaxTokenAxes - k.n_axes;
      for (int i = 0; i < tile.n_places[own_axis]; ++i) {
        int64_t at = tile.places[own_axis][i].place - axis.rotation;
        if (at < 0) at += axis.n_k;
        const int64_t offset = at / axis.dilation * g.table_stride[a];
        for_bits(tile.places[own_axis][i].lanes, [&](int l) { query[l] += offset; });
      }
    }
  }

  void add_sink() {
    const A low = -static_cast<A>(__builtin_inf());
    const Vec<A> z = set1(to_acc(read(p.sink)[tile.h * p.sink_stride]));
    alignas(64) A share[kQueries<A>];
    for (int v = 0; v < kRow; ++v) {
      const Vec<A> given = load(lse + v * kLanes<A>);
      const Vec<A> weight = select(given == set1(low), zero<A>(), exp_nonpositive(z - given));
      store(share + v * kLanes<A>,
            select(weight == zero<A>(), zero<A>(), weight * load(delta + v * kLanes<A>)));
    }
    sums(g.sink)[tile.h * g.sink.stride[1]] -= lane_sum(share);
  }
};

}  // namespace
}  // namespace swath::SWATH_ISA
