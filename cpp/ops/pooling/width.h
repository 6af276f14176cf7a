// The pass along the width: one row in scratch memory, padding included, becomes one row of
// outputs. Included by *.isa.cc only.
#pragma once

#include "ops/pooling/column.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Outputs [first, first + n) of the width and n_inner elements of the inner axis.
struct WidthTile {
  int64_t first, n, n_inner;
  int64_t start, begin, end;       // columns of x: of the first window, and those inside the array
  int64_t first_stored, n_stored;  // those that are stored in x
};

template <class Op, class A>
class Width {
 public:
  /// `row` holds the columns from tile.start on, n_rows rows of them; `steps` has room for as many.
  Width(const PoolingProblem& problem, const WidthTile& tile, int64_t n_rows, A* row, A* stored,
        A* steps)
      : p_(problem), w_(problem.width), tile_(tile), row_(row), stored_(stored), steps_(steps) {
    const int64_t n = tile.n_inner, n_inside = tile.end - tile.begin;
    if (w_.spread > 1) {
      // Zeros between the elements or, with phases, around them.
      fill(w_.has_phases() ? stored : row, n_rows * in_pitch());
      return;
    }
    const int64_t n_after = w_.reach(tile.n) - n_inside - (tile.begin - tile.start);
    for (int64_t i = 0; i < n_rows; ++i, row += in_pitch()) {
      fill(row, (tile.begin - tile.start) * n);
      fill(row + (tile.end - tile.start) * n, n_after * n);
    }
  }

  const WidthTile& tile() const { return tile_; }
  /// Where the rows of x go, in_pitch apart.
  A* inside() const {
    if (w_.has_phases()) return stored_ + before_stored() * tile_.n_inner;
    return w_.spread > 1 ? stored_ : row_ + (tile_.begin - tile_.start) * tile_.n_inner;
  }
  /// Puts zeros between the columns of n_rows rows that lie where inside() says.
  void spread_rows(int64_t n_rows) const {
    if (w_.spread == 1 || w_.has_phases()) return;
    const int64_t first = tile_.first_stored * w_.spread - tile_.start;
    for (int64_t r = 0; r < n_rows; ++r) {
      spread_row(stored_ + r * in_pitch(), row_ + r * in_pitch() + first * tile_.n_inner);
    }
  }
  /// From row to row, in elements. Rows in succession are one row with meaningless outputs between.
  int64_t in_pitch() const { return p_.row_columns * tile_.n_inner; }
  int64_t out_pitch() const { return p_.row_columns / w_.stride * tile_.n_inner; }

  /// to = the outputs of n_rows rows from `first` on; sums divided by `divisor`.
  __attribute__((noinline)) void fold_rows(int64_t first, int64_t n_rows, A* to, A divisor) const {
    if (w_.has_phases()) return fold_phases(stored_ + first * in_pitch(), n_rows, to, divisor);
    const A* row = row_ + first * in_pitch();
    if (p_.reduces_lanes) return fold_by_lanes(row, n_rows, to, divisor);
    const int64_t n = tile_.n_inner;
    const UnitLoad<A> unit;
    for (int j = 0; j + 1 < w_.n_steps; ++j) {
      const int64_t positions = (n_rows - 1) * p_.row_columns + (tile_.n - 1) * w_.stride + 1 +
                                w_.dilation * (w_.window - w_.steps[j].size);
      fold<Op>(terms(j, row, 1), unit, unit, steps_, positions * n);
    }
    Terms<A, A> last = terms(w_.n_steps - 1, row, divisor);
    const int64_t n_outputs = (n_rows - 1) * out_pitch() + tile_.n * n;
    if (w_.stride == 1) {
      fold<Op>(last, unit, unit, to, n_outputs);
    } else if (n > 1) {
      last.n_rows = tile_.n;
      last.raw_row_step = last.prev_row_step = w_.stride * n;
      last.row_step = n;
      fold<Op>(last, unit, unit, to, n);
    } else if (w_.stride == 2) {
      fold<Op>(last, EvenLoad<A>{}, EvenLoad<A>{}, to, n_outputs);
    } else {
      const StridedLoad<A> load{w_.stride};
      fold<Op>(last, load, load, to, n_outputs);
    }
  }

 private:
  /// Columns before the first one that is a multiple of the spread, from tile.start on.
  int64_t first_multiple() const {
    const int64_t rest = tile_.start % w_.spread;
    return rest > 0 ? w_.spread - rest : -rest;
  }
  /// Such columns before the first element of x.
  int64_t before_stored() const {
    return (tile_.first_stored * w_.spread - tile_.start - first_multiple()) / w_.spread;
  }

