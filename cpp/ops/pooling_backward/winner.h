// Which element of each window has its gradient. Included by *.isa.cc only.
#pragma once

#include "ops/pooling_backward/stage.h"

namespace swath {
namespace SWATH_ISA {
namespace {

template <class A>
struct MaxRule {
  static constexpr A kOutside = -static_cast<A>(__builtin_inf());
  template <class V>
  __attribute__((always_inline)) auto beats(V v, V best) const {
    return v > best;
  }
};
template <class A>
struct MinRule {
  static constexpr A kOutside = static_cast<A>(__builtin_inf());
  template <class V>
  __attribute__((always_inline)) auto beats(V v, V best) const {
    return v < best;
  }
};

/// The best value of each lane so far, and the code of its tap. In order of the taps: the first of
/// equals stays, each NaN is taken.
template <class Rule, class A>
struct Best {
  Vec<A> value;
  Vec<Bits<A>> code;

  __attribute__((always_inline)) void meet(Vec<A> v, Vec<Bits<A>> v_code) {
    const auto is_better = Rule{}.beats(v, value) | (v != v);
    value = select(is_better, v, value);
    code = select(is_better, v_code, code);
  }
};

/// Taps of a loop over windows.
template <class A>
struct Taps {
  Bits<A> code[kAskedTaps];
  int n = 0;
};

/// Windows [0, n) whose first tap inside is first[t], or tap 0 if `first` is null: code[t] of the
/// winner among `taps`. kTaps 0: any number.
template <int kTaps, class Rule, class A>
__attribute__((noinline)) void compare_taps(const A* box, const Bits<A>* first, const Taps<A>& all,
                                            Bits<A>* code, int64_t n) {
  const Taps<A> taps = all;  // what no store can change
  const int n_taps = kTaps > 0 ? kTaps : taps.n;
  for (int64_t t = 0; t < n; t += kLanes<A>) {
    // An element outside never beats the start value: where nothing does, the first one inside
    // has it.
    Best<Rule, A> best{set1(Rule::kOutside), first != nullptr ? load(first + t) : set1<Bits<A>>(0)};
#pragma GCC unroll 9
    for (int k = 0; k < n_taps; ++k) {
      best.meet(load(box + t + taps.code[k]), set1(taps.code[k]));
    }
    store(code + t, best.code);
  }
}

/// Where the windows tile the box, each element belongs to one window, and its x to nobody else:
/// box[t + code] becomes dy[t] for the winner's code, 0 for the others. In place, in one pass.
template <int kTaps, class Rule, class A>
__attribute__((noinline)) void compare_and_give(A* box, const Bits<A>* first, const Taps<A>& all,
                                                const A* dy, int64_t n) {
  const Taps<A> taps = all;  // what no store can change
  const int n_taps = kTaps > 0 ? kTaps : taps.n;
  for (int64_t t = 0; t < n; t += kLanes<A>) {
    Best<Rule, A> best{set1(Rule::kOutside), first != nullptr ? load(first + t) : set1<Bits<A>>(0)};
#pragma GCC unroll 9
    for (int k = 0; k < n_taps; ++k) {
      best.meet(load(box + t + taps.code[k]), set1(taps.code[k]));
    }
    const Vec<A> grad = load(dy + t);
#pragma GCC unroll 9
    for (int k = 0; k < n_taps; ++k) {
      store(box + t + taps.code[k], select(best.code == set1(taps.code[k]), grad, zero<A>()));
    }
  }
}

/// Taps on values that already have a code of their own, or all have 0 if `codes` is null. Goes on
/// from what best_value and best_code hold, or starts at `first` (null: 0).
template <class A>
struct Meeting {
  const A* value;
  const Bits<A>* codes;
  int64_t at[kAskedTaps];
  Bits<A> code[kAskedTaps];
  int n = 0;
  bool goes_on = false;
  const Bits<A>* first = nullptr;
};

template <bool kHasCodes, class Rule, class A>
__attribute__((noinline)) void meet_taps(const Meeting<A>& source, A* best_value,
                                         Bits<A>* best_code, int64_t n) {
  const Meeting<A> m = source;  // what no store can change
  for (int64_t t = 0; t < n; t += kLanes<A>) {
    Best<Rule, A> best{set1(Rule::kOutside),
                       m.first != nullptr ? load(m.first + t) : zero<Bits<A>>()};
    if (m.goes_on) best = {load(best_value + t), load(best_code + t)};
    for (int k = 0; k < m.n; ++k) {
      auto code = set1(m.code[k]);
      if (kHasCodes) code += load(m.codes + t + m.at[k]);
      best.meet(load(m.value + t + m.at[k]), code);
    }
    store(best_value + t, best.value);
    store(best_code + t, best.code);
  }
}

/// value[t] and code[t] of the best of the neighbours in a row, for t in [0, n).
template <class Rule, class A>
__attribute__((noinline)) void compare_along_rows(const ExtremeProblem& p, const Box& b,
                                                  const A* box, A* value, Bits<A>* code,
                                                  int64_t n) {
  Meeting<A> m{box, nullptr, {}, {}};
  for (int64_t k = 0; k < p.axis[2].window; ++k) {
    m.at[m.n] = b.code(p, 2, k);
    m.code[m.n] = static_cast<Bits<A>>(m.at[m.n]);
    if (++m.n < kAskedTaps && k + 1 < p.axis[2].window) continue;
    meet_taps<false, Rule>(m, value, code, n);
    m.n = 0;
    m.goes_on = true;
  }
}

/// The same among the rows of a window: `value` and `row_code` hold the winners of the rows,
/// split into the phases of height and depth; `carry` is memory for the best values so far.
template <class Rule, class A>
__attribute__((noinline)) void compare_rows(const ExtremeProblem& p, const Box& b, const A* value,
                                            const Bits<A>* row_code, const Bits<A>* first, A* carry,
                                            Bits<A>* code, int64_t n) {
  const ExtremeAxis &d = p.axis[0], &h = p.axis[1];
  Meeting<A> m{value, row_code, {}, {}};
  m.first = first;
  for (int64_t i = 0; i < d.window; ++i) {
    const int64_t z = i * d.dilation;
    for (int64_t j = 0; j < h.window; ++j) {
      const int64_t y = j * h.dilation;
      m.at[m.n] = (z % d.stride * h.stride + y % h.stride) * b.phase + z / d.stride * b.step(0) +
                  y / h.stride * b.row;
      m.code[m.n] = static_cast<Bits<A>>(b.code(p, 0, i) + b.code(p, 1, j));
      if (++m.n < kAskedTaps && (i + 1 < d.window || j + 1 < h.window)) continue;
      meet_taps<true, Rule>(m, carry, code, n);
      m.n = 0;
      m.goes_on = true;
    }
  }
}

/// Calls f(position, is_window) for each row of windows of a phase, ends of rows left out.
template <class F>
SWATH_ALWAYS_INLINE void for_each_row(const Box& b, const F& f) {
  for (int64_t z = 0; z < b.side[0].n; ++z) {
    for (int64_t y = 0; y < b.side[1].n; ++y) {
      f(z, y, z * b.step(0) + y * b.row, z < b.side[0].n_windows && y < b.side[1].n_windows);
    }
  }
}

/// first[t] = the code of the first tap inside the array; `row` has memory for one row of them.
template <class A>
__attribute__((noinline)) void find_first_taps(const ExtremeProblem& p, const Box& b, Bits<A>* row,
                                               Bits<A>* first) {
  const Side& w = b.side[2];
  const int64_t n = w.n_windows * b.n_inner;
  fill(row, n, Bits<A>{0});
  for (int64_t x = 0; x < w.n_windows; ++x) {
    const int64_t tap = p.axis[2].first_tap(w.first_window + x);
    if (tap == 0) break;  // only the first windows begin in the padding
    fill(row + x * b.n_inner, b.n_inner, static_cast<Bits<A>>(b.code(p, 2, tap)));
  }
  for_each_row(b, [&](int64_t z, int64_t y, int64_t at, bool is_window) {
    if (!is_window) return;
    const int64_t outer = b.code(p, 0, p.axis[0].first_tap(b.side[0].first_window + z)) +
                          b.code(p, 1, p.axis[1].first_tap(b.side[1].first_window + y));
    const Vec<Bits<A>> to_row = set1(static_cast<Bits<A>>(outer));
    for (int64_t i = 0; i < n; i += kLanes<A>) store(first + at + i, load(row + i) + to_row);
  });
}

/// All taps, row-major.
template <class A>
__attribute__((noinline)) Taps<A> all_taps(const ExtremeProblem& p, const Box& b) {
  Taps<A> taps;
  for (int64_t i = 0; i < p.axis[0].window; ++i) {
    for (int64_t j = 0; j < p.axis[1].window; ++j) {
      for (int64_t k = 0; k < p.axis[2].window; ++k) {
        taps.code[taps.n++] =
            static_cast<Bits<A>>(b.code(p, 0, i) + b.code(p, 1, j) + b.code(p, 2, k));
      }
    }
  }
  return taps;
}

/// Whether compare_and_give serves the box: no two windows and no gap anywhere.
SWATH_ALWAYS_INLINE bool is_tiled(const ExtremeProblem& p, const Box& b) {
  bool is_tiled = !folds_rows(p);
  for (int i = 0; i < 3; ++i) {
    const ExtremeAxis& a = p.axis[i];
    is_tiled &= a.stride == a.window && (a.dilation == 1 || a.window == 1) &&
                b.side[i].n == b.side[i].n_windows;
  }
  return is_tiled;
}

template <class Rule, class A>
__attribute__((noinline)) void give_tiles(const ExtremeProblem& p, const Box& b,
                                          const Scratch<A>& scratch, const A* dy) {
  const Taps<A> taps = all_taps<A>(p, b);
  Bits<A>* first = nullptr;
  if (b.has_border) find_first_taps<A>(p, b, scratch.code, first = scratch.first);
  const auto run = taps.n == 4 ? compare_and_give<4, Rule, A> : compare_and_give<0, Rule, A>;
  run(scratch.box, first, taps, dy, b.row * b.side[1].n * b.side[0].n);
}

/// code[t] = where the winner of window t is, counted from t; -1 where no window is, and for
/// `margin` positions before.
template <class Rule, class A>
__attribute__((noinline)) void find_winners(const ExtremeProblem& p, const Box& b,
                                            const Scratch<A>& scratch, Bits<A>* code) {
  const Side &d = b.side[0], &h = b.side[1], &w = b.side[2];
  const int64_t n =
      (d.n_windows - 1) * b.step(0) + (h.n_windows - 1) * b.row + w.n_windows * b.n_inner;
  Bits<A>* first = nullptr;
  if (b.has_border) find_first_taps<A>(p, b, code, first = scratch.first);
  if (folds_rows(p)) {
    const int64_t n_row_phases = p.axis[0].stride * p.axis[1].stride;
    for (int64_t i = 0; i < n_row_phases; ++i) {
      compare_along_rows<Rule>(p, b, scratch.box + i * p.axis[2].stride * b.phase,
                               scratch.row_best + i * b.phase, scratch.row_code + i * b.phase,
                               b.phase - (w.n - w.n_windows) * b.n_inner);
    }
    // dy is read later: until then its memory is free.
    compare_rows<Rule>(p, b, scratch.row_best, scratch.row_code, first, scratch.dy, code, n);
  } else {
    const Taps<A> taps = all_taps<A>(p, b);
    const auto run = taps.n == 4   ? compare_taps<4, Rule, A>
                     : taps.n == 9 ? compare_taps<9, Rule, A>
                                   : compare_taps<0, Rule, A>;
    run(scratch.box, first, taps, code, n);
  }
  const Bits<A> none = -1;
  fill(code - b.margin, b.margin, none);
  for_each_row(b, [&](int64_t, int64_t, int64_t at, bool is_window) {
    const int64_t n_here = is_window ? w.n_windows * b.n_inner : 0;
    fill(code + at + n_here, b.row - n_here, none);
  });
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
