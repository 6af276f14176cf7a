// The pass along the width: one row in scratch memory, padding included, becomes one row of outputs.
// Included by *.isa.cc only.
#pragma once

#include "ops/pooling/column.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Outputs [first, first + n) of the width and n_inner elements of the inner axis.
struct WidthTile {
  int64_t first, n, n_inner;
  int64_t start, begin, end;  // columns of x: of the first window, and those inside the array
};

template <class Op, class A>
class Width {
 public:
  /// `row` holds the columns from tile.start on, `steps` has room for as many.
  Width(const PoolingProblem& problem, const WidthTile& tile, A* row, A* steps)
      : p_(problem), w_(problem.width), tile_(tile), row_(row), steps_(steps) {
    const int64_t n = tile.n_inner;
    fill(row, (tile.begin - tile.start) * n);
    fill(row + (tile.end - tile.start) * n, (w_.reach(tile.n) - (tile.end - tile.start)) * n);
  }

  const WidthTile& tile() const { return tile_; }
  A* inside() const { return row_ + (tile_.begin - tile_.start) * tile_.n_inner; }

  /// to = the outputs of the tile, dense.
  __attribute__((noinline)) void fold_row(A* to) const {
    if (p_.reduces_lanes) return fold_by_lanes(to);
    const int64_t n = tile_.n_inner;
    const UnitLoad<A> unit;
    for (int j = 0; j + 1 < w_.n_steps; ++j) {
      const int64_t positions = (tile_.n - 1) * w_.stride + 1 +
                                w_.dilation * (w_.window - w_.steps[j].size);
      fold<Op>(terms(j, 0), unit, unit, steps_, positions * n);
    }
    const int last = w_.n_steps - 1;
    if (w_.stride == 1) {
      fold<Op>(terms(last, 0), unit, unit, to, tile_.n * n);
    } else if (n > 1) {
      for (int64_t i = 0; i < tile_.n; ++i) {
        fold<Op>(terms(last, i * w_.stride), unit, unit, to + i * n, n);
      }
    } else if (w_.stride == 2) {
      fold<Op>(terms(last, 0), EvenLoad<A>{}, EvenLoad<A>{}, to, tile_.n);
    } else {
      const StridedLoad<A> load{w_.stride};
      fold<Op>(terms(last, 0), load, load, to, tile_.n);
    }
  }

 private:
  __attribute__((noinline)) static void fill(A* to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = Op::kIdentity;
  }

  Terms<A, A> terms(int j, int64_t position) const {
    const PoolStep& step = w_.steps[j];
    const int64_t tap = w_.dilation * tile_.n_inner;
    Terms<A, A> t;
    t.raw = row_ + position * tile_.n_inner + tap * (step.size - step.n_raw);
    t.raw_step = tap;
    t.n_raw = step.n_raw;
    t.n_prev = step.n_prev;
    for (int i = 0; i < step.n_prev; ++i) {
      t.prev[i] = steps_ + position * tile_.n_inner + tap * step.prev_offset(i);
    }
    return t;
  }

  void fold_by_lanes(A* to) const {
    for (int64_t i = 0; i < tile_.n; ++i) {
      to[i] = fold_lanes<Op>(row_ + i * w_.stride, w_.window);
    }
  }

  const PoolingProblem& p_;
  const PoolAxis& w_;
  const WidthTile& tile_;
  A *row_, *steps_;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
