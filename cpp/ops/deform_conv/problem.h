// What the kernels of the deformable convolution see. x and dy are pixels: accumulators, the
// channels of a position side by side.
#pragma once

#include <cstdint>

#include "core/kernel.h"
#include "ops/image_pixels/problem.h"

namespace swath {

struct DeformAxis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
};

/// Channels of one group that move with one deform group, few enough for a sum of one run.
struct DeformBlock {
  int64_t first, n, group, deform;
};

/// Accumulators with the channels side by side; strides in elements.
struct PixelsView {
  ArrayRef ref;
  int64_t offset = 0, sample_stride = 0, row_stride = 0, col_stride = 0;
};

struct DeformWeight {
  ArrayRef ref;
  int64_t out_stride = 0, in_stride = 0, row_stride = 0, col_stride = 0;
};

enum class DeformRole : uint8_t { forward, input_grad, weight_grad };

struct DeformProblem {
  DType dtype = DType::f32;
  DeformRole role = DeformRole::forward;
  int64_t n_batch = 1, n_groups = 1, in_per_group = 1, out_per_group = 1, n_deform = 1;
  DeformAxis axis[2];
  bool has_mask = false, has_bias = false;
  PixelsView x;
  ImageView offset, mask, y;
  DeformWeight weight;
  ArrayRef bias;
  int64_t bias_stride = 0;
  const DeformBlock* blocks = nullptr;  // every channel once, in order
  int64_t n_blocks = 0;

  // Of the gradients, all accumulators. dy [n][position][channel], with room for a block more; dx
  // [n][block][pixel][channel], blocks at n_pixels times their first channel; the points' gradients
  // [n][block][tap][dh, dw, dm][position]; partial sums of dweight [partial][weight in its order].
  ArrayRef dy, dx, points, partials;
  bool needs_x = false, needs_points = false;
  int64_t n_partials = 1;

  __attribute__((always_inline)) int64_t n_taps() const { return axis[0].kernel * axis[1].kernel; }
  __attribute__((always_inline)) int64_t n_positions() const { return axis[0].out * axis[1].out; }
  __attribute__((always_inline)) int64_t n_pixels() const { return axis[0].in * axis[1].in; }
  __attribute__((always_inline)) int64_t n_in() const { return n_groups * in_per_group; }
  __attribute__((always_inline)) int64_t n_out() const { return n_groups * out_per_group; }
  __attribute__((always_inline)) bool is_depthwise() const {
    return in_per_group == 1 && out_per_group == 1;
  }
};

/// Terms of one sum before it is added to another.
inline constexpr int64_t kDeformTerms = 512;

}  // namespace swath
