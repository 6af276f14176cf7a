// Products of small matrices in a worker's memory. Included by *.isa.cc only.
#pragma once

#include "simd/vec.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Rows of a register tile, two vectors wide: enough sums to cover the latency of one.
inline constexpr int kTileRows = kVecBytes == 64 ? 8 : 4;

/// Element (i, j) of a matrix is at[i * row + j * column].
template <class A>
struct Matrix {
  const A* at;
  int64_t row, column;
};

template <int kRows, int kWide, class A>
SWATH_ALWAYS_INLINE void add_tile(Matrix<A> a, const A* b, int64_t b_row, A* c, int64_t c_row,
                                  int64_t n_terms) {
  Vec<A> sum[kRows][kWide];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kWide; ++v) sum[i][v] = zero<A>();
  }
  for (int64_t t = 0; t < n_terms; ++t) {
    Vec<A> right[kWide];
#pragma GCC unroll 2
    for (int v = 0; v < kWide; ++v) right[v] = load(b + t * b_row + v * kLanes<A>);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const Vec<A> left = set1(a.at[i * a.row + t * a.column]);
#pragma GCC unroll 2
      for (int v = 0; v < kWide; ++v) sum[i][v] = mul_add(left, right[v], sum[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kWide; ++v) {
      A* to = c + i * c_row + v * kLanes<A>;
      store(to, load(to) + sum[i][v]);
    }
  }
}

template <int kRows, class A>
__attribute__((noinline)) void add_rows(Matrix<A> a, const A* b, int64_t b_row, A* c, int64_t c_row,
                                        int64_t n_columns, int64_t n_terms) {
  constexpr int64_t kWide = 2 * kLanes<A>;
  int64_t j = 0;
  for (; j + kWide <= n_columns; j += kWide) {
    add_tile<kRows, 2>(a, b + j, b_row, c + j, c_row, n_terms);
  }
  if (j < n_columns) add_tile<kRows, 1>(a, b + j, b_row, c + j, c_row, n_terms);
}

/// c += a b for n_rows rows; b and c have whole vectors of columns, n_columns being a multiple of
/// them. A sum has at most a few hundred terms.
template <class A>
SWATH_ALWAYS_INLINE void add_product(Matrix<A> a, const A* b, int64_t b_row, A* c, int64_t c_row,
                                     int64_t n_rows, int64_t n_columns, int64_t n_terms) {
  int64_t i = 0;
  for (; i + kTileRows <= n_rows; i += kTileRows) {
    add_rows<kTileRows>({a.at + i * a.row, a.row, a.column}, b, b_row, c + i * c_row, c_row,
                        n_columns, n_terms);
  }
  for (; i < n_rows; ++i) {
    add_rows<1>({a.at + i * a.row, a.row, a.column}, b, b_row, c + i * c_row, c_row, n_columns,
                n_terms);
  }
}

/// Where the terms of row i begin and end: both grow by one from row to row until they meet the
/// ends of [0, n_terms). Terms beyond must not be touched: 0 times NaN is NaN.
struct Band {
  int64_t begin, end;  // of row 0; begin is kAll for rows that begin at 0, end for those that end
  int64_t n_terms;
  bool begin_grows, end_grows;

  __attribute__((always_inline)) int64_t first(int64_t i) const {
    return clamp(begin_grows ? begin + i : begin);
  }
  __attribute__((always_inline)) int64_t last(int64_t i) const {
    return clamp(end_grows ? end + i : end);
  }
  __attribute__((always_inline)) int64_t clamp(int64_t x) const {
    return x < 0 ? 0 : x > n_terms ? n_terms : x;
  }
};

/// c += a b where row i has the terms of its band only.
template <class A>
SWATH_ALWAYS_INLINE void add_band_product(Matrix<A> a, const A* b, int64_t b_row, A* c,
                                          int64_t c_row, int64_t n_rows, int64_t n_columns,
                                          const Band& band) {
  const auto add = [&](int64_t i, int64_t n, int64_t from, int64_t to) {
    if (from >= to) return;
    add_product<A>({a.at + i * a.row + from * a.column, a.row, a.column}, b + from * b_row, b_row,
                   c + i * c_row, c_row, n, n_columns, to - from);
  };
  for (int64_t i = 0; i < n_rows; i += kTileRows) {
    const int64_t n = n_rows - i < kTileRows ? n_rows - i : kTileRows;
    // What all rows of the tile have, then the corners.
    int64_t from = band.first(i + n - 1), to = band.last(i);
    if (from > to) from = to;
    add(i, n, from, to);
    for (int64_t r = i; r < i + n; ++r) {
      const int64_t first = band.first(r), last = band.last(r);
      add(r, 1, first, last < from ? last : from);
      add(r, 1, first > to ? first : to, last);
    }
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
