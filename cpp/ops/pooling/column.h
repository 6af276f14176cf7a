// One pooled axis of whole rows: long windows are made of shorter ones, whose rows are made in
// order and kept in rings. Included by *.isa.cc only.
#pragma once

#include "ops/pooling/groups.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// A row of an outer axis: n_sub x n_segments runs of `len` elements. In scratch memory it is
/// dense.
struct RowShape {
  int64_t n_sub = 1, sub_step = 0;
  int64_t n_segments = 1, segment_step = 0;
  int64_t len = 0;
};

/// Memory for the rows of each step but the last.
template <class A>
struct Rings {
  A* rows[kMaxPoolSteps];
};

/// Between these numbers, rows are folded a few at a time.
inline constexpr int64_t kFewRows = 16, kManyRows = 512;

template <class Op, class Load>
class Column {
 public:
  using T = typename Load::Element;
  using A = typename Load::Acc;

  /// Row i of the axis is at raw + i raw_step.
  Column(const PoolAxis& axis, const Rings<A>& rings, const T* raw, int64_t raw_step, Load load,
         const RowShape& shape)
      : axis_(axis), rings_(rings), raw_step_(raw_step), load_(load), shape_(shape) {
    restart(raw);
  }

  /// The same axis of another array.
  void restart(const T* raw) {
    raw_ = raw;
    for (int j = 0; j + 1 < axis_.n_steps; ++j) next_[j] = 0;
  }

  /// Rows [first, first + n) of outputs, dense, at to, to + to_step, ...; sums divided by
  /// `divisor`.
  void make_outputs(int64_t first, int64_t n, A* to, int64_t to_step, A divisor) {
    if (axis_.by_groups) return make_groups(first, n, to, to_step, divisor);
    if (axis_.spread == 1 || axis_.n_steps > 1) {
      return make_every(1, first, n, to, to_step, divisor);
    }
    // Windows `spread` apart have the same taps on zeros.
    for (int64_t i = 0; i < axis_.spread && i < n; ++i) {
      make_every(axis_.spread, first + i, n - i, to + i * to_step, to_step, divisor);
    }
  }

 private:
  /// Of the n rows of outputs from `first` on, each one that is a multiple of `every` after it.
  void make_every(int64_t every, int64_t first, int64_t n, A* to, int64_t to_step, A divisor) {
    const PoolStep& only = axis_.steps[0];
    int64_t i = 0;
    while (i < n) {
      const int64_t position = (first + i) * axis_.stride;
      int64_t n_alike = 1;
      if (axis_.n_steps == 1 && position >= axis_.pad) {
        // All windows that end inside the array are one fold over many rows.
        const int64_t space =
            axis_.in - 1 - axis_.dilation * (only.size - 1) - (position - axis_.pad);
        n_alike = space < 0 ? 1 : space / (axis_.stride * every) + 1;
        const int64_t n_left = (n - i + every - 1) / every;
        if (n_alike > n_left) n_alike = n_left;
      }
      make(axis_.n_steps - 1, position, to + i * to_step, n_alike, every * to_step, divisor);
      i += n_alike * every;
    }
  }

  __attribute__((noinline)) void make_groups(int64_t first, int64_t n, A* to, int64_t to_step,
                                             A divisor) const {
    for (int64_t i = 0; i < n; i += axis_.window, to += axis_.window * to_step) {
      const int64_t start = first + i - axis_.pad, n_here = n - i;
      for (int64_t segment = 0; segment < shape_.n_segments; ++segment) {
        const RowGroup<T, A> group{raw_ + start * raw_step_ + segment * shape_.segment_step,
                                   raw_step_,
                                   -start,
                                   axis_.in - start,
                                   axis_.window,
                                   n_here < axis_.window ? n_here : axis_.window,
                                   to + segment * shape_.len,
                                   to_step,
                                   divisor};
        fold_group<Op>(group, load_, shape_.len);
      }
    }
  }

