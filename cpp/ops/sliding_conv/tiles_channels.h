// Register tiles with lanes along output channels: P positions of a row x V vectors.
#pragma once

#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

template <class T>
struct ChannelTile {
  const T* x;  // first position of the tile, first channel
  int64_t position_stride;
  const int64_t* row_offset;  // the tap rows that count: where they are in x ...
  const int64_t* row_index;   // ... and which row of w they are
  int64_t n_rows;
  const int64_t* col_offset;
  int64_t n_taps_x;
  int64_t n_channels;  // summed per tap (dense tiles)
  const T* w;          // [row][kx][channel][V vectors]
  int64_t w_row_stride, w_tap_stride;
  const T* add;  // earlier chunks' sums, dense [P][V], or null
  T* out;
  int64_t out_stride;  // from one position to the next
  int64_t n_lanes;     // valid channels; more than V - 1 vectors
  const T* bias;       // n_lanes values, or null
  const T* ratio;      // a mask's factors of the sum, per position, or null
  const T* keep;       // and of sum + bias
  bool has_clamp;
  T low, high;
};

template <class T, int P, int V>
struct PositionSums {
  Vec<T> v[P][V];
};

template <class T, int P, int V>
SWATH_ALWAYS_INLINE void clear(PositionSums<T, P, V>& sums) {
#pragma GCC unroll 16
  for (int i = 0; i < P; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sums.v[i][v] = zero<T>();
  }
}

template <class T, int P, int V>
SWATH_ALWAYS_INLINE void store_positions(const PositionSums<T, P, V>& sums,
                                         const ChannelTile<T>& t) {
  const int rest = static_cast<int>(t.n_lanes - (V - 1) * kLanes<T>);
  const bool has_factors = t.ratio != nullptr || t.keep != nullptr;
  const bool is_plain = t.add == nullptr && t.bias == nullptr && !t.has_clamp && !has_factors;
  if (is_plain && rest >= kLanes<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) store(t.out + i * t.out_stride + v * kLanes<T>, sums.v[i][v]);
    }
    return;
  }
#pragma GCC unroll 16
  for (int v = 0; v < V; ++v) {
    const bool is_whole = v + 1 < V || rest >= kLanes<T>;
    Vec<T> bias = zero<T>();
    if (t.bias != nullptr) {
      bias = is_whole ? load(t.bias + v * kLanes<T>) : load_n(t.bias + v * kLanes<T>, rest);
    }
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i) {
      Vec<T> y = sums.v[i][v];
      if (t.add != nullptr) y = y + load(t.add + (i * V + v) * kLanes<T>);
      if (t.ratio != nullptr) y = y * set1<T>(t.ratio[i]);
      if (t.bias != nullptr) y = y + bias;
      if (t.ratio != nullptr && t.ratio[i] == 0) y = zero<T>();
      if (t.keep != nullptr) y = t.keep[i] == 0 ? zero<T>() : y * set1<T>(t.keep[i]);
      if (t.has_clamp) y = min_nan(max_nan(y, set1<T>(t.low)), set1<T>(t.high));
      T* to = t.out + i * t.out_stride + v * kLanes<T>;
      if (is_whole) {
        store(to, y);
      } else {
        store_n(to, y, rest);
      }
    }
  }
}

/// Depthwise: every lane is a channel of its own.
template <class T, int P, int V>
__attribute__((noinline)) void depthwise_tile(const ChannelTile<T>& t) {
  PositionSums<T, P, V> sums;
  clear(sums);
  for (int64_t row = 0; row < t.n_rows; ++row) {
    const T* x = t.x + t.row_offset[row];
    const T* w = t.w + t.row_index[row] * t.w_row_stride;
    for (int64_t kx = 0; kx < t.n_taps_x; ++kx) {
      const T* at = x + t.col_offset[kx];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        const Vec<T> tap = load(w + v * kLanes<T>);
#pragma GCC unroll 16
        for (int i = 0; i < P; ++i) {
          sums.v[i][v] =
              mul_add(load(at + i * t.position_stride + v * kLanes<T>), tap, sums.v[i][v]);
        }
      }
      w += V * kLanes<T>;
    }
  }
  store_positions(sums, t);
}

