// Products over rows laid end to end: a plane of narrow rows fills its vectors.
#include "ops/common/rows.h"
#include "ops/dynamic_conv/micro.h"

namespace swath::SWATH_ISA {
namespace {

/// for_lanes, and the column in which each vector begins.
template <class A, class F>
SWATH_ALWAYS_INLINE void for_columns(int64_t n, int64_t col, int64_t width, const F& f) {
  const int64_t step = kLanes<A> % width;
  for_lanes<A>(n, [&](int64_t i, int m) {
    f(i, m, col);
    col += step;
    if (col >= width) col -= width;
  });
}

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
  for_columns<A>(p.n, p.col, p.width, [&](int64_t i, int n, int64_t col) {
    if (n == kLanes<A>) {
      plane_column<kMasksT, false>(p, i, n, col);
    } else {
      plane_column<kMasksT, true>(p, i, n, col);
    }
  });
}

template <class A>
SWATH_ALWAYS_INLINE void plane_products(const PlaneProducts<A>& p) {
  if (p.masks_t) {
    plane_columns<true>(p);
  } else {
    plane_columns<false>(p);
  }
}

/// One vector of kJ taps. What is outside still meets dy: an infinity is NaN there, as elsewhere.
template <int kJ, bool kIsPart, class A>
SWATH_ALWAYS_INLINE void tap_tile(const PlaneSums<A>& p, int64_t j0, int64_t i, int n,
                                  int64_t col) {
  Vec<A> sum[kJ], outside = zero<A>();
  const A *x[kJ], *dy = p.dy + i;
#pragma GCC unroll 9
  for (int j = 0; j < kJ; ++j) {
    sum[j] = zero<A>();
    x[j] = p.x + p.x_at[j0 + j] + i;
  }
  int64_t at = 0;
  for (int64_t r = 0; r < p.n_terms; ++r, at += p.x_step, dy += p.dy_step) {
    const Vec<A> factor = kIsPart ? load_n(dy, n) : load(dy);
    outside = mul_add(factor, zero<A>(), outside);
#pragma GCC unroll 9
    for (int j = 0; j < kJ; ++j) sum[j] = mul_add(factor, load(x[j] + at), sum[j]);
  }
#pragma GCC unroll 9
  for (int j = 0; j < kJ; ++j) {
    const Vec<Bits<A>> keep = load(p.inside + p.inside_at[j0 + j] + col);
    Vec<A> total = select(keep != 0, sum[j], outside);
    A* out = p.out + (j0 + j) * p.out_step + i;
    if constexpr (kIsPart) {
      if (p.adds) total += load_n(out, n);
      store_n(out, total, n);
    } else {
      if (p.adds) total += load(out);
      store(out, total);
    }
  }
}

template <bool kIsPart, class A>
SWATH_ALWAYS_INLINE void tap_column(const PlaneSums<A>& p, int64_t i, int n, int64_t col) {
  int64_t j = 0;
  for (; j + 9 <= p.n_j; j += 9) tap_tile<9, kIsPart>(p, j, i, n, col);
  if (j + 7 <= p.n_j) {
    tap_tile<7, kIsPart>(p, j, i, n, col);
    j += 7;
  }
  if (j + 4 <= p.n_j) {
    tap_tile<4, kIsPart>(p, j, i, n, col);
    j += 4;
  }
  for (; j < p.n_j; ++j) tap_tile<1, kIsPart>(p, j, i, n, col);
}

template <class A>
SWATH_ALWAYS_INLINE void plane_sums(const PlaneSums<A>& given) {
  const PlaneSums<A> p = given;
  for_columns<A>(p.n, p.col, p.width, [&](int64_t i, int n, int64_t col) {
    if (n == kLanes<A>) {
      tap_column<false>(p, i, n, col);
    } else {
      tap_column<true>(p, i, n, col);
    }
  });
}

}  // namespace

void multiply(const PlaneProducts<float>& p) noexcept { plane_products(p); }
void multiply(const PlaneProducts<double>& p) noexcept { plane_products(p); }
void multiply(const PlaneSums<float>& p) noexcept { plane_sums(p); }
void multiply(const PlaneSums<double>& p) noexcept { plane_sums(p); }

}  // namespace swath::SWATH_ISA
