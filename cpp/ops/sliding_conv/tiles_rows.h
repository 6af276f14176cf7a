// Register tiles with lanes along a row of positions: R output rows x OB output channels x V
// vectors. A loaded input vector serves R rows (those whose window contains its row) and OB
// channels.
#pragma once

#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

template <class T>
struct RowTile {
  const T* x;  // first position of the tile at tap 0 of the first channel
  int64_t x_channel_stride, n_channels;
  /// Offsets of the input rows: n_planes times the (n_rows_apart (R - 1) + n_taps_y) rows that R
  /// output rows need; output row j uses rows j n_rows_apart + ky.
  const int64_t* row_offset;
  int64_t plane_rows;  // entries of row_offset between planes
  int64_t n_planes, n_taps_y, n_rows_apart, n_taps_x;
  const int64_t* col_offset;  // n_taps_x offsets
  const T* w;                 // [channel][plane][ky][kx][OB]
  int64_t w_channel_stride, w_plane_stride, w_row_stride;
  const T* add;  // earlier chunks' sums, dense [R][OB][V], or null
  T* out;
  int64_t out_row_stride, out_channel_stride;
  int64_t n_cols;              // valid positions; more than V - 1 vectors
  int n_rows, n_channels_out;  // valid rows and channels: what is beyond is computed, not stored
  const T* bias;               // OB values to add, or null
  const T* ratio;              // a mask's factors of the sum, per row and position, or null
  const T* keep;               // and of sum + bias
  int64_t factor_row_stride;
  bool has_clamp;
  T low, high;
};

template <class T, int R, int OB, int V>
struct Sums {
  Vec<T> v[R][OB][V];
};

/// One input row serves output rows [J0, J1).
template <int J0, int J1, class T, int R, int OB, int V>
SWATH_ALWAYS_INLINE void add_row(Sums<T, R, OB, V>& sums, const RowTile<T>& t, const T* x,
                                 const T* w) {
  // w points at the taps of output row J0; row j + 1 looks n_rows_apart taps higher up.
  const int64_t step = t.n_rows_apart * t.w_row_stride;
  for (int64_t kx = 0; kx < t.n_taps_x; ++kx) {
    const T* at = x + t.col_offset[kx];
    Vec<T> u[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) u[v] = load(at + v * kLanes<T>);
#pragma GCC unroll 16
    for (int j = J0; j < J1; ++j) {
#pragma GCC unroll 16
      for (int o = 0; o < OB; ++o) {
        const Vec<T> b = set1<T>(w[o - (j - J0) * step]);
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) sums.v[j][o][v] = mul_add(u[v], b, sums.v[j][o][v]);
      }
    }
    w += OB;
  }
}

/// Picks the instance for the output rows that input row i serves.
template <class T, int R, int OB, int V>
SWATH_ALWAYS_INLINE void add_shared_row(Sums<T, R, OB, V>& sums, const RowTile<T>& t, const T* x,
                                        const T* w, int64_t i) {
  const int64_t apart = t.n_rows_apart;
  int64_t j0 = i < t.n_taps_y ? 0 : (i - t.n_taps_y + apart) / apart;
  int64_t j1 = i / apart + 1;
  if (j1 > R) j1 = R;
  if (j0 >= j1) return;
  w += (i - j0 * apart) * t.w_row_stride;
#define SWATH_CASE(J0, J1)                                   \
  case (J0) * 8 + (J1):                                      \
    if constexpr ((J1) <= R) add_row<J0, J1>(sums, t, x, w); \
    break;
  switch (j0 * 8 + j1) {
    SWATH_CASE(0, 1)
    SWATH_CASE(0, 2)
    SWATH_CASE(0, 3)
    SWATH_CASE(0, 4)
    SWATH_CASE(1, 2)
    SWATH_CASE(1, 3)
    SWATH_CASE(1, 4)
    SWATH_CASE(2, 3)
    SWATH_CASE(2, 4)
    SWATH_CASE(3, 4)
  }
#undef SWATH_CASE
}

/// n valid lanes of a vector.
template <class T>
SWATH_ALWAYS_INLINE Vec<T> load_valid(const T* from, int64_t n) {
  return n >= kLanes<T> ? load(from) : load_n(from, static_cast<int>(n));
}

/// (y ratio + bias) keep; where a factor is 0 not even a NaN counts.
template <class T>
SWATH_ALWAYS_INLINE Vec<T> apply_factors(Vec<T> y, Vec<T> bias, const T* ratio, const T* keep,
                                         int64_t n) {
  if (ratio != nullptr) {
    const Vec<T> r = load_valid(ratio, n);
    y = select(r == zero<T>(), zero<T>(), y * r + bias);
  } else {
    y = y + bias;
  }
  if (keep == nullptr) return y;
  const Vec<T> k = load_valid(keep, n);
  return select(k == zero<T>(), zero<T>(), y * k);
}

