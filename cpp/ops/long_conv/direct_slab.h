// Direct sums over arrays whose channels lie side by side: a lane for each channel. Included by
// *.isa.cc only.
#pragma once

#include "ops/long_conv/slab.h"

namespace swath {
namespace SWATH_ISA {
namespace {

template <class S>
struct DirectSlab : SlabChannels<S> {
  using Base = SlabChannels<S>;
  using Base::kV, Base::p, Base::n_channels;
  using typename Base::A;
  /// Outputs whose inputs are staged at once: with the taps before them they fit into the first
  /// cache.
  static constexpr int64_t kPositions = 256;
  static constexpr int kOutputs = 8;  // sums in registers
  A *taps, *window;                   // vectors of channels: [tap], [position]

  static int64_t taps_room(const LongProblem& p) { return p.taps.n * kV; }
  static int64_t window_room(const LongProblem& p) {
    return (kPositions + kOutputs + p.taps.n) * kV;
  }
  __attribute__((always_inline)) DirectSlab(const LongProblem& problem, const Buffers& buffers,
                                            int64_t index, A* taps_memory, A* window_memory)
      : Base(problem, buffers, index), taps(taps_memory), window(window_memory) {}

  void run(const Segment& s) const {
    for (int64_t c = 0; c < n_channels; c += kV) {
      const int n = static_cast<int>(smaller(kV, n_channels - c));
      load_taps(c, n);
      for (int64_t t = 0; t < s.n_out; t += kPositions) {
        const int64_t count = smaller(kPositions, s.n_out - t);
        load_window(c, n, s, s.out_first + t, count);
        sum(c, n, s.out_first + t, count);
      }
    }
  }

 private:
  __attribute__((noinline)) void load_taps(int64_t c, int n) const {
    clear(taps, taps_room(p));
    const S* from = static_cast<const S*>(this->b.read(p.taps.x.ref));
    const A* acc = static_cast<const A*>(this->b.read(p.taps.x.ref));
    for (int l = 0; l < n; ++l) {
      const int64_t first = p.taps.x.at(0, p.head_of(this->first_channel + c + l));
      for (int64_t j = 0; j < p.taps.n; ++j) {
        const int64_t at = first + j * p.taps.x.step;
        taps[j * kV + l] = p.taps.x.is_acc ? acc[at] : to_acc(from[at]);
      }
    }
  }
  /// v from the first tap of output `first` to the last output's own position, and zeros behind.
  __attribute__((noinline)) void load_window(int64_t c, int n, const Segment& s, int64_t first,
                                             int64_t count) const {
    const int64_t begin = p.first_output + first - (p.taps.n - 1);
    const int64_t length = count + p.taps.n - 1;
    for (int64_t i = 0; i < length; ++i) {
      const int64_t at = begin + i;
      const bool is_inside = at >= s.low && at < s.high;
      store(window + i * kV, is_inside ? this->value(c, at, n) : zero<A>());
    }
    clear(window + length * kV, kOutputs * kV);
  }
  __attribute__((noinline)) void sum(int64_t c, int n, int64_t first, int64_t count) const {
    const Vec<A> skip = this->channels(p.skip, c, n), bias = this->channels(p.bias, c, n);
    for (int64_t t = 0; t < count; t += kOutputs) {
      alignas(kVecBytes) A sums[kOutputs * kV];
      sum_taps(window + (t + p.taps.n - 1) * kV, sums);
      for (int64_t u = 0; u < smaller(kOutputs, count - t); ++u) {
        this->finish(c, first + t + u, n, load(sums + u * kV), skip, bias);
      }
    }
  }
  /// `at` is the position of the first of kOutputs outputs.
  __attribute__((always_inline)) void sum_taps(const A* at, A* sums) const {
    Vec<A> total[kOutputs];
#pragma GCC unroll 8
    for (Vec<A>& v : total) v = zero<A>();
    for (int64_t first = 0; first < p.taps.n; first += kSumRun) {
      const int64_t end = smaller(first + kSumRun, p.taps.n);
      Vec<A> part[kOutputs];
#pragma GCC unroll 8
      for (Vec<A>& v : part) v = zero<A>();
      const A* x = at - first * kV;
      for (int64_t j = first; j < end; ++j, x -= kV) {
        const Vec<A> tap = load(taps + j * kV);
#pragma GCC unroll 8
        for (int u = 0; u < kOutputs; ++u) part[u] = mul_add(tap, load(x + u * kV), part[u]);
      }
#pragma GCC unroll 8
      for (int u = 0; u < kOutputs; ++u) total[u] += part[u];
    }
#pragma GCC unroll 8
    for (int u = 0; u < kOutputs; ++u) store(sums + u * kV, total[u]);
  }
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
