// The input of a block of outputs with vectors along the channels: in place, or copied as
// accumulators with zeros around it. Included by *.isa.cc only.
#pragma once

#include "ops/dynamic_conv/stage.h"

namespace swath {
namespace SWATH_ISA {
namespace {

template <class S>
class ChannelWindow {
 public:
  using A = typename AccOf<S>::type;

  ChannelWindow(const DynamicProblem& problem, const Buffers* buffers)
      : p_(problem), b_(buffers), pitch_(padded(n_inner())) {}

  /// Of one position: n_outer() runs of n_inner() elements, copies of them pitch() apart.
  int64_t n_inner() const { return p_.lanes_are_groups ? p_.n_groups : p_.n_members; }
  int64_t n_outer() const { return p_.lanes_are_groups ? p_.n_members : 1; }
  int64_t inner_step(const DynamicArray& a) const { return p_.lanes_are_groups ? a.g : a.m; }
  int64_t outer_step(const DynamicArray& a) const { return p_.lanes_are_groups ? a.m : 0; }
  int64_t pitch() const { return pitch_; }
  int64_t position_step() const { return pitch_ * n_outer(); }

  void carve(Carver& carver) {
    int64_t most = 0;
    for (int64_t rh = 0; rh < n_phases(p_, 0); ++rh) {
      for (int64_t rw = 0; rw < n_phases(p_, 1); ++rw) {
        const AxisPhase h = axis_phase(p_, 0, rh), w = axis_phase(p_, 1, rw);
        const Window full{h, w, 0, smaller(p_.rows_block, h.n), 0, smaller(p_.cols_block, w.n)};
        if (full.n_rows <= 0 || full.n_cols <= 0) continue;
        most = larger(most, larger(full.n_in_rows(), h.n_taps) * full.n_in_cols());
      }
    }
    x_ = carver.take<A>(most * position_step() + kSlack);
    taps_ = carver.take<int64_t>(p_.n_taps());
  }

  struct Source {
    const A* x;
    int64_t outer_step, col_step, row_step;
    const int64_t* taps;  // where they are from where an output's first is
  };
  Source open(const DynamicTask& task, const Window& w) const {
    const bool in_place = sizeof(S) == sizeof(A) && inner_step(p_.in) == 1 &&
                          !crowds<A>(p_.in.w, w.n_terms()) && w.is_inside(p_);
    const Source x = in_place ? place(task, w) : copy(task, w);
    int64_t r = 0;
    for (int64_t a = 0; a < w.h.n_taps; ++a) {
      const int64_t row = in_place ? w.h.shift(a) - w.h.lowest_shift() : w.window_row(a);
      for (int64_t c = 0; c < w.w.n_taps; ++c, ++r) {
        taps_[r] = row * x.row_step + w.window_col(c) * x.col_step;
      }
    }
    return x;
  }

 private:
  Source place(const DynamicTask& task, const Window& w) const {
    const A* x = static_cast<const A*>(b_->read(p_.in.ref));
    if (w.n_terms() > 0) {
      const int64_t row = w.row * w.h.in_stride + w.h.lowest_shift();
      x += p_.in.at(task.n, task.g, 0, row, w.first_col());
    }
    return {x, outer_step(p_.in), p_.in.w, p_.in.h, taps_};
  }
  Source copy(const DynamicTask& task, const Window& w) const {
    const int64_t n_cols = w.n_in_cols(), n_rows = w.n_in_rows();
    A* to = x_;
    for (int64_t row = 0; row < n_rows; ++row) {
      const Line<S> line = input_line<S>(p_, *b_, task.n, task.g, 0, w.in_row(row));
      for (int64_t col = w.first_col(); col < w.first_col() + n_cols; ++col) {
        copy_position(line, col, to);
        to += position_step();
      }
    }
    return {x_, pitch_, position_step(), n_cols * position_step(), taps_};
  }
  void copy_position(const Line<S>& line, int64_t col, A* to) const {
    const bool is_past = col < 0;
    const DynamicArray& array = is_past ? p_.history : p_.in;
    const S* from = nullptr;
    if (is_past && col >= -line.n_history) {
      from = line.history + (col + line.n_history) * line.history_stride;
    } else if (!is_past && col < line.length) {
      from = line.x + col * line.stride;
    }
    if (from == nullptr) {
      __builtin_memset(to, 0, static_cast<size_t>(position_step()) * sizeof(A));
      return;
    }
    for (int64_t o = 0; o < n_outer(); ++o) {
      widen_row(from + o * outer_step(array), inner_step(array), to + o * pitch_, n_inner());
    }
  }

  const DynamicProblem& p_;
  const Buffers* b_;
  const int64_t pitch_;
  A* x_ = nullptr;
  int64_t* taps_ = nullptr;
};

SWATH_ALWAYS_INLINE int64_t channel_groups(const DynamicProblem& p) {
  return p.lanes_are_groups ? 1 : p.n_groups;
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