  /// Makes n_rows rows of step j. Positions count from the first element of the padding. Not
  /// inlined: it calls itself.
  __attribute__((noinline)) void make(int j, int64_t position, A* row, int64_t n_rows,
                                      int64_t row_step, A divisor) {
    const PoolStep& step = axis_.steps[j];
    Terms<T, A> terms;
    const A* prev[kMaxPoolPrev];
    terms.n_prev = step.n_prev;
    terms.n_rows = n_rows;
    terms.raw_row_step = axis_.stride * raw_step_;  // of windows `spread` apart as well
    terms.row_step = row_step;
    terms.divisor = divisor;
    if (step.n_prev > 0) {
      fill_ring(j - 1, position, axis_.dilation * step.prev_offset(step.n_prev - 1));
      for (int t = 0; t < step.n_prev; ++t) {
        prev[t] = ring_row(j - 1, position + axis_.dilation * step.prev_offset(t));
      }
    }
    const T* raw = clip_raw(step, position, terms);
    int64_t i = 0;
    for (int64_t sub = 0; sub < shape_.n_sub; ++sub) {
      for (int64_t segment = 0; segment < shape_.n_segments; ++segment, ++i) {
        terms.raw = raw + sub * shape_.sub_step + segment * shape_.segment_step;
        for (int t = 0; t < step.n_prev; ++t) terms.prev[t] = prev[t] + i * shape_.len;
        A* to = row + i * shape_.len;
        if (n_rows == 1 && step.n_prev == 0 && terms.n_raw > kFewRows && terms.n_raw <= kManyRows) {
          fold_many<Op>(terms, load_, to, shape_.len);
        } else {
          fold<Op>(terms, load_, UnitLoad<A>{}, to, shape_.len);
        }
      }
    }
  }

  /// The single rows of a step that lie inside the array.
  const T* clip_raw(const PoolStep& step, int64_t position, Terms<T, A>& terms) const {
    const int64_t d = axis_.dilation;
    int64_t first = position + d * (step.size - step.n_raw) - axis_.pad, n = step.n_raw;
    if (n > 0 && first + d * (n - 1) >= axis_.in) {
      n = first < axis_.in ? (axis_.in - 1 - first) / d + 1 : 0;
    }
    if (first < 0 && n > 0) {
      const int64_t outside = (-first + d - 1) / d;
      first += outside * d;
      n -= outside;
    }
    if (axis_.spread > 1) return skip_zeros(first, n, terms);
    terms.raw_step = d * raw_step_;
    terms.n_raw = n > 0 ? n : 0;
    return n > 0 ? raw_ + first * raw_step_ : raw_;
  }

  /// Of n taps inside the array from position `first` on, those that meet an element of x.
  __attribute__((noinline)) const T* skip_zeros(int64_t first, int64_t n,
                                                Terms<T, A>& terms) const {
    const int64_t d = axis_.dilation, spread = axis_.spread, period = axis_.spread_period;
    int64_t skipped = 0;
    while (skipped < n && skipped < period && (first + d * skipped) % spread != 0) ++skipped;
    const bool has_any = skipped < n && skipped < period;
    terms.raw_step = d * period / spread * raw_step_;
    terms.n_raw = has_any ? (n - skipped - 1) / period + 1 : 0;
    return has_any ? raw_ + (first + d * skipped) / spread * raw_step_ : raw_;
  }

  A* ring_row(int j, int64_t position) const {
    const int64_t slot = position % axis_.ring_rows(j);
    return rings_.rows[j] + slot * shape_.n_sub * shape_.n_segments * shape_.len;
  }

  /// Makes the rows from `position` to `position + reach` of step j that the ring lacks. In this
  /// order the steps below only ever move on by one row.
  void fill_ring(int j, int64_t position, int64_t reach) {
    if (next_[j] < position) next_[j] = position;
    for (; next_[j] <= position + reach; ++next_[j]) {
      make(j, next_[j], ring_row(j, next_[j]), 1, 0, 1);
    }
  }

  const PoolAxis& axis_;
  const Rings<A>& rings_;
  const T* raw_;
  int64_t raw_step_;
  Load load_;
  const RowShape& shape_;
  int64_t next_[kMaxPoolSteps];  // first row of each step that is not made yet
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
