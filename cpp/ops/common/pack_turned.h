// Weights whose output channels become the lanes of vectors. Included by *.isa.cc only.
#pragma once

#include "ops/common/rows.h"
#include "simd/transpose.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Weights [row][channel][tap], the last two side by side, as vectors of rows:
/// to[(tap n_channels + channel) width + row], rows from n_rows to a whole vector zero. One at a
/// time 256 x 256 x 9 of them took 1.0 ms, in blocks of vectors 0.25.
template <class A, class S>
__attribute__((noinline)) void pack_turned(const S* from, int64_t row_stride, int64_t n_rows,
                                           int64_t n_channels, int64_t n_taps, A* to,
                                           int64_t width) {
  constexpr int kN = kLanes<A>;
  int64_t tap = 0, channel = 0;
  for_lanes<A>(n_channels * n_taps, [&](int64_t j, int n) {
    Vec<A> v[kN];
#pragma GCC unroll 16
    for (int l = 0; l < kN; ++l) {
      v[l] = l < n_rows ? load_part<A>(from + l * row_stride + j, n) : zero<A>();
    }
    transpose<A>(v);
    for (int k = 0; k < n; ++k) {
      store(to + (tap * n_channels + channel) * width, v[k]);
      if (++tap == n_taps) {
        tap = 0;
        ++channel;
      }
    }
  });
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
