#pragma once

#include <string>

#include <swath/ops/common.h>

namespace swath {

enum class PoolOp : uint8_t { sum, mean, max, min };

struct PoolingParams {
  int ndim = 2;
  PoolOp op = PoolOp::max;
  Extents window{1, 1, 1};
  Extents stride{1, 1, 1};
  Extents dilation{1, 1, 1};
  Padding padding{};
  bool count_include_pad = true;  // mean: divide by the window, else by the elements inside
  Layout layout = Layout::channels_first;
  std::string name = "pool";  // the public function's name, for error texts
};

/// Sliding sum, mean, max or min over x (N, C, *spatial) or channels last; N may be missing.
/// Cost per output does not depend on the window. Slot 0 in, slot 0 out.
SWATH_API Plan plan_pooling(const TensorDesc& x, const PoolingParams& params,
                            const PlanOptions& options = {});

/// The same along one axis of an array of any rank.
SWATH_API Plan plan_sliding_reduce(const TensorDesc& x, int axis, int64_t window, PoolOp op,
                                   const Padding& padding, const PlanOptions& options = {});

/// The gradient dx of plan_pooling(x) with the same parameters, from the gradient dy of its output:
/// slots 0 dy and 1 x in, slot 0 dx out. A mean or sum reads only dy; a maximum or minimum gives
/// dy to the first element of the window (in row-major order) that has the value, or to the last
/// NaN.
SWATH_API Plan plan_pooling_backward(const TensorDesc& dy, const TensorDesc& x,
                                     const PoolingParams& params, const PlanOptions& options = {});

/// The same for plan_sliding_reduce.
SWATH_API Plan plan_sliding_reduce_backward(const TensorDesc& dy, const TensorDesc& x, int axis,
                                            int64_t window, PoolOp op, const Padding& padding,
                                            const PlanOptions& options = {});

}  // namespace swath
