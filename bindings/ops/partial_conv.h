// What partial_conv1d..3d and the plans PartialConv1d..3d share.
#pragma once

#include <swath/ops/partial_conv.h>

#include "ops/sliding_conv.h"

namespace swath::python {

/// The arguments that a plain convolution does not have.
struct PartialOptions {
  bool renormalize = true;
  MaskUpdate mask_update = MaskUpdate::any;
  double eps = 1e-8;

  PartialConvParams with(const SlidingConvParams& conv) const {
    return {conv, renormalize, mask_update, eps};
  }
};
PartialOptions read_partial_options(py::handle renormalize, py::handle mask_update, py::handle eps,
                                    const char* op);

/// y and mask_out as a pair.
py::object run_partial(Call& call, const Plan& plan, int n_threads);

}  // namespace swath::python
