// Gradients of one tile of queries. Included by *.isa.cc only.
#pragma once

#include "ops/attention_backward/biases.h"
#include "ops/attention_backward/outer.h"

namespace swath::SWATH_ISA {
namespace {

template <class S>
struct GradTile : GradBiases<S> {
  using Base = GradBiases<S>;
  using Base::attend;
  using Base::b;
  using Base::delta;
  using Base::g;
  using Base::lse;
  using Base::memory;
  using Base::ones;
  using Base::p;
  using Base::present;
  using Base::tile;
  using typename Base::A;
  using typename Base::Source;

  OwnRows<A>* own;
  Piece<A> k_pieces[kMaxPieces];
  Source sources[kMaxPieces];
  int n_pieces = 0;
  int64_t n_rows = 0;
  bool is_first = true, is_careful = false;

  GradTile(const AttentionGradProblem& problem, const Buffers& buffers, const GradMemory<S>& m,
           OwnRows<A>* rows, int64_t group, int64_t head_group, int64_t part, int64_t task)
      : Base(problem, buffers, m, group, head_group, part, task), own(rows) {}

  /// A row for every lane; those without a query stand for the first one.
  void find_rows(const TokenArray& x, const S** rows) const {
    const S* base = this->read(x.ref) + tile.b * x.batch + tile.h * x.head;
    for (int l = 0; l < kMaxTile; ++l) rows[l] = base + x.at(tile.token[l < tile.n ? l : 0]);
  }
  static void widen_rows(const S* const* rows, int n, int64_t unit, int64_t n_d, int64_t pitch,
                         A* to) {
    for (int l = 0; l < n; ++l) widen_row(rows[l], unit, to + l * pitch, n_d);
  }

  void start() {
    attend.is_few = tile.n <= kFew && p.d % kLanes<A> == 0 && p.d_v % kLanes<A> == 0;
    attend.start();
    const S* rows[kMaxTile];
    find_rows(p.q, rows);
    widen_rows(rows, tile.n, p.q.unit, p.d, memory.d, memory.q);
    for (int64_t i = 0; i < tile.n * memory.d; i += kLanes<A>) {
      store(memory.q + i, load(memory.q + i) * set1(static_cast<A>(p.scale)));
    }
    find_rows(g.grad, rows);
    widen_rows(rows, tile.n, g.grad.unit, p.d_v, memory.d_v, memory.grad);
    if (!attend.is_few) {
      load_queries(rows, g.grad.unit, p.d_v, static_cast<A>(1), memory.grad_lanes);
    }
    find_rows(g.o, rows);
    read_statistics(rows);
    if (p.has_low_rank && g.low_b.is_wanted) {
      const int64_t* s = p.low_a_stride;
      for (int l = 0; l < tile.n; ++l) {
        rows[l] = this->read(p.low_a) + tile.b * s[0] + tile.h * s[1] + tile.token[l] * s[2];
      }
      widen_rows(rows, tile.n, s[3], p.rank, memory.rank, memory.low_rows);
    }
    for (int l = 0; l < kQueries<A>; ++l) {
      ones[l] = 1;
      present[l] = l < tile.n ? 1 : 0;
    }
    is_first = true;
  }

  A statistic(const TokenArray& x, int l) const {
    const A* base = static_cast<const A*>(b.read(x.ref)) + tile.b * x.batch + tile.h * x.head;
    return base[x.at(tile.token[l])];
  }
  /// delta = <grad, o> - dlse
  void read_statistics(const S* const* o_rows) {
    for (int l = 0; l < kQueries<A>; ++l) {
      lse[l] = static_cast<A>(__builtin_inf());
      delta[l] = 0;
      if (l >= tile.n) continue;
      A* o = memory.attend.o;
      widen_row(o_rows[l], g.o.unit, o, p.d_v);
      Vec<A> sum = zero<A>();
      for_lanes<A>(p.d_v, [&](int64_t d, int m) {
        const A* grad = memory.grad + l * memory.d_v + d;
        sum = mul_add(load_part<A>(grad, m), load_part<A>(o + d, m), sum);
      });
      lse[l] = statistic(g.lse, l);
      delta[l] = reduce_add(sum);
      if (g.has_dlse) delta[l] -= statistic(g.dlse, l);
    }
  }

