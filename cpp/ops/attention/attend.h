// Attention of one tile of queries: scores of a few hundred keys at a time, online softmax, values.
// Included by *.isa.cc only.
#pragma once

#include "ops/attention/few.h"
#include "ops/attention/memory.h"
#include "ops/attention/softmax.h"
#include "ops/attention/values.h"

namespace swath::SWATH_ISA {
namespace {

/// One tile, from queries to outputs.
template <class S>
struct Attend {
  using A = typename AccOf<S>::type;

  const AttentionProblem& p;
  const Buffers& b;
  const AttendMemory<S>& memory;
  QueryTile tile;
  bool is_careful = false;
  bool is_few = false;  // memory.q holds rows of queries instead of lanes

  RunningSoftmax<A> state;
  Vec<A> chunk_max[kRow];
  Piece<A> pieces[kMaxPieces];
  struct PieceSource {
    const S* v;
    const TokenArray* array;
    int64_t pitch, level, first, n_tokens;
  } sources[kMaxPieces];
  int n_pieces = 0;
  int64_t n_rows = 0;
  bool is_first = true;
  int64_t table_base[kMaxTile];

  Attend(const AttentionProblem& problem, const Buffers& buffers, const AttendMemory<S>& m,
         int64_t task)
      : p(problem), b(buffers), memory(m), tile(make_tile(problem, task)) {}

  const S* read(const ArrayRef& ref) const { return static_cast<const S*>(b.read(ref)); }

  /// f(lane, token) for all lanes; those without a query stand for the first one.
  template <class F>
  __attribute__((always_inline)) void for_rows(const F& f) const {
    for (int l = 0; l < kQueries<A>; ++l) f(l, tile.token[l < tile.n ? l : 0]);
  }

  void start() {
    state = RunningSoftmax<A>();
    n_pieces = 0;
    n_rows = 0;
    is_first = true;
    reset_max();
    const S* rows[kMaxTile];
    const S* base = read(p.q.ref) + tile.b * p.q.batch + tile.h * p.q.head;
    for_rows([&](int l, int64_t token) { rows[l] = base + p.q.at(token); });
    if (is_few) {
      load_few(rows);
    } else {
      load_queries(rows, p.q.unit, p.d, static_cast<A>(p.scale), memory.q);
    }
    if (p.has_low_rank) {
      const int64_t* s = p.low_a_stride;
      base = read(p.low_a) + tile.b * s[0] + tile.h * s[1];
      for_rows([&](int l, int64_t token) { rows[l] = base + token * s[2]; });
      load_queries(rows, s[3], p.rank, static_cast<A>(1), memory.low_a);
    }
    if (p.has_table && tile.prefix == 0) find_table_base();
  }

  void load_few(const S* const* rows) const {
    for (int l = 0; l < tile.n; ++l) {
      A* row = memory.q + l * p.d;
      widen_row(rows[l], p.q.unit, row, p.d);
      for (int64_t d = 0; d < p.d; d += kLanes<A>) {
        store(row + d, load(row + d) * set1(static_cast<A>(p.scale)));
      }
    }
  }

  void reset_max() {
    for (Vec<A>& m : chunk_max) m = set1(-static_cast<A>(__builtin_inf()));
  }

  /// Where each query stands in the relative table.
  void find_table_base() {
    const KeyPattern& k = p.patterns[0];
    for (int l = 0; l < tile.n; ++l) table_base[l] = 0;
    for (int a = 0; a < k.n_axes; ++a) {
      const KeyAxis& axis = k.axes[a];
      const int own = a + kMaxTokenAxes - k.n_axes;
      for (int i = 0; i < tile.n_places[own]; ++i) {
        int64_t at = tile.places[own][i].place - axis.rotation;
        if (at < 0) at += axis.n_k;
        const int64_t offset = at / axis.dilation * p.table_stride[a];
        for_bits(tile.places[own][i].lanes, [&](int l) { table_base[l] += offset; });
      }
    }
  }

