// Makes the tables of transforms, and keeps those of recent calls.
#pragma once

#include <complex>
#include <memory>
#include <vector>

#include <swath/tensor.h>

#include "ops/plane_fft/length.h"

namespace swath {

struct FftTable : FftLength {
  std::vector<float> floats;
  std::vector<double> doubles;
  std::shared_ptr<const FftTable> owned_inner;
};

/// exp(-2 pi i k / n) for k >= 0.
std::complex<double> fft_root(int64_t k, int64_t n);

/// `accumulator` is f32 or f64; the values are computed in double. n >= 1.
std::shared_ptr<const FftTable> fft_table(int64_t n, DType accumulator);

/// The cheapest length of at least `least`: a product of 2, 3 and 5.
int64_t good_fft_length(int64_t least);

/// Operations of one transform on one lane, an order of magnitude.
double fft_flops(int64_t n);

}  // namespace swath
