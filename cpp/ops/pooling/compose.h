// For operators that are composed of pooling.
#pragma once

#include <vector>

#include <swath/ops/pooling.h>

#include "core/operator.h"
#include "ops/common/geometry.h"
#include "ops/pooling/roles.h"

namespace swath {

struct Reduction {
  PoolOp op;
  bool count_include_pad;
};

/// Windows over the axes `pooled` (in the caller's order) of `axes`, which describe x and y.
struct Windows {
  PoolAxes axes;
  std::vector<int> pooled;
};

/// The windows of a call on x, and the shape that they give y. Throws if the call is not legal.
Windows pooling_windows(const CallSite& site, const TensorDesc& x, const PoolingParams& params,
                        std::array<int64_t, kMaxRank>& shape);
/// The same for one axis, -rank to rank - 1, of an array of any rank.
Windows reduce_windows(const CallSite& site, const TensorDesc& x, int axis, int64_t window,
                       const Padding& padding, std::array<int64_t, kMaxRank>& shape);

/// Throws ParamError if a window has no element inside the array: it has no maximum, and no mean
/// of the elements inside.
void check_no_empty_windows(const CallSite& site, const Windows& windows);

/// Drops the taps at both ends that no output sees inside the array, so that neither time nor
/// memory grows with a window or a padding far beyond it.
void trim_window(PoolAxis& a);

/// Appends the steps for windows whose axes have their strides. `op` is a public name.
void add_windows(PlanImpl& plan, const CallSite& site, const Operand& x, const Operand& y,
                 Windows windows, const Reduction& reduction);

/// Appends the steps of one pooling; `y` has the shape that the parameters give.
void add_pooling(PlanImpl& plan, const Operand& x, const Operand& y, const PoolingParams& params);

}  // namespace swath
