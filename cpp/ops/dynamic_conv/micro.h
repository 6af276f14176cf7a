// The inner loops of dynamic convolution, compiled once per cluster (micro.isa.cc). Each output is
// the sum over terms in their order, in runs of 512, whatever its place in a tile: results do not
// depend on how the work is cut.
#pragma once

#include <cstdint>
#include <type_traits>

namespace swath {
namespace SWATH_ISA {

/// Factors that differ along the vectors:
///   y[y_at[j] + i] = scale[i] sum over r of t[t_at[r] + i] x[x_at[r] + j_at[j] + i],  0 <= i < n.
/// scale null: 1. Where `adds` the sum is added to y.
template <class A>
struct LaneProducts {
  const A* t;
  const int64_t* t_at;
  const A* x;
  const int64_t *x_at, *j_at;
  A* y;
  const int64_t* y_at;
  const A* scale;
  int64_t n_terms, n_j, n;
  bool adds;
};

/// Factors that are the same along a vector:
///   y[j y_step + i] = scale[j] sum over r of t[t_at[r] + j t_step] x[x_at[r] + j x_step + i].
template <class A>
struct SplatProducts {
  const A* t;
  const int64_t* t_at;
  int64_t t_step;
  const A* x;
  const int64_t* x_at;
  int64_t x_step;
  A* y;
  int64_t y_step;
  const A* scale;
  int64_t n_terms, n_j, n;
};

/// LaneProducts over rows that are laid end to end, `width` outputs each:
///   y[j y_step + i] = sum over r of t[t_at[r] + i] x[x_at[r] + j x_step + i],  0 <= i < n.
/// Where a term leaves its row x counts as 0, and with `masks_t` t too: inside[inside_at[r] + c] is
/// -1 where the term of an output in column c % width stays in its row, else 0. Whole vectors of x
/// are read.
template <class A>
struct PlaneProducts {
  using Bits = std::conditional_t<sizeof(A) == 4, int32_t, int64_t>;
  const A* t;
  const int64_t* t_at;
  const A* x;
  const int64_t* x_at;
  int64_t x_step;
  A* y;
  int64_t y_step;
  const Bits* inside;
  const int64_t* inside_at;
  int64_t n_terms, n_j, n;
  int64_t col, width;  // of output 0
  bool masks_t;
};

/// The gradient of the taps of such planes:
///   out[j out_step + i] (+)= sum over r of dy[r dy_step + i] x[r x_step + x_at[j] + i],
/// where tap j leaves its row of 0 in place of x.
template <class A>
struct PlaneSums {
  using Bits = typename PlaneProducts<A>::Bits;
  const A* dy;
  int64_t dy_step;
  const A* x;
  int64_t x_step;
  const int64_t* x_at;
  A* out;
  int64_t out_step;
  const Bits* inside;
  const int64_t* inside_at;
  int64_t n_terms, n_j, n;
  int64_t col, width;  // of output 0
  bool adds;
};

/// Sums along the vectors:
///   out[q out_step + k] = sum over i of dy[q dy_step + i] x[q x_step + x_at[k] + i],  0 <= k <
///   n_k.
template <class A>
struct ChannelSums {
  const A* dy;
  int64_t dy_step;
  const A* x;
  int64_t x_step;
  const int64_t* x_at;
  A* out;
  int64_t out_step;
  int64_t n_k, n_positions, n;
};

void multiply(const LaneProducts<float>& p) noexcept;
void multiply(const LaneProducts<double>& p) noexcept;
void multiply(const SplatProducts<float>& p) noexcept;
void multiply(const SplatProducts<double>& p) noexcept;
void multiply(const PlaneProducts<float>& p) noexcept;
void multiply(const PlaneProducts<double>& p) noexcept;
void multiply(const PlaneSums<float>& p) noexcept;
void multiply(const PlaneSums<double>& p) noexcept;
void multiply(const ChannelSums<float>& p) noexcept;
void multiply(const ChannelSums<double>& p) noexcept;

/// t[k][i], 0 <= k < n_taps: becomes exp(t - the column's maximum), and scale[i] 1 / the sum of
/// column i. Columns are in whole vectors. Where `may_be_empty` a column of -inf alone has scale 0.
void exponentiate(float* t, int64_t n_taps, int64_t pitch, int64_t n, float* scale,
                  bool may_be_empty) noexcept;
void exponentiate(double* t, int64_t n_taps, int64_t pitch, int64_t n, double* scale,
                  bool may_be_empty) noexcept;

/// From p = exp_k scale and dp: dp becomes p (dp - sum over k of p dp).
void softmax_slope(const float* e, const float* scale, float* dp, int64_t n_taps, int64_t pitch,
                   int64_t n) noexcept;
void softmax_slope(const double* e, const double* scale, double* dp, int64_t n_taps, int64_t pitch,
                   int64_t n) noexcept;

}  // namespace SWATH_ISA
}  // namespace swath