/// Taps whose weights stay in registers: 16 sums, 10 weights and 2 pixels of 32 registers, or 8
/// sums, 5 weights and a pixel of 16.
inline constexpr int kTapGroup = 5;

/// G neighbouring taps: each pixel is loaded once for all of the positions that see it, P + G - 1
/// loads for P G products.
template <int G, class T, int P, int V>
SWATH_ALWAYS_INLINE void add_taps(PositionSums<T, P, V>& sums, const T* x, int64_t stride,
                                  const T* w) {
  Vec<T> tap[G][V];
#pragma GCC unroll 16
  for (int k = 0; k < G; ++k) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) tap[k][v] = load(w + (k * V + v) * kLanes<T>);
  }
#pragma GCC unroll 16
  for (int i = 0; i < P + G - 1; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      const Vec<T> u = load(x + i * stride + v * kLanes<T>);
#pragma GCC unroll 16
      for (int k = 0; k < G; ++k) {
        const int at = i - k;
        if (at >= 0 && at < P) sums.v[at][v] = mul_add(u, tap[k][v], sums.v[at][v]);
      }
    }
  }
}

/// Depthwise with stride and dilation 1: neighbouring positions share pixels.
template <class T, int P, int V>
__attribute__((noinline)) void sliding_tile(const ChannelTile<T>& t) {
  PositionSums<T, P, V> sums;
  clear(sums);
  const int64_t n_groups = (t.n_taps_x + kTapGroup - 1) / kTapGroup;
  const int64_t group = (t.n_taps_x + n_groups - 1) / n_groups;
  for (int64_t row = 0; row < t.n_rows; ++row) {
    const T* x = t.x + t.row_offset[row] + t.col_offset[0];
    const T* w = t.w + t.row_index[row] * t.w_row_stride;
    for (int64_t kx = 0; kx < t.n_taps_x; kx += group) {
      const int64_t n = t.n_taps_x - kx < group ? t.n_taps_x - kx : group;
      switch (n) {
        case 1:
          add_taps<1>(sums, x, t.position_stride, w);
          break;
        case 2:
          add_taps<2>(sums, x, t.position_stride, w);
          break;
        case 3:
          add_taps<3>(sums, x, t.position_stride, w);
          break;
        case 4:
          add_taps<4>(sums, x, t.position_stride, w);
          break;
        case 5:
          add_taps<5>(sums, x, t.position_stride, w);
          break;
      }
      x += n * t.position_stride;
      w += n * V * kLanes<T>;
    }
  }
  store_positions(sums, t);
}

/// Dense: a channel of a position is broadcast against the weights of V vectors of outputs.
template <class T, int P, int V>
__attribute__((noinline)) void dense_tile(const ChannelTile<T>& t) {
  PositionSums<T, P, V> sums;
  clear(sums);
  for (int64_t row = 0; row < t.n_rows; ++row) {
    const T* x = t.x + t.row_offset[row];
    const T* w_row = t.w + t.row_index[row] * t.w_row_stride;
    for (int64_t kx = 0; kx < t.n_taps_x; ++kx) {
      const T* at = x + t.col_offset[kx];
      const T* w = w_row + kx * t.w_tap_stride;
      for (int64_t c = 0; c < t.n_channels; ++c) {
        Vec<T> u[V];
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) u[v] = load(w + v * kLanes<T>);
#pragma GCC unroll 16
        for (int i = 0; i < P; ++i) {
          const Vec<T> b = set1<T>(at[i * t.position_stride]);
#pragma GCC unroll 16
          for (int v = 0; v < V; ++v) sums.v[i][v] = mul_add(u[v], b, sums.v[i][v]);
        }
        ++at;
        w += V * kLanes<T>;
      }
    }
  }
  store_positions(sums, t);
}

}  // namespace
}  // namespace swath::SWATH_ISA
