// One pooled axis of whole rows: long windows are made of shorter ones, whose rows are kept in rings
// and made when first asked for. Included by *.isa.cc only.
#pragma once

#include "ops/pooling/fold.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// A row of an outer axis: n_sub x n_segments runs of `len` elements. In scratch memory it is dense.
struct RowShape {
  int64_t n_sub = 1, sub_step = 0;
  int64_t n_segments = 1, segment_step = 0;
  int64_t len = 0;
};

/// Rings of rows, `tag` says which row a place holds.
template <class A>
struct Rings {
  A* rows[kMaxPoolSteps];
  int64_t* tags[kMaxPoolSteps];
};

template <class Op, class Load>
class Column {
 public:
  using T = typename Load::Element;
  using A = typename Load::Acc;

  /// Row i of the axis is at raw + i raw_step.
  Column(const PoolAxis& axis, const Rings<A>& rings, const T* raw, int64_t raw_step, Load load,
         const RowShape& shape)
      : axis_(axis), rings_(rings), raw_(raw), raw_step_(raw_step), load_(load), shape_(shape) {
    for (int j = 0; j + 1 < axis.n_steps; ++j) {
      const int64_t n = axis.ring_rows(j);
      for (int64_t i = 0; i < n; ++i) rings.tags[j][i] = -1;
    }
  }

  /// row = op over the window of output p, dense.
  void make_output(int64_t p, A* row) const {
    make(axis_.n_steps - 1, p * axis_.stride, row);
  }

 private:
  /// Positions count from the first element of the padding. Not inlined: it calls itself.
  __attribute__((noinline)) void make(int j, int64_t position, A* row) const {
    const PoolStep& step = axis_.steps[j];
    Terms<T, A> terms;
    const A* prev[kMaxPoolPrev];
    terms.n_prev = step.n_prev;
    for (int t = 0; t < step.n_prev; ++t) {
      prev[t] = ring_row(j - 1, position + axis_.dilation * step.prev_offset(t));
    }
    const T* raw = clip_raw(step, position, terms);
    int64_t i = 0;
    for (int64_t sub = 0; sub < shape_.n_sub; ++sub) {
      for (int64_t segment = 0; segment < shape_.n_segments; ++segment, ++i) {
        terms.raw = raw + sub * shape_.sub_step + segment * shape_.segment_step;
        for (int t = 0; t < step.n_prev; ++t) terms.prev[t] = prev[t] + i * shape_.len;
        fold<Op>(terms, load_, UnitLoad<A>{}, row + i * shape_.len, shape_.len);
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
    terms.raw_step = d * raw_step_;
    terms.n_raw = n > 0 ? n : 0;
    return n > 0 ? raw_ + first * raw_step_ : raw_;
  }

  const A* ring_row(int j, int64_t position) const {
    const int64_t slot = position % axis_.ring_rows(j);
    A* row = rings_.rows[j] + slot * shape_.n_sub * shape_.n_segments * shape_.len;
    if (rings_.tags[j][slot] != position) {
      make(j, position, row);
      rings_.tags[j][slot] = position;
    }
    return row;
  }

  const PoolAxis& axis_;
  const Rings<A>& rings_;
  const T* raw_;
  int64_t raw_step_;
  Load load_;
  const RowShape& shape_;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