  void take(const KeyRun& run) {
    const bool is_main = run.source < 0;
    const TokenArray& k = is_main ? p.k : p.extras[run.source].k;
    const TokenArray& v = is_main ? p.v : p.extras[run.source].v;
    const int64_t kv_head = tile.h / p.heads_per_kv;
    const S* keys = read(k.ref) + tile.b * k.batch + kv_head * k.head;
    const S* values = read(v.ref) + tile.b * v.batch + kv_head * v.head;
    const int64_t n_all = run.level == 1 ? run.count : (run.count + run.level - 1) / run.level;
    for (int64_t j = 0; j < n_all;) {
      if (n_rows == memory.chunk || n_pieces == kMaxPieces) flush();
      int64_t n = n_all - j;
      const int64_t token = run.first + j * run.step * run.level;
      const auto at_most = [&](int64_t limit) { n = n < limit ? n : limit; };
      at_most(memory.chunk - n_rows);
      if (run.level == 1) {
        at_most(k.run_length(token, run.step));
        at_most(v.run_length(token, run.step));
      }
      const int64_t n_tokens = run.level == 1   ? n
                               : j + n == n_all ? run.count - j * run.level
                                                : n * run.level;
      const uint16_t* bits = nullptr;
      const uint32_t seen = find_bits(run, j, n, &bits);
      if (seen != 0) {
        sources[n_pieces] = {values,    &v,    v.stride[v.n_axes - 1] * run.step,
                             run.level, token, n_tokens};
        A* s = memory.scores + n_rows * kQueries<A>;
        score_piece(run, k, keys, token, n, n_tokens, s);
        finish_piece(run, j, token, n, n_tokens, s, bits);
        pieces[n_pieces++] = {nullptr, 0, n_rows, n, seen};
        n_rows += n;
      }
      j += n;
    }
  }

  /// The lanes that see any of the keys [j, j + n) of a run. `bits` are those of each key, as far
  /// as they are in run.lanes; null: run.lanes see all of them.
  uint32_t find_bits(const KeyRun& run, int64_t j, int64_t n, const uint16_t** bits) const {
    if (!run.is_causal && (run.bits != nullptr || run.intervals == nullptr)) {
      if (run.bits != nullptr) *bits = run.bits + j;
      return run.lanes;
    }
    run_bits(run, tile, p.causal_shift, j, n, memory.bits);
    uint32_t any = 0, every = tile.all;
    for (int64_t i = 0; i < n; ++i) {
      any |= memory.bits[i];
      every &= memory.bits[i];
    }
    if (every != tile.all) *bits = memory.bits;
    return any;
  }

  void score_piece(const KeyRun& run, const TokenArray& k, const S* keys, int64_t token, int64_t n,
                   int64_t n_tokens, A* s) {
    const int64_t pitch = k.stride[k.n_axes - 1] * run.step;
    if (run.level > 1) {
      stage_means(keys, k, token, n_tokens, run.level, p.d, memory.stage);
      multiply(memory.q, memory.stage, padded<A>(p.d), p.d, false, n, s);
      return;
    }
    score_rows(keys + k.at(token), pitch, k.unit, p.d, memory.q, false, n, s);
  }

  /// s = or += products with rows as they lie in memory.
  void score_rows(const S* rows, int64_t pitch, int64_t unit, int64_t n_d, const A* lanes,
                  bool adds, int64_t n, A* s) {
    if constexpr (sizeof(S) == sizeof(A)) {
      if (unit == 1) {
        multiply(lanes, rows, pitch, n_d, adds, n, s);
        return;
      }
    }
    stage_rows(rows, pitch, unit, n, n_d, memory.stage);
    multiply(lanes, memory.stage, padded<A>(n_d), n_d, adds, n, s);
  }

  void multiply(const A* queries, const A* rows, int64_t pitch, int64_t n_d, bool adds, int64_t n,
                A* s) const {
    if (is_few && queries == memory.q) {
      score_few(queries, tile.n, rows, pitch, n_d, s, n);
    } else {
      score_keys<A>(queries, rows, pitch, n_d, adds, s, n);
    }
  }

