// Integer helpers of the kernels; std::min and friends would be weak symbols (Rule A).
#pragma once

#include "ops/sliding_conv/problem.h"
#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
SWATH_ALWAYS_INLINE int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }
SWATH_ALWAYS_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
SWATH_ALWAYS_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

SWATH_ALWAYS_INLINE const ConvProblem& as_conv(const void* p) {
  return *static_cast<const ConvProblem*>(p);
}

/// Inputs that n neighbouring outputs of an axis see.
SWATH_ALWAYS_INLINE int64_t inputs_seen(const ConvAxis& a, int64_t n) {
  return (n - 1) * a.stride + (a.kernel - 1) * a.dilation + 1;
}

/// Scratch beyond which a call is not worth staging: a dilation far beyond the image.
inline constexpr double kMostStagedBytes = 32e6;

/// Whether even a small block of outputs would need too large a staged box. In double: the extents
/// may be too large for products of integers.
SWATH_ALWAYS_INLINE bool is_box_too_large(const ConvProblem& p, double channels,
                                          double element_bytes) {
  double bytes = channels * p.axis[0].kernel * element_bytes;
  for (int i = 1; i < 3; ++i) {
    const ConvAxis& a = p.axis[i];
    // Blocks are at least 8 rows (4 per residue of the dilation) and some tiles of columns.
    const double least = i == 1 ? 4.0 * max_of(a.dilation, 2) : 64.0;
    const double outputs = least < a.out ? least : static_cast<double>(a.out);
    bytes *= outputs * a.stride + static_cast<double>(a.kernel - 1) * a.dilation + 1;
  }
  return bytes > kMostStagedBytes;
}
inline constexpr const char* kBoxTooLarge =
    "dilation or stride reach too far to stage a block of x";

}  // namespace
}  // namespace swath::SWATH_ISA
