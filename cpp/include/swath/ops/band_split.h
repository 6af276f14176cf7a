#pragma once

#include <string>
#include <vector>

#include <swath/ops/common.h>

namespace swath {

enum class BandMetric : uint8_t { max, radius };

struct BandSplitParams {
  std::vector<double> cutoffs;  // cycles per sample, descending
  BandMetric metric = BandMetric::max;
  std::string name = "band_split";  // the public function's name, for error texts
};

/// The parts of x (..., H, W) between the cutoffs, highest first: an output for each, or one output
/// (cutoffs + 1, ..., H, W) where a plan cannot have so many. Slot: x.
SWATH_API Plan plan_band_split(const TensorDesc& x, const BandSplitParams& params,
                               const PlanOptions& options = {});

/// The gradient for those of the bands: one array (cutoffs + 1, ..., H, W), or one array for each
/// band, null for no gradient. Slots: x, of which only the shape counts, then the gradients.
SWATH_API Plan plan_band_split_backward(const TensorDesc& x, const TensorDesc* const* dys,
                                        int n_dys, const BandSplitParams& params,
                                        const PlanOptions& options = {});

}  // namespace swath
