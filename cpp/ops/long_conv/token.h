// A few positions of a stream, one after the other. Included by *.isa.cc only.
#pragma once

#include "ops/long_conv/stage.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// One row of the kind `token`. All that a position needs lies side by side: the inputs of the
/// current block, the sums that earlier blocks gave to it, and the first taps. Rows as long as the
/// taps are touched at the block's ends alone: they lie in a page each, and looking all of them up
/// took ten times as long as the sums.
template <class S>
struct TokenRow {
  using A = typename AccOf<S>::type;
  static constexpr int kV = kLanes<A>;
  const LongProblem& p;
  const Buffers& b;
  int64_t batch, channel, before;
  A *inputs, *sums, *kept_inputs, *kept_sums;
  const A* taps;

  __attribute__((always_inline)) TokenRow(const LongProblem& problem, const Buffers& buffers,
                                          int64_t row)
      : p(problem), b(buffers), batch(row % p.n_batch), channel(row / p.n_batch) {
    const int64_t time = *static_cast<const int64_t*>(b.read(p.time));
    before = time % kStreamBlock;
    const int64_t block = (time - before) % p.span;
    inputs = static_cast<A*>(b.write(p.block.ref)) + p.block.at(batch, channel);
    sums = inputs + kStreamBlock;
    kept_inputs = static_cast<A*>(b.write(p.kept.ref)) + p.kept.at(batch, channel) + block;
    kept_sums = static_cast<A*>(b.write(p.add.ref)) + p.add.at(batch, channel) + block;
    taps = static_cast<const A*>(b.read(p.spectrum)) + p.head_of(channel) * kStreamBlock;
  }

  __attribute__((noinline)) void run() const {
    if (before == 0) begin_block();
    const A skip = constant(p.skip), bias = constant(p.bias);
    for (int64_t t = 0; t < p.n_out; ++t) {
      const int64_t at = before + t;
      A v = element(p.u.x, t);
      if (p.u.gate.is_present) v = v * element(p.u.gate, t);
      // The newest one apart: a vector over what was just stored would wait for it.
      A c = earlier(at) + v * taps[kStreamBlock - 1];
      inputs[at] = v;
      c += sums[at];
      if (p.skip.is_present) c += skip * v;
      if (p.bias.is_present) c += bias;
      if (p.post.is_present) c = c * element(p.post, t);
      static_cast<S*>(b.write(p.y.ref))[p.y.at(batch, channel) + t * p.y.step] = from_acc<S>(c);
    }
    if (before + p.n_out == kStreamBlock) copy(inputs, kept_inputs);
  }

 private:
  /// The sum over the inputs before `at` that the taps reach. Nothing else is looked at: it may be
  /// infinite.
  __attribute__((always_inline)) A earlier(int64_t at) const {
    const int64_t first = larger(0, at - (p.taps.n - 1));
    const A *x = inputs + first, *k = taps + kStreamBlock - 1 - at + first;
    return sum_lanes<A>(at - first, [&](int64_t i, int n) __attribute__((always_inline)) {
      return load_part<A>(x + i, n) * load_part<A>(k + i, n);
    });
  }
  __attribute__((always_inline)) void begin_block() const {
    clear(inputs, kStreamBlock);
    copy(kept_sums, sums);
    clear(kept_sums, kStreamBlock);
  }
  static __attribute__((always_inline)) void copy(const A* from, A* to) {
    for (int64_t i = 0; i < kStreamBlock; i += kV) store(to + i, load(from + i));
  }

  __attribute__((always_inline)) A element(const RowArray& array, int64_t t) const {
    const int64_t at = array.at(batch, channel) + t * array.step;
    return to_acc(static_cast<const S*>(b.read(array.ref))[at]);
  }
  /// Of skip or bias, 0 where there is none.
  __attribute__((always_inline)) A constant(const RowArray& array) const {
    if (!array.is_present) return 0;
    return to_acc(static_cast<const S*>(b.read(array.ref))[array.first + channel * array.step]);
  }
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
