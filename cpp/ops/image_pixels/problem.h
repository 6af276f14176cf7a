// What the kernels see that move images to and from pixels: accumulators, the channels of one
// position side by side.
#pragma once

#include <cstdint>

#include <swath/tensor.h>

#include "core/kernel.h"

namespace swath {

/// An image of the storage type by its strides in elements.
struct ImageView {
  ArrayRef ref;
  int64_t offset = 0, sample_stride = 0, channel_stride = 0, row_stride = 0, col_stride = 0;
};

/// Positions of a row that are moved at once.
inline constexpr int64_t kPixelRun = 64;

/// Channel c of position q of sample n is element
///   n sample_pitch + c / block block_pitch + q pixel_pitch + c % block
/// of the pixels.
struct PixelsProblem {
  DType dtype = DType::f32;
  bool to_image = false;
  ImageView image;
  ArrayRef pixels;
  int64_t n_batch = 1, n_channels = 1, n_rows = 1, n_cols = 1;
  int64_t block = 1, sample_pitch = 0, block_pitch = 0, pixel_pitch = 0;

  __attribute__((always_inline)) int64_t n_tasks() const { return n_batch * n_rows; }
};

}  // namespace swath