  /// What comes after the product: cap, biases, hidden pairs.
  void finish_piece(const KeyRun& run, int64_t j, int64_t token, int64_t n, int64_t n_tokens, A* s,
                    const uint16_t* bits) {
    const bool is_main = run.source < 0;
    if (p.softcap > 0) cap_scores(s, n, static_cast<A>(p.softcap));
    if (is_main && p.has_low_rank) {
      const int64_t* t = p.low_b_stride;
      const S* rows = read(p.low_b) + tile.b * t[0] + tile.h * t[1] + token * t[2];
      score_rows(rows, t[2] * run.step, t[3], p.rank, memory.low_a, true, n, s);
    }
    if (is_main && p.has_bias) {
      const int64_t* t = p.bias_stride;
      const S* rows[kMaxTile];
      const S* base = read(p.bias) + tile.b * t[0] + tile.h * t[1] + token * t[3];
      for_rows([&](int l, int64_t query) { rows[l] = base + query * t[2]; });
      add_bias(rows, t[3] * run.step, n, s);
    }
    if (p.has_table && run.has_place) add_table(run, j, n, s);
    add_to_keys(run, j, token, n, n_tokens, s);
    hide_scores(s, n, bits, run.lanes, tile.all, chunk_max);
  }

  /// Only pairs that are seen have a place in the table.
  void add_table(const KeyRun& run, int64_t j, int64_t n, A* s) {
    const int last = p.patterns[0].n_axes - 1;
    int64_t base = tile.h * p.table_head + p.table_centre + (run.unit + j) * p.table_stride[last];
    for (int a = 0; a < last; ++a) base += run.outer[a] * p.table_stride[a];
    const S* table = read(p.bias) + base;
    const LaneInterval all{run.unit + j, run.unit + j + n, run.lanes};
    const LaneInterval* seen = run.intervals != nullptr ? run.intervals : &all;
    const int n_seen = run.intervals != nullptr ? run.n_intervals : 1;
    for (int g = 0; g < n_seen; ++g) {
      const int64_t lo = seen[g].lo - run.unit - j, hi = seen[g].hi - run.unit - j;
      const int64_t begin = lo < 0 ? 0 : lo, end = hi > n ? n : hi;
      for_bits(seen[g].lanes & run.lanes, [&](int l) {
        const S* row = table - table_base[l];
        for (int64_t i = begin; i < end; ++i) {
          s[i * kQueries<A> + l] += to_acc(row[i * p.table_stride[last]]);
        }
      });
    }
  }

  /// What is the same for all queries: multiplicities, key_bias, key_mask.
  void add_to_keys(const KeyRun& run, int64_t j, int64_t token, int64_t n, int64_t n_tokens, A* s) {
    const bool is_main = run.source < 0;
    const ExtraKeys* extra = is_main ? nullptr : &p.extras[run.source];
    const bool has_weights = extra != nullptr && extra->has_weights;
    const bool has_bias = is_main && p.has_key_bias, has_mask = is_main && p.has_key_mask;
    const bool has_levels = run.level > 1;
    if (run.add == 0 && !has_weights && !has_bias && !has_mask && !has_levels) return;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t key = token + i * run.step;
      A* row = s + i * kQueries<A>;
      A add = static_cast<A>(run.add);
      if (has_weights) {
        add += to_acc(
            read(extra->weights)[tile.b * extra->weights_batch + (j + i) * extra->weights_key]);
      }
      if (has_bias)
        add += to_acc(read(p.key_bias)[tile.b * p.key_bias_batch + key * p.key_bias_key]);
      if (has_levels) {
        const int64_t left = n_tokens - i * run.level;
        const auto count = static_cast<A>(left < run.level ? left : run.level);
        add += log(set1(count))[0];
      }
      bool is_hidden = false;
      if (has_mask) {
        const auto* mask = static_cast<const uint8_t*>(b.read(p.key_mask));
        is_hidden = mask[tile.b * p.key_mask_batch + key * p.key_mask_key] == 0;
      }
      for (int v = 0; v < kRow; ++v) {
        A* at = row + v * kLanes<A>;
        store(at, is_hidden ? set1(-static_cast<A>(__builtin_inf())) : load(at) + set1(add));
      }
    }
  }

