// Derivatives of the activations over a run of accumulators, compiled once per cluster
// (activation_grad.isa.cc). Accuracy and limits: simd/math_slopes.h.
#pragma once

#include <cstdint>

#include <swath/ops/common.h>

namespace swath::SWATH_ISA {

/// dy[i] = dy[i] act'(z[i]) for i in [0, n), z what the activation was applied to; both have room
/// for whole vectors. Where an activation is flat by definition (relu left of 0) the result is 0
/// whatever dy holds.
void activation_grad(const float* z, float* dy, int64_t n, Activation kind, double value) noexcept;
void activation_grad(const double* z, double* dy, int64_t n, Activation kind,
                     double value) noexcept;

/// slope[i] = act'(x[i]) and x[i] = act(x[i]) for i in [0, n); both have room for whole vectors.
void activate_with_slope(float* x, float* slope, int64_t n, Activation kind, double value) noexcept;
void activate_with_slope(double* x, double* slope, int64_t n, Activation kind,
                         double value) noexcept;

}  // namespace swath::SWATH_ISA
