// What the block rearrangement kernels see: a strided copy.
#pragma once

#include <cstdint>

#include <swath/tensor.h>

namespace swath {

struct BlockAxis {
  int64_t n = 1, x_stride = 0, y_stride = 0;
};

/// y[outer, j, i] = x[outer, j, i]; `run` is axis i, `across` axis j. One of the two has unit
/// stride in x and one in y where the arrays allow it.
struct SpaceToDepthProblem {
  BlockAxis run, across;
  int32_t n_outer = 0;
  BlockAxis outer[kMaxRank];

  __attribute__((always_inline)) int64_t n_outer_elements() const {
    int64_t n = 1;
    for (int i = 0; i < n_outer; ++i) n *= outer[i].n;
    return n;
  }
};

}  // namespace swath