  /// Takes the keys gathered so far into the sums.
  void flush() {
    if (n_rows == 0) return;
    alignas(64) A alpha[kQueries<A>];
    soften(memory.scores, n_rows, chunk_max, state, alpha);
    const int64_t pitch = padded<A>(p.d_v);
    for (int i = 0; i < n_pieces; ++i) {
      const PieceSource& from = sources[i];
      A* staged = memory.stage + pieces[i].score * pitch;
      pieces[i].v = staged;
      pieces[i].pitch = pitch;
      if (from.level > 1) {
        stage_means(from.v, *from.array, from.first, from.n_tokens, from.level, p.d_v, staged);
        continue;
      }
      const S* rows = from.v + from.array->at(from.first);
      if constexpr (sizeof(S) == sizeof(A)) {
        if (!stages_v<S>(*from.array, p.d_v)) {
          pieces[i].v = rows;
          pieces[i].pitch = from.pitch;
          continue;
        }
      }
      stage_rows(rows, from.pitch, from.array->unit, pieces[i].n, p.d_v, staged);
    }
    const auto add = is_careful ? add_values_carefully<A> : add_values<A>;
    add(pieces, n_pieces, memory.scores, tile.n, pitch, memory.o, is_first ? nullptr : alpha);
    is_first = false;
    n_pieces = 0;
    n_rows = 0;
    reset_max();
  }

  /// Whether a sum is NaN, which may come from a weight of 0 times a value that is not finite.
  bool has_nan() const {
    const int64_t pitch = padded<A>(p.d_v);
    Vec<Bits<A>> found = zero<Bits<A>>();
    for (int64_t d = 0; d < tile.n * pitch; d += kLanes<A>) {
      const Vec<A> x = load(memory.o + d);
      found |= x != x;
    }
    alignas(64) Bits<A> lanes[kLanes<A>];
    store(lanes, found);
    Bits<A> any = 0;
    for (Bits<A> lane : lanes) any |= lane;
    return any != 0;
  }

  void write() {
    const A low = -static_cast<A>(__builtin_inf());
    alignas(64) A factor[kQueries<A>], lse[kQueries<A>];
    for (int v = 0; v < kRow; ++v) {
      Vec<A> max = state.max[v], sum = state.sum[v], scale = set1(static_cast<A>(1));
      if (p.has_sink) {
        const Vec<A> sink = set1(to_acc(read(p.sink)[tile.h * p.sink_stride]));
        const Vec<A> most = max_or_second(sink, max);
        const Vec<A> shift = select(most == set1(low), zero<A>(), most);
        scale = exp_nonpositive(max - shift);
        sum = sum * scale + exp_nonpositive(sink - shift);
        max = most;
      }
      const auto is_empty = sum == zero<A>();
      store(factor + v * kLanes<A>, select(is_empty, zero<A>(), scale / sum));
      store(lse + v * kLanes<A>, select(is_empty, set1(low), max + log(sum)));
    }
    const int64_t pitch = padded<A>(p.d_v);
    S* base = static_cast<S*>(b.write(p.o.ref)) + tile.b * p.o.batch + tile.h * p.o.head;
    for (int l = 0; l < tile.n; ++l) {
      A* row = memory.o + l * pitch;
      const Vec<A> by = set1(factor[l]);
      S* to = base + p.o.at(tile.token[l]);
      const auto value = [&](int64_t d) { return is_first ? zero<A>() : load(row + d) * by; };
      if (p.o.unit == 1) {
        for_lanes<A>(p.d_v, [&](int64_t d, int m) { store_part(to + d, value(d), m); });
        continue;
      }
      for (int64_t d = 0; d < pitch; d += kLanes<A>) store(row + d, value(d));
      narrow_row(row, to, p.o.unit, p.d_v);
    }
    if (!p.has_lse) return;
    A* out = static_cast<A*>(b.write(p.lse)) + tile.b * p.lse_batch + tile.h * p.lse_head;
    for (int l = 0; l < tile.n; ++l) out[tile.token[l] * p.lse_token] = lse[l];
  }

  static void take_run(void* self, const KeyRun& run) { static_cast<Attend*>(self)->take(run); }

  void run() {
    is_few = tile.n <= kFew && p.d % kLanes<A> == 0;
    for (;;) {
      start();
      walk_tile(p, b, tile, memory.map, {take_run, this});
      flush();
      if (is_careful || is_first || !has_nan()) break;
      is_careful = true;
    }
    write();
  }
};

}  // namespace
}  // namespace swath::SWATH_ISA
