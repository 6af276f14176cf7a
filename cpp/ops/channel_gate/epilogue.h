// From sums to gates. Included by *.isa.cc only.
#pragma once

#include "ops/channel_gate/problem.h"
#include "ops/common/activation.h"
#include "ops/common/rows.h"

namespace swath {
namespace SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE const MixProblem& as_mix(const void* problem) {
  return *static_cast<const MixProblem*>(problem);
}
SWATH_ALWAYS_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/// Stores raw and g of the outputs [first, first + n) of one sample; x has room for whole vectors.
template <class S, class A>
SWATH_ALWAYS_INLINE void finish_gates(const MixProblem& p, const Buffers& b, int64_t sample,
                                      int64_t first, A* x, int64_t n) {
  const int64_t at = sample * p.n_out + first;
  if (p.keeps_raw) narrow_row(x, static_cast<A*>(b.write(p.raw)) + at, 1, n);
  if (p.has_scale) {
    const S* scale = static_cast<const S*>(b.read(p.scale)) + first * p.scale_stride;
    for (int64_t i = 0; i < n; ++i) x[i] *= static_cast<A>(to_acc(scale[i * p.scale_stride]));
  }
  if (p.has_shift) {
    const S* shift = static_cast<const S*>(b.read(p.shift)) + first * p.shift_stride;
    for (int64_t i = 0; i < n; ++i) x[i] += static_cast<A>(to_acc(shift[i * p.shift_stride]));
  }
  activate(x, n, p.activation, 0);
  narrow_row(x, static_cast<A*>(b.write(p.g)) + at, 1, n);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
