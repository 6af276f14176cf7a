// Single samples in double, for the reference kernels.
#pragma once

#include <cmath>

#include "ops/common/scalar.h"
#include "ops/deform_conv/problem.h"

namespace swath {

/// Tap t of output position q of sample n, in deform group `deform`.
struct ReferencePoint {
  int64_t row = 0, col = 0;             // of the lower corner
  double h[2] = {0, 0}, w[2] = {0, 0};  // weights of the lower and the upper row and column
  double mask = 1;
  bool counts = false;
};

inline double load_view(DType dtype, const Buffers& b, const ImageView& v, int64_t n, int64_t c,
                        int64_t row, int64_t col) {
  return load_scalar(dtype, b.read(v.ref),
                     v.offset + n * v.sample_stride + c * v.channel_stride + row * v.row_stride +
                         col * v.col_stride);
}

inline ReferencePoint reference_point(const DeformProblem& p, const Buffers& b, int64_t n,
                                      int64_t deform, int64_t t, int64_t q) {
  const DeformAxis &ah = p.axis[0], &aw = p.axis[1];
  const int64_t row = q / aw.out, col = q % aw.out, channel = deform * p.n_taps() + t;
  const double dh = load_view(p.dtype, b, p.offset, n, 2 * channel, row, col);
  const double dw = load_view(p.dtype, b, p.offset, n, 2 * channel + 1, row, col);
  ReferencePoint point;
  if (p.has_mask) point.mask = load_view(p.dtype, b, p.mask, n, channel, row, col);
  if (std::isnan(dh) || std::isnan(dw)) {
    point.h[0] = point.h[1] = point.w[0] = point.w[1] = std::nan("");
    point.row = point.col = -2;
    point.counts = true;
    return point;
  }
  const double far = std::ldexp(1.0, 46);
  if (!(std::abs(dh) < far && std::abs(dw) < far)) {
    point.row = point.col = -2;
    return point;
  }
  point.row =
      row * ah.stride - ah.pad + t / aw.kernel * ah.dilation + static_cast<int64_t>(std::floor(dh));
  point.col =
      col * aw.stride - aw.pad + t % aw.kernel * aw.dilation + static_cast<int64_t>(std::floor(dw));
  point.h[0] = std::floor(dh) + 1 - dh;
  point.h[1] = dh - std::floor(dh);
  point.w[0] = std::floor(dw) + 1 - dw;
  point.w[1] = dw - std::floor(dw);
  const auto is_in = [](const DeformAxis& a, int64_t low, double beyond) {
    return low < a.in && (low >= 0 || (low == -1 && beyond > 0));
  };
  point.counts = is_in(ah, point.row, point.h[1]) && is_in(aw, point.col, point.w[1]);
  return point;
}

/// Corner i (row i / 2, column i % 2): its weight, and its pixel or -1.
inline double corner_weight(const ReferencePoint& at, int i) { return at.h[i / 2] * at.w[i % 2]; }
inline int64_t corner_pixel(const DeformProblem& p, const ReferencePoint& at, int i) {
  const int64_t row = at.row + i / 2, col = at.col + i % 2;
  const bool is_there = row >= 0 && row < p.axis[0].in && col >= 0 && col < p.axis[1].in;
  return is_there ? row * p.axis[1].in + col : -1;
}
inline double pixel_value(const DeformProblem& p, const Buffers& b, int64_t n, int64_t c,
                          int64_t pixel) {
  if (pixel < 0) return 0;
  return load_scalar(accumulator_of(p.dtype), b.read(p.x.ref),
                     p.x.offset + n * p.x.sample_stride + pixel / p.axis[1].in * p.x.row_stride +
                         pixel % p.axis[1].in * p.x.col_stride + c);
}
inline double sample_value(const DeformProblem& p, const Buffers& b, int64_t n, int64_t c,
                           const ReferencePoint& at) {
  double value = 0;
  for (int i = 0; i < 4; ++i) {
    const double w = corner_weight(at, i);
    if (w != 0) value += w * pixel_value(p, b, n, c, corner_pixel(p, at, i));
  }
  return value;
}
inline double reference_weight(const DeformProblem& p, const Buffers& b, int64_t o, int64_t c,
                               int64_t t) {
  return load_scalar(p.dtype, b.read(p.weight.ref),
                     o * p.weight.out_stride + c * p.weight.in_stride +
                         t / p.axis[1].kernel * p.weight.row_stride +
                         t % p.axis[1].kernel * p.weight.col_stride);
}

}  // namespace swath
