// Between rows of numbers and tiles that have a row in each lane. Included by *.isa.cc only.
#pragma once

#include "ops/common/rows.h"
#include "ops/plane_fft/fft.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// v[i][j] = v[j][i]: each round sorts by one bit of the lane.
template <class A>
SWATH_ALWAYS_INLINE void transpose(Vec<A>* v) {
  constexpr int kN = kLanes<A>;
#pragma GCC unroll 4
  for (int bit = 1; bit < kN; bit *= 2) {
    Vec<A> t[kN];
#pragma GCC unroll 16
    for (int i = 0; i < kN / 2; ++i) {
      t[2 * i] = zip<0>(v[i], v[i + kN / 2]);
      t[2 * i + 1] = zip<1>(v[i], v[i + kN / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kN; ++i) v[i] = t[i];
  }
}

/// v[j] = the n (at most a vector) numbers from element j of each row; null rows count as zeros.
template <class A>
SWATH_ALWAYS_INLINE void load_lanes(const A* const* rows, int64_t at, int n, Vec<A>* v) {
#pragma GCC unroll 16
  for (int l = 0; l < kLanes<A>; ++l) {
    v[l] = rows[l] == nullptr ? zero<A>() : load_part<A>(rows[l] + at, n);
  }
  transpose<A>(v);
}
template <class A>
SWATH_ALWAYS_INLINE void store_lanes(Vec<A>* v, A* const* rows, int64_t at, int n) {
  transpose<A>(v);
#pragma GCC unroll 16
  for (int l = 0; l < kLanes<A>; ++l) {
    if (rows[l] != nullptr) store_part(rows[l] + at, v[l], n);
  }
}

SWATH_ALWAYS_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/// f(at, m) for vectors of m numbers that cover [0, n). The last one overlaps the one before rather
/// than being a part: masked stores of AVX2 take tens of cycles on some processors.
template <class A, class F>
SWATH_ALWAYS_INLINE void for_vectors(int64_t n, const F& f) {
  constexpr int kN = kLanes<A>;
  int64_t at = 0;
  for (; at + kN <= n; at += kN) f(at, kN);
  if (at == n) return;
  if (n >= kN) {
    f(n - kN, kN);
  } else {
    f(0, static_cast<int>(n));
  }
}

/// Points [begin, end) of a tile.
template <class A>
SWATH_ALWAYS_INLINE void clear_points(A* tile, int64_t begin, int64_t end) {
  for (int64_t i = begin * kPoint<A>; i < end * kPoint<A>; i += kLanes<A>) {
    store(tile + i, zero<A>());
  }
}

/// Pairs of rows of n numbers as the real and the imaginary parts of the points from `place`.
template <class A>
void rows_to_tile(const A* const* real, const A* const* imaginary, int64_t n, int64_t place,
                  A* tile) {
  for_vectors<A>(n, [&](int64_t at, int m) {
    for (int part = 0; part < 2; ++part) {
      Vec<A> v[kLanes<A>];
      load_lanes<A>(part == 0 ? real : imaginary, at, m, v);
      A* to = tile + (place + at) * kPoint<A> + part * kLanes<A>;
      for (int j = 0; j < m; ++j) store(to + j * kPoint<A>, v[j]);
    }
  });
}

/// The other way round; `part` 0 for the real parts.
template <class A>
void tile_to_rows(const A* tile, int part, int64_t n, int64_t place, A* const* rows) {
  for_vectors<A>(n, [&](int64_t at, int m) {
    const A* from = tile + (place + at) * kPoint<A> + part * kLanes<A>;
    Vec<A> v[kLanes<A>];
    for (int j = 0; j < kLanes<A>; ++j) v[j] = j < m ? load(from + j * kPoint<A>) : zero<A>();
    store_lanes<A>(v, rows, at, m);
  });
}

/// A pair of rows x + i y: their spectra X and Y, of which only half is needed, times 2.
enum PairPart { kRealX, kImagX, kRealY, kImagY, kPairParts };

template <class A>
SWATH_ALWAYS_INLINE Vec<A> pair_part(int part, Complex<A> z, Complex<A> mirrored) {
  switch (part) {
    case kRealX:
      return z.re + mirrored.re;
    case kImagX:
      return z.im - mirrored.im;
    case kRealY:
      return z.im + mirrored.im;
    default:
      return mirrored.re - z.re;
  }
}

/// rows[part][lane]: where the parts of a lane's two half spectra go; null: nowhere.
template <class A>
void split_pairs(const A* tile, int64_t n, A* const (*rows)[kLanes<A>]) {
  const int64_t n_half = n / 2 + 1;
  for_vectors<A>(n_half, [&](int64_t at, int m) {
    for (int part = 0; part < kPairParts; ++part) {
      Vec<A> v[kLanes<A>];
      for (int j = 0; j < kLanes<A>; ++j) {
        const int64_t k = at + j;
        v[j] = j >= m ? zero<A>()
                      : pair_part<A>(part, get(tile + k * kPoint<A>),
                                     get(tile + (k == 0 ? 0 : n - k) * kPoint<A>));
      }
      store_lanes<A>(v, rows[part], at, m);
    }
  });
}

/// The inverse, with real and imaginary parts swapped for an inverse transform. The half spectra
/// are zero from n_used on. The imaginary parts of the points 0 and n / 2 do not count.
template <class A>
void join_pairs(const A* const (*rows)[kLanes<A>], int64_t n, int64_t n_used, A* tile) {
  for_vectors<A>(n_used, [&](int64_t at, int m) {
    Vec<A> v[kPairParts][kLanes<A>];
    for (int part = 0; part < kPairParts; ++part) load_lanes<A>(rows[part], at, m, v[part]);
    for (int j = 0; j < m; ++j) {
      const int64_t k = at + j;
      const bool is_real = 2 * k == n || k == 0;
      const Vec<A> xi = is_real ? zero<A>() : v[kImagX][j], yi = is_real ? zero<A>() : v[kImagY][j];
      const Vec<A> xr = v[kRealX][j], yr = v[kRealY][j];
      put(tile + k * kPoint<A>, Complex<A>{xi + yr, xr - yi});
      if (!is_real) put(tile + (n - k) * kPoint<A>, Complex<A>{yr - xi, xr + yi});
    }
  });
  clear_points(tile, n_used, smaller(n, n - n_used + 1));
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