  /// Rows of k or v as whole vectors of accumulators.
  const A* rows_of(const TokenArray& x, const S* base, const KeyRun& run, int64_t token, int64_t n,
                   int64_t n_tokens, int64_t n_d, A* stage, int64_t* pitch) const {
    const int64_t width = padded<A>(n_d);
    *pitch = width;
    if (run.level > 1) {
      stage_means(base, x, token, n_tokens, run.level, n_d, stage);
      return stage;
    }
    const int64_t step = x.stride[x.n_axes - 1] * run.step;
    if constexpr (sizeof(S) == sizeof(A)) {
      if (x.unit == 1 && n_d == width) {
        *pitch = step;
        return base + x.at(token);
      }
    }
    stage_rows(base + x.at(token), step, x.unit, n, n_d, stage);
    return stage;
  }

  void take(const KeyRun& run) {
    const bool is_main = run.source < 0;
    const TokenArray& k = is_main ? p.k : p.extras[run.source].k;
    const TokenArray& v = is_main ? p.v : p.extras[run.source].v;
    const int64_t kv_head = tile.h / p.heads_per_kv;
    const S* keys = this->read(k.ref) + tile.b * k.batch + kv_head * k.head;
    const S* values = this->read(v.ref) + tile.b * v.batch + kv_head * v.head;
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
      const uint32_t seen = attend.find_bits(run, j, n, &bits);
      if (seen != 0) {
        const Source from{run.source + 1, token, run.step, run.level, n_tokens, j};
        take_piece(run, from, k, keys, v, values, n, seen, bits);
      }
      j += n;
    }
  }

  void take_piece(const KeyRun& run, const Source& from, const TokenArray& k, const S* keys,
                  const TokenArray& v, const S* values, int64_t n, uint32_t seen,
                  const uint16_t* bits) {
    const int64_t at = n_rows * kQueries<A>;
    int64_t k_pitch = 0, v_pitch = 0;
    const A* k_rows = rows_of(k, keys, run, from.token, n, from.n_tokens, p.d,
                              memory.k_stage + n_rows * memory.d, &k_pitch);
    attend.multiply(memory.attend.q, k_rows, k_pitch, p.d, false, n, memory.weights + at);
    is_careful = is_careful || has_infinite(memory.weights + at, n * kQueries<A>);
    if (g.softcap > 0) {
      cap_scores(memory.weights + at, n, static_cast<A>(g.softcap));
      for (int64_t i = 0; i < n * kQueries<A>; ++i) memory.capped[at + i] = memory.weights[at + i];
    }
    attend.finish_piece(run, from.j, from.token, n, from.n_tokens, memory.weights + at, bits);
    const A* v_rows =
        rows_of(v, values, run, from.token, n, from.n_tokens, p.d_v, memory.v_stage, &v_pitch);
    if (attend.is_few) {
      score_few(memory.grad, tile.n, v_rows, v_pitch, p.d_v, memory.slopes + at, n);
    } else {
      score_keys<A>(memory.grad_lanes, v_rows, v_pitch, p.d_v, false, memory.slopes + at, n);
    }
    is_careful = is_careful || has_infinite(memory.slopes + at, n * kQueries<A>);
    k_pieces[n_pieces] = {k_rows, k_pitch, n_rows, n, seen};
    sources[n_pieces++] = from;
    n_rows += n;
    if (g.table.is_wanted && from.index == 0 && run.has_place) flush(&run);  // while it is there
  }

  void flush(const KeyRun* run = nullptr) {
    if (n_rows == 0) return;
    make_slopes(memory.weights, memory.slopes, n_rows, lse, delta);
    for (int i = 0; i < n_pieces; ++i) add_bias_sums(i);
    if (run != nullptr) {
      const Piece<A>& last = k_pieces[n_pieces - 1];
      this->add_table_sums(*run, sources[n_pieces - 1].j, last.n,
                           memory.slopes + last.score * kQueries<A>);
    }
    if (g.softcap > 0) {
      cap_slopes(memory.slopes, memory.capped, n_rows, static_cast<A>(g.softcap));
    }
    if (g.needs_q) {
      const auto add = is_careful ? add_values_carefully<A> : add_values<A>;
      add(k_pieces, n_pieces, memory.slopes, tile.n, memory.d, memory.dq,
          is_first ? nullptr : ones);
    }
    if (g.needs_kv) {
      for (int i = 0; i < n_pieces; ++i) add_key_sums(i);
    }
    is_first = false;
    is_careful = false;
    n_pieces = 0;
    n_rows = 0;
  }

