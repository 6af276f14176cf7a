// What a Fourier transform of one length needs. Plain data: also included by files compiled with
// ISA flags.
#pragma once

#include <cstdint>

namespace swath {

/// 2^30 points have 15 passes of radix 4; a product of other primes has fewer.
inline constexpr int kMaxFftPasses = 32;
/// Larger prime factors go through a convolution: one of 61 takes as long as that.
inline constexpr int kMaxFftPrime = 61;

/// X[k] = sum_j x[j] exp(-2 pi i j k / n), as passes of small radices, or, where n has a large
/// prime factor, as a convolution with exp(pi i j^2 / n) at the length `inner`.
/// `values` are accumulators: real and imaginary parts in turn. Offsets count numbers.
struct FftLength {
  int64_t n = 1;
  int64_t work = 1;  // elements that each of the two buffers of a transform must have
  int32_t n_passes = 0;
  int32_t radix[kMaxFftPasses] = {};
  int64_t twiddles[kMaxFftPasses] = {};  // [n of the pass / radix][radix - 1]
  int64_t roots[kMaxFftPasses] = {};     // [radix], of radices without a butterfly of their own
  const void* values = nullptr;
  const FftLength* inner = nullptr;
  int64_t chirp = 0;           // [n], exp(-pi i j^2 / n)
  int64_t chirp_spectrum = 0;  // [inner->n], of its conjugate, over inner->n
};

}  // namespace swath
