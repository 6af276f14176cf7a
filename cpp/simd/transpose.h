// Square blocks of vectors, turned. Included by *.isa.cc only.
#pragma once

#include "simd/vec.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// As many vectors as a vector has lanes become the columns of what they were the rows of.
template <class T>
SWATH_ALWAYS_INLINE void transpose(Vec<T> (&v)[kLanes<T>]) {
  constexpr int kN = kLanes<T>;
#pragma GCC unroll 4
  for (int done = 1; done < kN; done *= 2) {
    Vec<T> from[kN];
#pragma GCC unroll 16
    for (int i = 0; i < kN; ++i) from[i] = v[i];
#pragma GCC unroll 8
    for (int i = 0; i < kN / 2; ++i) {
      v[2 * i] = zip<0>(from[i], from[i + kN / 2]);
      v[2 * i + 1] = zip<1>(from[i], from[i + kN / 2]);
    }
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