template <class T, int R, int OB, int V>
SWATH_ALWAYS_INLINE void store_sums(const Sums<T, R, OB, V>& sums, const RowTile<T>& t) {
  const int rest = static_cast<int>(t.n_cols - (V - 1) * kLanes<T>);
  const bool has_factors = t.ratio != nullptr || t.keep != nullptr;
  const bool is_plain = t.add == nullptr && t.bias == nullptr && !t.has_clamp && !has_factors;
  if (is_plain && rest >= kLanes<T> && t.n_rows == R && t.n_channels_out == OB) {
#pragma GCC unroll 16
    for (int j = 0; j < R; ++j) {
#pragma GCC unroll 16
      for (int o = 0; o < OB; ++o) {
        T* to = t.out + j * t.out_row_stride + o * t.out_channel_stride;
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) store(to + v * kLanes<T>, sums.v[j][o][v]);
      }
    }
    return;
  }
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) {
#pragma GCC unroll 16
    for (int o = 0; o < OB; ++o) {
      if (j >= t.n_rows || o >= t.n_channels_out) continue;
      T* to = t.out + j * t.out_row_stride + o * t.out_channel_stride;
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        Vec<T> y = sums.v[j][o][v];
        if (t.add != nullptr) y = y + load(t.add + ((j * OB + o) * V + v) * kLanes<T>);
        if (has_factors) {
          const int64_t at = j * t.factor_row_stride + v * kLanes<T>;
          y = apply_factors(y, t.bias != nullptr ? set1<T>(t.bias[o]) : zero<T>(),
                            t.ratio != nullptr ? t.ratio + at : nullptr,
                            t.keep != nullptr ? t.keep + at : nullptr,
                            v + 1 < V ? kLanes<T> : rest);
        } else if (t.bias != nullptr) {
          y = y + set1<T>(t.bias[o]);
        }
        if (t.has_clamp) y = min_nan(max_nan(y, set1<T>(t.low)), set1<T>(t.high));
        if (v + 1 < V || rest >= kLanes<T>) {
          store(to + v * kLanes<T>, y);
        } else {
          store_n(to + v * kLanes<T>, y, rest);
        }
      }
    }
  }
}

/// Three tap rows, the most common kernel, without a branch per row.
template <class T, int R, int OB, int V>
SWATH_ALWAYS_INLINE void add_three_rows(Sums<T, R, OB, V>& sums, const RowTile<T>& t, const T* x,
                                        const T* w, const int64_t* offset) {
  const int64_t row = t.w_row_stride;
  add_row<0, 1>(sums, t, x + offset[0], w);
  if constexpr (R == 2) {
    add_row<0, 2>(sums, t, x + offset[1], w + row);
    add_row<0, 2>(sums, t, x + offset[2], w + 2 * row);
    add_row<1, 2>(sums, t, x + offset[3], w + 2 * row);
  } else {
    add_row<0, 2>(sums, t, x + offset[1], w + row);
    add_row<0, 3>(sums, t, x + offset[2], w + 2 * row);
    add_row<1, 4>(sums, t, x + offset[3], w + 2 * row);
    add_row<2, 4>(sums, t, x + offset[4], w + 2 * row);
    add_row<3, 4>(sums, t, x + offset[5], w + 2 * row);
  }
}

template <class T, int R, int OB, int V>
__attribute__((noinline)) void row_tile(const RowTile<T>& t) {
  Sums<T, R, OB, V> sums;
#pragma GCC unroll 16
  for (int j = 0; j < R; ++j) {
#pragma GCC unroll 16
    for (int o = 0; o < OB; ++o) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sums.v[j][o][v] = zero<T>();
    }
  }
  const int64_t n_shared = t.n_rows_apart * (R - 1) + t.n_taps_y;
  for (int64_t c = 0; c < t.n_channels; ++c) {
    const T* x = t.x + c * t.x_channel_stride;
    const T* w = t.w + c * t.w_channel_stride;
    for (int64_t plane = 0; plane < t.n_planes; ++plane) {
      const int64_t* offset = t.row_offset + plane * t.plane_rows;
      if constexpr (R == 1) {
        for (int64_t i = 0; i < t.n_taps_y; ++i) {
          add_row<0, 1>(sums, t, x + offset[i], w + i * t.w_row_stride);
        }
      } else if (t.n_taps_y == 3 && t.n_rows_apart == 1) {
        add_three_rows(sums, t, x, w, offset);
      } else {
        for (int64_t i = 0; i < n_shared; ++i) add_shared_row(sums, t, x + offset[i], w, i);
      }
      w += t.w_plane_stride;
    }
  }
  store_sums(sums, t);
}

}  // namespace
}  // namespace swath::SWATH_ISA
