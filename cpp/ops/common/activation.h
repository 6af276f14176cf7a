// Activations over a run of accumulators, compiled once per cluster (activation.isa.cc).
#pragma once

#include <cstdint>

#include <swath/ops/common.h>

namespace swath::SWATH_ISA {

/// x[i] = act(x[i]) for i in [0, n); x has room for whole vectors.
void activate(float* x, int64_t n, Activation kind, double value) noexcept;
void activate(double* x, int64_t n, Activation kind, double value) noexcept;

}  // namespace swath::SWATH_ISA