  /// Windows over rows without their zeros: the outputs i, i + spread, ... have the same taps.
  __attribute__((noinline)) void fold_phases(const A* stored, int64_t n_rows, A* to,
                                             A divisor) const {
    const UnitLoad<A> unit;
    const int64_t n = tile_.n_inner, spread = w_.spread, d = w_.dilation;
    const int64_t longest = (tile_.n + spread - 1) / spread;
    A* phase = steps_;
    for (int64_t i = 0; i < spread && i < tile_.n; ++i, phase += n_rows * longest) {
      int64_t tap = 0;
      while (tap < w_.spread_period && (i + d * tap - first_multiple()) % spread != 0) ++tap;
      const bool has_any = tap < w_.spread_period && tap < w_.window;
      const int64_t n_here = (tile_.n - i + spread - 1) / spread;
      Terms<A, A> terms;
      terms.raw = stored + (has_any ? (i + d * tap - first_multiple()) / spread * n : 0);
      terms.raw_step = d * w_.spread_period / spread * n;
      terms.n_raw = has_any ? (w_.window - tap - 1) / w_.spread_period + 1 : 0;
      terms.divisor = divisor;
      if (n == 1) {
        terms.n_rows = n_rows;
        terms.raw_row_step = in_pitch();
        terms.row_step = longest;
        fold<Op>(terms, unit, unit, phase, n_here);
        continue;
      }
      terms.n_rows = n_here;
      terms.raw_row_step = n;
      terms.row_step = spread * n;
      for (int64_t r = 0; r < n_rows; ++r, terms.raw += in_pitch()) {
        fold<Op>(terms, unit, unit, to + r * out_pitch() + i * n, n);
      }
    }
    if (n > 1) return;
    for (int64_t r = 0; r < n_rows; ++r) {
      join_phases(steps_ + r * longest, n_rows * longest, to + r * out_pitch());
    }
  }

  /// to[i] from the phases, which lie phase_step apart.
  __attribute__((noinline)) void join_phases(const A* from, int64_t phase_step, A* to) const {
    constexpr int kLane = kLanes<A>;
    const int64_t n = tile_.n, spread = w_.spread;
    int64_t i = 0;
    if (spread == 2) {
      for (; i + 2 * kLane <= n; i += 2 * kLane, from += kLane) {
        const Vec<A> a = load(from), b = load(from + phase_step);
        store(to + i, zip<0>(a, b));
        store(to + i + kLane, zip<1>(a, b));
      }
      if (i == n) return;
      const Vec<A> a = load(from), b = load(from + phase_step);
      const int rest = static_cast<int>(n - i);
      store_n(to + i, zip<0>(a, b), rest < kLane ? rest : kLane);
      if (rest > kLane) store_n(to + i + kLane, zip<1>(a, b), rest - kLane);
      return;
    }
    for (int64_t phase = 0; phase < spread; ++phase) {
      for (i = 0; phase + i * spread < n; ++i)
        to[phase + i * spread] = from[phase * phase_step + i];
    }
  }

  __attribute__((noinline)) void spread_row(const A* from, A* to) const {
    const int64_t n = tile_.n_inner, step = w_.spread * n;
    for (int64_t i = 0; i < tile_.n_stored; ++i, from += n, to += step) {
      for (int64_t c = 0; c < n; ++c) to[c] = from[c];
    }
  }

  static void fill(A* to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = Op::kIdentity;
  }

  Terms<A, A> terms(int j, const A* row, A divisor) const {
    const PoolStep& step = w_.steps[j];
    const int64_t tap = w_.dilation * tile_.n_inner;
    Terms<A, A> t;
    t.raw = row + tap * (step.size - step.n_raw);
    t.raw_step = tap;
    t.n_raw = step.n_raw;
    t.n_prev = step.n_prev;
    t.divisor = divisor;
    for (int i = 0; i < step.n_prev; ++i) {
      t.prev[i] = steps_ + tap * step.prev_offset(i);
    }
    return t;
  }

  void fold_by_lanes(const A* row, int64_t n_rows, A* to, A divisor) const {
    for (int64_t r = 0; r < n_rows; ++r, row += in_pitch()) {
      for (int64_t i = 0; i < tile_.n; ++i) {
        const A value = fold_lanes<Op>(row + i * w_.stride, w_.window);
        to[r * out_pitch() + i] = Op::kIsSum ? value / divisor : value;
      }
    }
  }

  const PoolingProblem& p_;
  const PoolAxis& w_;
  const WidthTile& tile_;
  A *row_, *stored_, *steps_;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
