// Gradients of skip and bias: sums over the rows of a channel. Included by *.isa.cc only.
#pragma once

#include "ops/long_conv/stage.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// One channel, its rows in the order of the batch. The rooms are kStageRoom each.
template <class S, class A = typename AccOf<S>::type>
__attribute__((noinline)) void sum_channel(const LongProblem& p, const Buffers& b, int64_t channel,
                                           A* gate_room, A* dc, A* v) {
  LongSum<A> skip, bias;
  for (int64_t batch = 0; batch < p.n_batch; ++batch) {
    const SourceRow<S> gradient(b, p.dc, batch, channel, gate_room);
    const SourceRow<S> input(b, p.u, batch, channel, gate_room);
    for (int64_t t = 0; t < p.n_out; t += kStage) {
      const int64_t n = smaller(kStage, p.n_out - t);
      gradient.stage(t, n, 0, p.n_out, dc);
      bias.add(sum_lanes<A>(n, [&](int64_t j, int m) { return load_n(dc + j, m); }));
      if (!p.dskip.is_present) continue;
      input.stage(t, n, 0, p.n_out, v);
      skip.add(
          sum_lanes<A>(n, [&](int64_t j, int m) { return load_n(dc + j, m) * load_n(v + j, m); }));
    }
  }
  const auto put = [&](const RowArray& to, A value) {
    store(dc, set1(value));  // rounding reads a whole vector
    if (to.is_present) write_row<S>(b, to, to.first, channel, dc, 1);
  };
  put(p.dskip, skip.value());
  put(p.dbias, bias.value());
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
