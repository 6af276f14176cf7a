// From the arrays of a dynamic convolution to problems of its kernels. Used by describe only.
#pragma once

#include <swath/ops/dynamic_conv.h>

#include <array>

#include "core/operator.h"
#include "ops/common/geometry.h"
#include "ops/dynamic_conv/problem.h"

namespace swath {

/// A checked call: what its arrays look like and where their axes are.
struct DynamicCall {
  DynamicCall(const DynamicConvParams& p, const TensorDesc& x_desc, const TensorDesc& w)
      : params(p), x(x_desc), weight(w) {}

  const DynamicConvParams& params;
  TensorDesc x, weight;
  AxisMap map;             // of x and y
  bool is_static = false;  // weight (G, K)
  std::array<int64_t, kMaxRank> y_shape{};
  int64_t n_batch = 1, n_groups = 1, n_members = 1;
  DynamicAxis axis[2];

  int64_t n_taps() const { return axis[0].kernel * axis[1].kernel; }
  int64_t n_positions() const { return axis[0].y * axis[1].y; }
  /// An array of x's or y's axes.
  DynamicArray image(const TensorDesc& desc, const ArrayRef& ref) const;
  /// An array of weight's axes.
  DynamicArray taps(const TensorDesc& desc, const ArrayRef& ref) const;
};

inline constexpr int64_t kNoStream = -1;
/// Checks everything but `out`. A stream's x comes after n_history columns, and may be too short
/// for an output.
DynamicCall describe_dynamic(const TensorDesc& x, const TensorDesc& weight,
                             const DynamicConvParams& params, int64_t n_history = kNoStream);

/// The problem without its arrays.
DynamicProblem base_problem(const DynamicCall& call, DynamicRole role);

/// Chooses along which axis vectors lie, cuts the work into tasks and appends the step.
void add_dynamic_step(PlanImpl& plan, DynamicProblem problem, const std::string& op);

}  // namespace swath
