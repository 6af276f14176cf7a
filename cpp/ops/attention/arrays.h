// Where the axes of q, k and v are, and the lists of a block pattern. Used by describe only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <swath/ops/attention.h>

#include "ops/attention/problem.h"
#include "ops/common/geometry.h"

namespace swath {

struct HeadAxes {
  int64_t batch = 0, heads = 0, size = 0;
  std::vector<int64_t> tokens;

  int64_t n_tokens() const {
    int64_t n = 1;
    for (int64_t t : tokens) n *= t;
    return n;
  }
};

/// Throws ShapeError unless x has 4 to 6 axes.
HeadAxes head_axes(const CallSite& site, const TensorDesc& x, bool heads_last, const char* arg);

/// The same as kernels see it, with token axes of one stride merged.
TokenArray token_array(const TensorDesc& x, bool heads_last, ArrayRef ref);

/// Throws unless every row of the lists is ascending, without repetition and in range.
std::function<void(const Buffers&)> block_check(const std::string& op,
                                                const AttentionPattern& given,
                                                const KeyPattern& pattern, int64_t n_blocks);

}  // namespace swath
