// What the kernels of the weight's gradient see of one call:
//   dweight[o, c, t] = sum over n, p of dy[n, o, p] x[n, c, p s + t d - pad].
#pragma once

#include "ops/sliding_conv/problem.h"

namespace swath {

/// `conv` is the convolution whose weight is meant: x as there, y is dy (read), w is dweight
/// (written, C-contiguous from w_offset). Its mask counts for x.
struct WeightGradProblem {
  ConvProblem conv;
  int64_t dy_low = 0, dy_high = 0;  // of dy, as x_low and x_high
  /// Sums over parts of the batch and the positions, [partial][group][out][in][tap] in the
  /// accumulator's type; a later step adds them. One partial is written to w itself.
  int64_t n_partials = 1;
  ArrayRef partials;

  SWATH_INLINE int64_t n_weights() const {
    return conv.n_out_channels() * conv.in_per_group * conv.n_taps();
  }
};

inline constexpr int64_t kMostPartials = 16;
/// Tasks that are enough to share among threads.
inline constexpr int64_t kEnoughTasks = 16;

}  // namespace swath
