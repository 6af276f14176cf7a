// What the softmax kernels of the gates see.
#pragma once

#include <cstdint>

#include "core/kernel.h"
#include "ops/common/walk.h"

namespace swath {

/// Logits and their gradients, which may have any strides, and p (and dp), which keeps the order of
/// the axes when some are merged.
enum SoftmaxArray : int { kSoftmaxLogits, kSoftmaxGrad, kSoftmaxP, kSoftmaxArrays };
using SoftmaxAxis = WalkAxis<kSoftmaxArrays>;
using SoftmaxWalk = Walk<kSoftmaxArrays>;

/// Forward:  p = softmax of the logits along `axis`.
/// Backward: dlogits = p (dp - sum along the axis of p dp).
/// p and dp are accumulators in the order [outer][axis][lanes]. Vectors lie along the axis if
/// lanes.n is 1 (`rows`), else along the lanes.
struct SoftmaxProblem {
  DType dtype = DType::f32;
  bool is_backward = false;
  ArrayRef logits{}, p{}, dp{}, dlogits{};
  SoftmaxWalk outer{}, axis{};
  SoftmaxAxis lanes{};
  int64_t lanes_block = 1;

  __attribute__((always_inline)) int64_t n_lanes_blocks() const {
    return (lanes.n + lanes_block - 1) / lanes_block;
  }
  __attribute__((always_inline)) int64_t n_tasks() const {
    return outer.count() * n_lanes_blocks();
  }
};

}  // namespace swath
