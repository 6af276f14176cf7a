// What the kernels of two-dimensional transforms see.
//
// A plane of real numbers is transformed at n[0] x n[1] points: pairs of its rows as one complex
// row each, then the columns of the half spectrum. A task works on a bundle of planes, so that
// small ones fill the lanes too. Each lane, and so each plane, is computed by itself.
#pragma once

#include <cstdint>

#include "core/kernel.h"
#include "ops/common/walk.h"
#include "ops/plane_fft/length.h"

namespace swath {

/// spectrum  s[d] = F(a)
/// product   out = F^-1(F(a) s[d]), or with the conjugate of s
/// cross     s[d, part] = sum over the part of the batch of F(a) conj(F(b))
/// sum       out = F^-1(sum over the parts of s[d, part])
/// bands     bands[j] = F^-1(F(a) in band j) for j > 0, bands[0] = a - the others
/// merge     out = bands[0] + F^-1(sum over j > 0 of F(bands[j] - bands[0]) in band j)
enum class PlaneJob : uint8_t { spectrum, product, cross, sum, bands, merge };

/// Planes of an array: plane i is where the walk over `lead` is.
struct PlaneArray {
  bool is_present = false;
  ArrayRef ref;
  int64_t offset = 0, row_stride = 0, column_stride = 0;
  Walk<1> lead;
};

/// Which part of an axis of an array meets the transform: elements first, first + 1, ... modulo n
/// are at the points place, place + 1, ...
struct PlaneSpan {
  int64_t n = 0, first = 0, count = 0, place = 0;
};

struct PlaneSide {
  PlaneArray array;
  PlaneSpan span[2];  // rows, columns
};

struct PlaneProblem {
  DType dtype = DType::f32;
  PlaneJob job = PlaneJob::spectrum;
  const FftLength* length[2] = {};
  int64_t n_batch = 1, n_planes = 1;  // plane d of sample n is number n n_planes + d of an array
  int64_t bundle = 1;                 // planes of a task
  PlaneSide a, b, out;
  double scale = 1;  // 1 / (n[0] n[1])
  /// Spectra: [bundle of planes][part][n[0]][real, imaginary][pitch], in accumulators. Column k of
  /// the bundle's plane i is at i n_columns() + k.
  ArrayRef spectra;
  int64_t n_parts = 1;
  bool is_conjugate = false;
  /// Bands: in row u of the spectrum the columns [limits[j][u], limits[j - 1][u]) are band j.
  const int32_t* limits = nullptr;
  int32_t n_bands = 1;
  const PlaneArray* bands = nullptr;  // [n_bands], the results of `bands` or the inputs of `merge`

  __attribute__((always_inline)) int64_t n_columns() const { return length[1]->n / 2 + 1; }
  /// In whole vectors of any cluster.
  __attribute__((always_inline)) int64_t pitch() const {
    return (bundle * n_columns() + 15) / 16 * 16;
  }
  __attribute__((always_inline)) int64_t spectrum_size() const {
    return 2 * length[0]->n * pitch();
  }
  __attribute__((always_inline)) int64_t n_bundles() const {
    return (n_planes + bundle - 1) / bundle;
  }
  /// Tasks of one bundle: the samples, or the parts of the batch.
  __attribute__((always_inline)) int64_t n_shares() const {
    return job == PlaneJob::product ? n_batch : job == PlaneJob::cross ? n_parts : 1;
  }
  __attribute__((always_inline)) int64_t n_tasks() const { return n_bundles() * n_shares(); }
  /// Samples of one part.
  __attribute__((always_inline)) int64_t part_size() const {
    return (n_batch + n_parts - 1) / n_parts;
  }
  __attribute__((always_inline)) const int32_t* band_end(int j) const {
    return limits + (j - 1) * length[0]->n;
  }
};

}  // namespace swath