  void add_key_sums(int i) {
    const Source& from = sources[i];
    const int64_t n = k_pieces[i].n, at = k_pieces[i].score * kQueries<A>;
    OwnRows<A>& rows = own[from.index];
    const int64_t n_tokens = from.level > 1 ? from.n_tokens : n;
    rows.touch(from.token, from.token + (n_tokens - 1) * from.step + 1);
    const auto add = is_careful ? add_outer_carefully<A> : add_outer<A>;
    A* dk = rows.dk + from.token * rows.k_width;
    A* dv = rows.dv + from.token * rows.v_width;
    if (from.level == 1) {
      add(memory.slopes + at, n, memory.q, memory.d, tile.n, dk, rows.k_width * from.step);
      add(memory.weights + at, n, memory.grad, memory.d_v, tile.n, dv, rows.v_width * from.step);
      return;
    }
    add_mean_sums(memory.slopes + at, i, memory.q, memory.d, dk, rows.k_width);
    add_mean_sums(memory.weights + at, i, memory.grad, memory.d_v, dv, rows.v_width);
  }

  /// The gradient of a mean goes in equal shares to its tokens.
  void add_mean_sums(const A* w, int i, const A* rows, int64_t width, A* to, int64_t to_pitch) {
    const Source& from = sources[i];
    const int64_t n = k_pieces[i].n;
    for (int64_t c = 0; c < n * width; c += kLanes<A>) store(memory.mean_stage + c, zero<A>());
    const auto add = is_careful ? add_outer_carefully<A> : add_outer<A>;
    add(w, n, rows, width, tile.n, memory.mean_stage, width);
    for (int64_t t = 0; t < from.n_tokens; ++t) {
      const int64_t mean = t / from.level, left = from.n_tokens - mean * from.level;
      const A share = static_cast<A>(1) / static_cast<A>(left < from.level ? left : from.level);
      for (int64_t c = 0; c < width; c += kLanes<A>) {
        A* at = to + t * to_pitch + c;
        store(at, mul_add(set1(share), load(memory.mean_stage + mean * width + c), load(at)));
      }
    }
  }

  void add_bias_sums(int i) {
    const Source& from = sources[i];
    const int64_t n = k_pieces[i].n;
    const A* slopes = memory.slopes + k_pieces[i].score * kQueries<A>;
    if (from.index > 0) {
      if (g.weights[from.index - 1].is_wanted) {
        this->add_per_key(g.weights[from.index - 1], slopes, from, n);
      }
      return;
    }
    if (g.key_bias.is_wanted) this->add_per_key(g.key_bias, slopes, from, n);
    if (g.bias.is_wanted) this->add_pairs(slopes, from, n);
    if (p.has_low_rank && (g.low_a.is_wanted || g.low_b.is_wanted))
      this->add_low_rank(slopes, from, n);
  }

  void write() {
    if (g.needs_q) {
      S* base = static_cast<S*>(b.write(g.dq.ref)) + tile.b * g.dq.batch + tile.h * g.dq.head;
      const Vec<A> scale = set1(static_cast<A>(p.scale));
      for (int l = 0; l < tile.n; ++l) {
        A* row = memory.dq + l * memory.d;
        for (int64_t d = 0; d < memory.d; d += kLanes<A>) {
          store(row + d, is_first ? zero<A>() : load(row + d) * scale);
        }
        narrow_row(row, base + g.dq.at(tile.token[l]), g.dq.unit, p.d);
      }
    }
    if (g.low_a.is_wanted && p.has_low_rank) {
      const int64_t* s = g.low_a.stride;
      A* out = this->sums(g.low_a) + tile.b * s[0] + tile.h * s[1];
      for (int l = 0; l < tile.n; ++l) {
        for (int64_t r = 0; r < p.rank; ++r) {
          out[tile.token[l] * s[2] + r * s[3]] += memory.da[l * memory.rank + r];
        }
      }
    }
    if (g.sink.is_wanted) this->add_sink();
  }

  static void take_run(void* self, const KeyRun& run) { static_cast<GradTile*>(self)->take(run); }

  void run() {
    start();
    for (int64_t i = 0; i < tile.n * memory.rank; ++i) memory.da[i] = 0;
    walk_tile(p, b, tile, memory.attend.map, {take_run, this});
    flush();
    write();
  }
};

}  // namespace
}  // namespace swath::SWATH_ISA
