// Products over rows laid end to end: a plane of narrow rows fills its vectors.
#include "ops/common/rows.h"
#include "ops/dynamic_conv/micro.h"

namespace swath::SWATH_ISA {
namespace {

/// One vector of kJ outputs that begins in column `col`.
template <int kJ, bool kMasksT, bool kIsPart, class A>
SWATH_ALWAYS_INLINE void plane_tile(const PlaneProducts<A>& p, int64_t j0, int64_t i, int n,
                                    int64_t col) {
  using B = Bits<A>;
  Vec<A> sum[kJ];
  const A* x[kJ];
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
    sum[j] = zero<A>();
    x[j] = p.x + (j0 + j) * p.x_step + i;
  }
  const A* t = p.t + i;
  const B* inside = p.inside + col;
  for (int64_t r = 0; r < p.n_terms; ++r) {
    const Vec<B> keep = load(inside + p.inside_at[r]);
    const A* tr = t + p.t_at[r];
    Vec<A> factor = kIsPart ? load_n(tr, n) : load(tr);
    if constexpr (kMasksT) factor = bit_cast<A>(bit_cast<B>(factor) & keep);
    const int64_t at = p.x_at[r];
#pragma GCC unroll 8
    for (int j = 0; j < kJ; ++j) {
      const Vec<A> value = bit_cast<A>(bit_cast<B>(load(x[j] + at)) & keep);
      sum[j] = mul_add(factor, value, sum[j]);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kJ; ++j) {
    A* y = p.y + (j0 + j) * p.y_step + i;
    if constexpr (kIsPart) {
      store_n(y, sum[j], n);
    } else {
      store(y, sum[j]);
    }
  }
}

/// All outputs of one vector: its taps stay in the first cache.
template <bool kMasksT, bool kIsPart, class A>
SWATH_ALWAYS_INLINE void plane_column(const PlaneProducts<A>& p, int64_t i, int n, int64_t col) {
  int64_t j = 0;
  for (; j + 8 <= p.n_j; j += 8) plane_tile<8, kMasksT, kIsPart>(p, j, i, n, col);
  if (j + 4 <= p.n_j) {
    plane_tile<4, kMasksT, kIsPart>(p, j, i, n, col);
    j += 4;
  }
  for (; j < p.n_j; ++j) plane_tile<1, kMasksT, kIsPart>(p, j, i, n, col);
}

template <bool kMasksT, class A>
SWATH_ALWAYS_INLINE void plane_columns(const PlaneProducts<A>& given) {
  const PlaneProducts<A> p = given;
  constexpr int kLane = kLanes<A>;
  const int64_t step = kLane % p.width;
  int64_t i = 0, col = p.col;
  for (; i + kLane <= p.n; i += kLane) {
    plane_column<kMasksT, false>(p, i, kLane, col);
    col += step;
    if (col >= p.width) col -= p.width;
  }
  if (i < p.n) plane_column<kMasksT, true>(p, i, static_cast<int>(p.n - i), col);
}

template <class A>
SWATH_ALWAYS_INLINE void plane_products(const PlaneProducts<A>& p) {
  if (p.masks_t) {
    plane_columns<true>(p);
  } else {
    plane_columns<false>(p);
  }
}

}  // namespace

void multiply(const PlaneProducts<float>& p) noexcept { plane_products(p); }
void multiply(const PlaneProducts<double>& p) noexcept { plane_products(p); }

}  // namespace swath::SWATH_ISA
