// Single values in double: for reference kernels and for steps over a few numbers.
#pragma once

#include <cstdint>

#include <swath/ops/common.h>

namespace swath {

double activate_scalar(double x, Activation kind, double value);
/// The derivative at x, with the conventions of activation_grad.h.
double activation_slope(double x, Activation kind, double value);

/// Element i of an array of a floating dtype.
double load_scalar(DType dtype, const void* array, int64_t i);
/// Rounds to nearest even, float16 and bfloat16 by way of float32.
void store_scalar(DType dtype, void* array, int64_t i, double value);

/// In which sums of `dtype` are kept by kernels: f64 for itself, else f32.
constexpr DType accumulator_of(DType dtype) noexcept {
  return dtype == DType::f64 ? DType::f64 : DType::f32;
}

/// A long sum in runs of 512 terms: for f64 data a longer sequential sum misses the sqrt(terms)
/// tolerance.
class ScalarSum {
 public:
  void add(double value) {
    part_ += value;
    if (++n_ % 512 != 0) return;
    total_ += part_;
    part_ = 0;
  }
  double value() const { return total_ + part_; }

 private:
  double total_ = 0, part_ = 0;
  int64_t n_ = 0;
};

}  // namespace swath
