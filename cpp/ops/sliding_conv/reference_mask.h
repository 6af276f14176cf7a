// M of a masked convolution, one value at a time: for the reference kernels.
#pragma once

#include <Eigen/Core>

#include "ops/sliding_conv/problem.h"

namespace swath {

/// Factor of the mask for channel c (over all groups) of sample n at an input position; 1 without a
/// mask.
inline double mask_at(const ConvProblem& p, const Buffers& b, int64_t n, int64_t c,
                      const int64_t (&index)[3]) {
  const ConvMask& m = p.mask;
  if (!m.has_values) return 1;
  int64_t i = m.offset + n * m.batch_stride + c * m.channel_stride;
  for (int axis = 0; axis < 3; ++axis) i += index[axis] * p.axis[axis].mask_stride;
  const void* values = b.read(m.values);
  switch (m.dtype) {
    case DType::f64:
      return static_cast<const double*>(values)[i];
    case DType::f32:
      return static_cast<const float*>(values)[i];
    case DType::f16:
      return static_cast<double>(static_cast<const Eigen::half*>(values)[i]);
    case DType::bf16:
      return static_cast<double>(static_cast<const Eigen::bfloat16*>(values)[i]);
    default:
      return static_cast<const uint8_t*>(values)[i] != 0;
  }
}

}  // namespace swath
