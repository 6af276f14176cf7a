// Walking along several axes of several arrays at once, as operators do that take any strides.
// Plain data: also included by files compiled with ISA flags.
#pragma once

#include <cstdint>

#include <swath/tensor.h>

namespace swath {

/// One axis that kArrays arrays share, each with its own stride (0: it does not move).
template <int kArrays>
struct WalkAxis {
  int64_t n = 1;
  int64_t stride[kArrays] = {};
};

/// A box of axes, the last one fastest.
template <int kArrays>
struct Walk {
  int32_t n_axes = 0;
  WalkAxis<kArrays> axes[kMaxRank];

  __attribute__((always_inline)) int64_t count() const {
    int64_t n = 1;
    for (int i = 0; i < n_axes; ++i) n *= axes[i].n;
    return n;
  }
};

/// A position in a walk, and how far each array is there from its first element.
template <int kArrays>
struct WalkPosition {
  const Walk<kArrays>& walk;
  int64_t at[kArrays] = {};
  int64_t digit[kMaxRank] = {};

  __attribute__((always_inline)) WalkPosition(const Walk<kArrays>& w, int64_t index) : walk(w) {
    for (int i = walk.n_axes - 1; i >= 0; --i) {
      const WalkAxis<kArrays>& axis = walk.axes[i];
      digit[i] = index % axis.n;
      index /= axis.n;
      for (int k = 0; k < kArrays; ++k) at[k] += digit[i] * axis.stride[k];
    }
  }

  __attribute__((always_inline)) void advance() {
    for (int i = walk.n_axes - 1; i >= 0; --i) {
      const WalkAxis<kArrays>& axis = walk.axes[i];
      for (int k = 0; k < kArrays; ++k) at[k] += axis.stride[k];
      if (++digit[i] < axis.n) return;
      digit[i] = 0;
      for (int k = 0; k < kArrays; ++k) at[k] -= axis.n * axis.stride[k];
    }
  }
};

}  // namespace swath
