// Rows of arrays whose channels lie side by side: turned in tiles of lanes x lanes. Included by
// *.isa.cc only.
#pragma once

#include "ops/long_conv/butterflies.h"
#include "ops/long_conv/stage.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Up to kSlabChannels channels of a sample, by vectors of neighbours: `n` of them from `c` on.
template <class S>
struct SlabChannels {
  using A = typename AccOf<S>::type;
  static constexpr int kV = kLanes<A>;
  const LongProblem& p;
  const Buffers& b;
  int64_t batch, first_channel, n_channels;

  __attribute__((always_inline)) SlabChannels(const LongProblem& problem, const Buffers& buffers,
                                              int64_t index)
      : p(problem), b(buffers), batch(index % p.n_batch) {
    first_channel = index / p.n_batch * kSlabChannels;
    n_channels = smaller(kSlabChannels, p.n_channels - first_channel);
  }

  /// Neighbouring channels at one position.
  __attribute__((always_inline)) Vec<A> channels_at(const RowArray& array, int64_t c, int64_t i,
                                                    int n) const {
    const int64_t at = array.at(batch, first_channel + c) + i * array.step;
    return load_part<A>(static_cast<const S*>(b.read(array.ref)) + at, n);
  }
  __attribute__((always_inline)) Vec<A> channels(const RowArray& array, int64_t c, int n) const {
    alignas(kVecBytes) A values[kV] = {};
    if (array.is_present) {
      const S* from = static_cast<const S*>(b.read(array.ref));
      for (int i = 0; i < n; ++i) values[i] = to_acc(from[(first_channel + c + i) * array.step]);
    }
    return SWATH_ISA::load(values);
  }
  __attribute__((always_inline)) Vec<A> value(int64_t c, int64_t i, int n) const {
    if (p.u.is_periodic) i = wrapped(i, p.u.n);
    const Vec<A> x = channels_at(p.u.x, c, i, n);
    return p.u.gate.is_present ? x * channels_at(p.u.gate, c, i, n) : x;
  }
  /// Gates, skip and bias of the sums v of output `at`.
  __attribute__((always_inline)) void finish(int64_t c, int64_t at, int n, Vec<A> v, Vec<A> skip,
                                             Vec<A> bias) const {
    if (p.skip.is_present) v = mul_add(skip, value(c, at, n), v);
    if (p.bias.is_present) v += bias;
    put(p.y, p.post, c, at, n, v);
    if (p.y2.is_present) put(p.y2, p.post2, c, at, n, v);
  }

 private:
  __attribute__((always_inline)) void put(const RowArray& y, const RowArray& gate, int64_t c,
                                          int64_t at, int n, Vec<A> v) const {
    if (gate.is_present) v = v * channels_at(gate, c, at, n);
    const int64_t to = y.at(batch, first_channel + c) + at * y.step;
    store_part(static_cast<S*>(b.write(y.ref)) + to, v, n);
  }
};

/// One segment of such channels, as rows.
template <class S>
struct Slab : SlabChannels<S> {
  using Base = SlabChannels<S>;
  using Base::kV, Base::p, Base::n_channels;
  using typename Base::A;
  const Segment& s;
  A *inputs, *outputs;

  __attribute__((always_inline)) Slab(const LongProblem& problem, const Buffers& buffers,
                                      const Segment& segment, int64_t index, A* memory)
      : Base(problem, buffers, index), s(segment) {
    inputs = memory;
    outputs = memory + kSlabChannels * in_pitch(p);
  }

  // Rows begin at different places of the cache, and end in room for whole vectors.
  static int64_t in_pitch(const LongProblem& p) {
    const int64_t longest = p.segment + p.taps.n - 1;
    return ((p.u.is_periodic || longest < p.u.n ? longest : p.u.n) + 63) / 16 * 16;
  }
  static int64_t out_pitch(const LongProblem& p) { return (p.segment + 63) / 16 * 16; }
  static int64_t n_elements(const LongProblem& p) {
    return kSlabChannels * (in_pitch(p) + out_pitch(p));
  }

  __attribute__((always_inline)) A* input(int64_t i) const { return inputs + i * in_pitch(p); }
  __attribute__((always_inline)) A* output(int64_t i) const { return outputs + i * out_pitch(p); }

  /// v of all positions that the segment reads.
  void load() const {
    for (int64_t c = 0; c < n_channels; c += kV) {
      for (int64_t i = s.low; i < s.high; i += kV) load_tile(c, i);
    }
  }
  /// Gates, skip and bias; the sums are in the output rows.
  void store() const {
    for (int64_t c = 0; c < n_channels; c += kV) {
      const int n = static_cast<int>(smaller(kV, n_channels - c));
      const Vec<A> bias = this->channels(p.bias, c, n), skip = this->channels(p.skip, c, n);
      for (int64_t t = 0; t < s.n_out; t += kV) store_tile(c, t, n, skip, bias);
    }
  }

 private:
  // The loops over rows are not unrolled: 16 copies of the gates and the masked loads were 125 KB.
  __attribute__((noinline)) void load_tile(int64_t c, int64_t i) const {
    const int n = static_cast<int>(smaller(kV, n_channels - c));
    const int64_t count = smaller(kV, s.high - i);
    Vec<A> rows[kV];
    for (int r = 0; r < kV; ++r) rows[r] = r < count ? this->value(c, i + r, n) : zero<A>();
    transpose<A>(rows);
    for (int r = 0; r < kV; ++r) {
      if (r < n) SWATH_ISA::store(input(c + r) + i - s.low, rows[r]);
    }
  }

  __attribute__((noinline)) void store_tile(int64_t c, int64_t t, int n, Vec<A> skip,
                                            Vec<A> bias) const {
    Vec<A> rows[kV];
    for (int r = 0; r < kV; ++r) {
      rows[r] = r < n ? SWATH_ISA::load(output(c + r) + t) : zero<A>();
    }
    transpose<A>(rows);
    const int64_t count = smaller(kV, s.n_out - t);
    for (int r = 0; r < kV; ++r) {
      if (r >= count) continue;
      const int64_t at = s.out_first + t + r;
      this->finish(c, at, n, rows[r], skip, bias);
    }
  }
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
