// What describe does with the axes of a walk. Not for files compiled with ISA flags.
#pragma once

#include <vector>

#include "ops/common/walk.h"

namespace swath {

template <int kArrays>
using WalkAxes = std::vector<WalkAxis<kArrays>>;

/// Two axes that every array walks along as one become one; axes of one element go.
template <int kArrays>
void merge_walk(WalkAxes<kArrays>& axes) {
  std::erase_if(axes, [](const WalkAxis<kArrays>& a) { return a.n == 1; });
  for (size_t i = 0; i < axes.size(); ++i) {
    for (size_t j = 0; j < axes.size(); ++j) {
      bool is_one = i != j;
      for (int k = 0; k < kArrays; ++k) {
        is_one = is_one && axes[i].stride[k] == axes[j].n * axes[j].stride[k];
      }
      if (!is_one) continue;
      axes[j].n *= axes[i].n;
      axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(i));
      return merge_walk(axes);
    }
  }
}

template <int kArrays>
Walk<kArrays> make_walk(const WalkAxes<kArrays>& axes) {
  Walk<kArrays> walk;
  for (const WalkAxis<kArrays>& a : axes) walk.axes[walk.n_axes++] = a;
  return walk;
}

/// Removes and returns one axis.
template <int kArrays>
WalkAxis<kArrays> take_axis(WalkAxes<kArrays>& axes, size_t i) {
  const WalkAxis<kArrays> axis = axes[i];
  axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(i));
  return axis;
}

}  // namespace swath
