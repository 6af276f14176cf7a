// For operators that are composed of transforms of planes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/operator.h"
#include "ops/plane_fft/problem.h"
#include "ops/plane_fft/table.h"

namespace swath {

/// A problem with the tables that it points to.
struct PlaneStep : PlaneProblem {
  std::shared_ptr<const FftTable> tables[2];
  std::vector<int32_t> own_limits;
  std::vector<PlaneArray> own_arrays;
};

/// Points of the longest transform along one axis.
inline constexpr int64_t kMostFftPoints = int64_t{1} << 26;

/// Transforms of n0 x n1 points of `n_planes` planes in each of `n_batch` samples.
std::shared_ptr<PlaneStep> make_plane_step(PlaneJob job, DType dtype, int64_t n0, int64_t n1,
                                           int64_t n_batch, int64_t n_planes);

/// The planes of an array along two of its axes; the others count them, the last one fastest.
PlaneArray plane_array(const Operand& x, int row_axis, int column_axis);

/// Memory for the spectra of `step` in n_parts.
ArrayRef reserve_spectra(PlanImpl& plan, const PlaneProblem& step);

/// Appends the step, which makes `n_transforms` of each plane; counts its operations.
void add_plane_step(PlanImpl& plan, const std::string& op, std::shared_ptr<const PlaneStep> step,
                    int n_transforms);

}  // namespace swath
