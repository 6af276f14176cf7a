#include "ops/dynamic_conv/micro.h"

#include "ops/common/rows.h"
#include "simd/math.h"

namespace swath::SWATH_ISA {
namespace {

/// One vector of kJ outputs: terms [first, end).
template <int kJ, class A>
SWATH_ALWAYS_INLINE void lane_tile(const LaneProducts<A>& p, int64_t first, int64_t end, int64_t j0,
                                   int64_t i, int n, bool adds, const A* scale) {
  Vec<A> sum[kJ];
  const A* x[kJ];
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
    sum[j] = zero<A>();
    x[j] = p.x + p.j_at[j0 + j] + i;
  }
  const A* t = p.t + i;
  if (n == kLanes<A>) {
    for (int64_t r = first; r < end; ++r) {
      const Vec<A> factor = load(t + p.t_at[r]);
      const int64_t at = p.x_at[r];
#pragma GCC unroll 8
      for (int j = 0; j < kJ; ++j) sum[j] = mul_add(factor, load(x[j] + at), sum[j]);
    }
  } else {
    for (int64_t r = first; r < end; ++r) {
      const Vec<A> factor = load_n(t + p.t_at[r], n);
      const int64_t at = p.x_at[r];
#pragma GCC unroll 8
      for (int j = 0; j < kJ; ++j) sum[j] = mul_add(factor, load_n(x[j] + at, n), sum[j]);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
    A* y = p.y + p.y_at[j0 + j] + i;
    if (adds) sum[j] += load_part<A>(y, n);
    if (scale != nullptr) sum[j] = sum[j] * load_part<A>(scale + i, n);
    store_part(y, sum[j], n);
  }
}

template <int kJ, class A>
SWATH_ALWAYS_INLINE void lane_block(const LaneProducts<A>& p, int64_t j0) {
  int64_t first = 0;
  do {  // also without terms: then y is 0
    const int64_t end = p.n_terms - first > kSumRun ? first + kSumRun : p.n_terms;
    const A* scale = end == p.n_terms ? p.scale : nullptr;
    const bool adds = p.adds || first > 0;
    for_lanes<A>(p.n,
                 [&](int64_t i, int n) { lane_tile<kJ>(p, first, end, j0, i, n, adds, scale); });
    first = end;
  } while (first < p.n_terms);
}

template <class A>
SWATH_ALWAYS_INLINE void lane_products(const LaneProducts<A>& given) {
  const LaneProducts<A> p = given;
  int64_t j = 0;
  for (; j + 8 <= p.n_j; j += 8) lane_block<8>(p, j);
  if (j + 4 <= p.n_j) {
    lane_block<4>(p, j);
    j += 4;
  }
  if (j + 2 <= p.n_j) {
    lane_block<2>(p, j);
    j += 2;
  }
  if (j < p.n_j) lane_block<1>(p, j);
}

/// kJ outputs of kV vectors; n < lanes only with one vector.
template <int kJ, int kV, bool kIsPart, class A>
SWATH_ALWAYS_INLINE void splat_tile(const SplatProducts<A>& p, int64_t first, int64_t end,
                                    int64_t j0, int64_t i, int n) {
  Vec<A> sum[kJ][kV];
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
#pragma GCC unroll 8
    for (int v = 0; v < kV; ++v) sum[j][v] = zero<A>();
  }
  const A* x = p.x + j0 * p.x_step + i;
  const A* t = p.t + j0 * p.t_step;
  for (int64_t r = first; r < end; ++r) {
    const A* xr = x + p.x_at[r];
    const A* tr = t + p.t_at[r];
#pragma GCC unroll 8
    for (int j = 0; j < kJ; ++j) {
      const Vec<A> factor = set1(tr[j * p.t_step]);
#pragma GCC unroll 8
      for (int v = 0; v < kV; ++v) {
        const A* from = xr + j * p.x_step + v * kLanes<A>;
        sum[j][v] = mul_add(factor, kIsPart ? load_n(from, n) : load(from), sum[j][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
#pragma GCC unroll 8
    for (int v = 0; v < kV; ++v) {
      A* y = p.y + (j0 + j) * p.y_step + i + v * kLanes<A>;
      if (first > 0) sum[j][v] += kIsPart ? load_n(y, n) : load(y);
      if (p.scale != nullptr && end == p.n_terms) sum[j][v] = sum[j][v] * set1(p.scale[j0 + j]);
      if (kIsPart) {
        store_n(y, sum[j][v], n);
      } else {
        store(y, sum[j][v]);
      }
    }
  }
}

template <int kV, bool kIsPart, class A>
SWATH_ALWAYS_INLINE void splat_columns(const SplatProducts<A>& p, int64_t i, int n) {
  constexpr int kJ = 8 / kV;  // eight sums: latency 4 on two ports
  int64_t first = 0;
  do {
    const int64_t end = p.n_terms - first > kSumRun ? first + kSumRun : p.n_terms;
    int64_t j = 0;
    for (; j + kJ <= p.n_j; j += kJ) splat_tile<kJ, kV, kIsPart>(p, first, end, j, i, n);
    if constexpr (kJ > 1) {
      for (; j < p.n_j; ++j) splat_tile<1, kV, kIsPart>(p, first, end, j, i, n);
    }
    first = end;
  } while (first < p.n_terms);
}

template <class A>
SWATH_ALWAYS_INLINE void splat_products(const SplatProducts<A>& given) {
  const SplatProducts<A> p = given;
  constexpr int kLane = kLanes<A>;
  int64_t i = 0;
  for (; i + 8 * kLane <= p.n; i += 8 * kLane) splat_columns<8, false>(p, i, kLane);
  if (i + 4 * kLane <= p.n) {
    splat_columns<4, false>(p, i, kLane);
    i += 4 * kLane;
  }
  if (i + 2 * kLane <= p.n) {
    splat_columns<2, false>(p, i, kLane);
    i += 2 * kLane;
  }
  if (i + kLane <= p.n) {
    splat_columns<1, false>(p, i, kLane);
    i += kLane;
  }
  if (i < p.n) splat_columns<1, true>(p, i, static_cast<int>(p.n - i));
}

template <class A>
SWATH_ALWAYS_INLINE void exponentiate_columns(A* t, int64_t n_taps, int64_t pitch, int64_t n,
                                              A* scale, bool may_be_empty) {
  for (int64_t i = 0; i < n; i += kLanes<A>) {
    A* column = t + i;
    Vec<A> most = load(column);
    for (int64_t k = 1; k < n_taps; ++k) most = max_nan(most, load(column + k * pitch));
    if (may_be_empty) most = at_least(most, std::is_same_v<A, float> ? -0x1p126f : -0x1p1022);
    Vec<A> total = zero<A>();
    for (int64_t first = 0; first < n_taps; first += kSumRun) {
      const int64_t end = n_taps - first > kSumRun ? first + kSumRun : n_taps;
      Vec<A> part = zero<A>();
      for (int64_t k = first; k < end; ++k) {
        const Vec<A> e = exp(load(column + k * pitch) - most);
        store(column + k * pitch, e);
        part += e;
      }
      total += part;
    }
    Vec<A> inverse = set1(A{1}) / total;
    if (may_be_empty) inverse = select(total == zero<A>(), total, inverse);
    store(scale + i, inverse);
  }
}

template <class A>
SWATH_ALWAYS_INLINE void slope_columns(const A* e, const A* scale, A* dp, int64_t n_taps,
                                       int64_t pitch, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<A>) {
    const Vec<A> s = load(scale + i);
    Vec<A> total = zero<A>();
    for (int64_t first = 0; first < n_taps; first += kSumRun) {
      const int64_t end = n_taps - first > kSumRun ? first + kSumRun : n_taps;
      Vec<A> part = zero<A>();
      for (int64_t k = first; k < end; ++k) {
        part = mul_add(load(e + k * pitch + i), load(dp + k * pitch + i), part);
      }
      total += part;
    }
    const Vec<A> mean = total * s;
    for (int64_t k = 0; k < n_taps; ++k) {
      A* at = dp + k * pitch + i;
      store(at, load(e + k * pitch + i) * s * (load(at) - mean));
    }
  }
}

}  // namespace

void multiply(const LaneProducts<float>& p) noexcept { lane_products(p); }
void multiply(const LaneProducts<double>& p) noexcept { lane_products(p); }
void multiply(const SplatProducts<float>& p) noexcept { splat_products(p); }
void multiply(const SplatProducts<double>& p) noexcept { splat_products(p); }

void exponentiate(float* t, int64_t n_taps, int64_t pitch, int64_t n, float* scale,
                  bool may_be_empty) noexcept {
  exponentiate_columns(t, n_taps, pitch, n, scale, may_be_empty);
}
void exponentiate(double* t, int64_t n_taps, int64_t pitch, int64_t n, double* scale,
                  bool may_be_empty) noexcept {
  exponentiate_columns(t, n_taps, pitch, n, scale, may_be_empty);
}
void softmax_slope(const float* e, const float* scale, float* dp, int64_t n_taps, int64_t pitch,
                   int64_t n) noexcept {
  slope_columns(e, scale, dp, n_taps, pitch, n);
}
void softmax_slope(const double* e, const double* scale, double* dp, int64_t n_taps, int64_t pitch,
                   int64_t n) noexcept {
  slope_columns(e, scale, dp, n_taps, pitch, n);
}

}  // namespace swath::SWATH_ISA
