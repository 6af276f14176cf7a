// From the windows' winners to dx. Included by *.isa.cc only.
#pragma once

#include "ops/pooling_backward/winner.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// The taps that meet one phase: for an element at q, tap k belongs to the window at q - back[k].
template <class A>
struct Questions {
  int64_t back[kAskedTaps];
  Bits<A> code[kAskedTaps];
  int n = 0;
};

/// dx[q] = sum of dy over the windows that say they took q, in one fixed order.
template <class A>
__attribute__((noinline)) void ask_windows(const Bits<A>* code, const A* dy,
                                           const Questions<A>& all, A* dx, int64_t n) {
  const Questions<A> ask = all;  // what no store can change
  for (int64_t q = 0; q < n; q += 2 * kLanes<A>) {
    Vec<A> sum[2] = {zero<A>(), zero<A>()};
    for (int k = 0; k < ask.n; ++k) {
      const auto mine = set1(ask.code[k]);
#pragma GCC unroll 2
      for (int u = 0; u < 2; ++u) {
        const int64_t at = q + u * kLanes<A> - ask.back[k];
        // A select, not a product: dy of another window may be Inf or NaN.
        sum[u] += select(load(code + at) == mine, load(dy + at), zero<A>());
      }
    }
    store(dx + q, sum[0]);
    store(dx + q + kLanes<A>, sum[1]);
  }
}

/// Short windows: every phase of the box becomes dx.
template <class A>
__attribute__((noinline)) void gather_dx(const ExtremeProblem& p, const Box& b, const Bits<A>* code,
                                         const A* dy, A* box) {
  const ExtremeAxis &d = p.axis[0], &h = p.axis[1], &w = p.axis[2];
  int64_t begin = 0, end = 0;
  for (int i = 0; i < 3; ++i) {
    begin += b.side[i].first_q * b.step(i);
    end += b.side[i].last_q * b.step(i);
  }
  end += b.n_inner;
  for (int64_t rz = 0; rz < d.stride; ++rz) {
    for (int64_t ry = 0; ry < h.stride; ++ry) {
      for (int64_t rx = 0; rx < w.stride; ++rx, box += b.phase) {
        Questions<A> ask;
        for (int64_t i = 0; i < d.window; ++i) {
          if (i * d.dilation % d.stride != rz) continue;
          for (int64_t j = 0; j < h.window; ++j) {
            if (j * h.dilation % h.stride != ry) continue;
            for (int64_t k = 0; k < w.window; ++k) {
              if (k * w.dilation % w.stride != rx) continue;
              ask.back[ask.n] = i * d.dilation / d.stride * b.step(0) +
                                j * h.dilation / h.stride * b.row +
                                k * w.dilation / w.stride * b.n_inner;
              ask.code[ask.n++] =
                  static_cast<Bits<A>>(b.code(p, 0, i) + b.code(p, 1, j) + b.code(p, 2, k));
            }
          }
        }
        ask_windows(code + begin, dy + begin, ask, box + begin, end - begin);
      }
    }
  }
}

/// Long windows: each one adds to its element.
template <class A>
class Scatter {
 public:
  Scatter(const ExtremeProblem& p, const Box& b, const Scratch<A>& scratch)
      : b_(b), box_(scratch.box), sums_(has_long_sums(p) ? scratch.sums : nullptr) {
    fill(box_, b.n_elements, A{0});
    if (sums_ != nullptr) fill(sums_, b.n_elements, A{0});
    const int64_t by_row = most_terms(p.axis[2]);
    terms_of_chunk_ = smaller(by_row, kSumRun);
    chunk_ = by_row > kSumRun ? kSumRun * b.n_inner : b.row;
  }

  /// Adds one row of n windows at position `at`.
  void add_row(const Bits<A>* code, const A* dy, int64_t at, int64_t n) {
    for (int64_t i = 0; i < n; i += chunk_) {
      if (sums_ != nullptr && n_terms_ + terms_of_chunk_ > kSumRun) flush();
      add_run(code + at + i, dy + at + i, box_ + at + i, smaller(chunk_, n - i));
      n_terms_ += terms_of_chunk_;
    }
  }

  /// The finished sums.
  const A* finish() {
    if (sums_ == nullptr) return box_;
    flush();
    return sums_;
  }

 private:
  static __attribute__((noinline)) void add_run(const Bits<A>* code, const A* dy, A* box,
                                                int64_t n) {
    for (int64_t i = 0; i < n; ++i) box[i + code[i]] += dy[i];
  }

  /// Long sums are made of runs of bounded length, so that rounding errors do not pile up.
  __attribute__((noinline)) void flush() {
    for (int64_t i = 0; i < b_.n_elements; i += kLanes<A>) {
      store(sums_ + i, load(sums_ + i) + load(box_ + i));
      store(box_ + i, zero<A>());
    }
    n_terms_ = 0;
  }

  const Box& b_;
  A *box_, *sums_;
  int64_t n_terms_ = 0, terms_of_chunk_, chunk_;
};

/// Where dx is in the end.
template <class A>
__attribute__((noinline)) const A* give_gradients(const ExtremeProblem& p, const Box& b,
                                                  const Scratch<A>& scratch, const Bits<A>* code,
                                                  const A* dy) {
  if (asks_windows(p)) {
    gather_dx(p, b, code, dy, scratch.box);
    return scratch.box;
  }
  Scatter<A> scatter(p, b, scratch);
  for_each_row(b, [&](int64_t, int64_t, int64_t at, bool is_window) {
    if (is_window) scatter.add_row(code, dy, at, b.side[2].n_windows * b.n_inner);
  });
  return scatter.finish();
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
