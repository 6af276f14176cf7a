// Register tiles of the weight's gradient. Both walk over the positions of a block, row by row, and
// add what they find to sums in memory; the offset of each weight's x is read from a table, so that
// any stride, dilation and layout costs the same.
#pragma once

#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

template <class T>
struct GradTile {
  const T* dy;
  const T* x;
  int64_t n_rows, dy_row, x_row;     // rows, and steps from one to the next
  int64_t n_steps, dy_step, x_step;  // steps along a row
  const int64_t* offset;             // of x, one per weight of the tile
  T* sums;                           // to add to
  int64_t dy_out;                    // row_grads: from one output channel's dy to the next
  int64_t sums_out;                  // row_grads: from one output channel's sums to the next
  int n_last;                        // row_grads: lanes of one more step per row; 0: none
};

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kGradRegisters = 24;  // of 32; the rest hold dy, x and addresses
#else
inline constexpr int kGradRegisters = 12;  // of 16
#endif

/// Lanes along channels: V vectors of dy meet J values of x that all lanes share.
template <class T, int V, int J>
__attribute__((noinline)) void shared_grads(const GradTile<T>& t) {
  Vec<T> sum[J][V];
#pragma GCC unroll 24
  for (int j = 0; j < J; ++j) {
#pragma GCC unroll 24
    for (int v = 0; v < V; ++v) sum[j][v] = zero<T>();
  }
  for (int64_t row = 0; row < t.n_rows; ++row) {
    const T* dy = t.dy + row * t.dy_row;
    const T* x = t.x + row * t.x_row;
    for (int64_t i = 0; i < t.n_steps; ++i) {
      Vec<T> g[V];
#pragma GCC unroll 24
      for (int v = 0; v < V; ++v) g[v] = load(dy + v * kLanes<T>);
#pragma GCC unroll 24
      for (int j = 0; j < J; ++j) {
        const Vec<T> u = set1<T>(x[t.offset[j]]);
#pragma GCC unroll 24
        for (int v = 0; v < V; ++v) sum[j][v] = mul_add(g[v], u, sum[j][v]);
      }
      dy += t.dy_step;
      x += t.x_step;
    }
  }
#pragma GCC unroll 24
  for (int j = 0; j < J; ++j) {
#pragma GCC unroll 24
    for (int v = 0; v < V; ++v) {
      T* to = t.sums + (j * V + v) * kLanes<T>;
      store(to, load(to) + sum[j][v]);
    }
  }
}

/// Each lane has its own dy and its own x: O output channels meet J weights. Lanes along a row of
/// positions (then a sum is over lanes too), or along channels that do not mix. kPartial: only
/// n_last lanes may be read, and n_steps of such.
template <class T, int O, int J, bool kPartial>
SWATH_ALWAYS_INLINE void add_products(Vec<T> (&sum)[O][J], const GradTile<T>& t, const T* dy,
                                      const T* x) {
  Vec<T> g[O];
#pragma GCC unroll 24
  for (int o = 0; o < O; ++o) {
    const T* at = dy + o * t.dy_out;
    g[o] = kPartial ? load_n(at, t.n_last) : load(at);
  }
#pragma GCC unroll 24
  for (int j = 0; j < J; ++j) {
    const T* at = x + t.offset[j];
    const Vec<T> u = kPartial ? load_n(at, t.n_last) : load(at);
#pragma GCC unroll 24
    for (int o = 0; o < O; ++o) sum[o][j] = mul_add(g[o], u, sum[o][j]);
  }
}

template <class T, int O, int J>
__attribute__((noinline)) void own_grads(const GradTile<T>& t) {
  Vec<T> sum[O][J];
#pragma GCC unroll 24
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 24
    for (int j = 0; j < J; ++j) sum[o][j] = zero<T>();
  }
  for (int64_t row = 0; row < t.n_rows; ++row) {
    const T* dy = t.dy + row * t.dy_row;
    const T* x = t.x + row * t.x_row;
    for (int64_t i = 0; i < t.n_steps; ++i) {
      add_products<T, O, J, false>(sum, t, dy, x);
      dy += t.dy_step;
      x += t.x_step;
    }
    // What lies beyond the row belongs to others and may be NaN: it is not read.
    if (t.n_last > 0) add_products<T, O, J, true>(sum, t, dy, x);
  }
#pragma GCC unroll 24
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 24
    for (int j = 0; j < J; ++j) {
      T* to = t.sums + o * t.sums_out + j * kLanes<T>;
      store(to, load(to) + sum[o][j]);
    }
  }
}

/// Calls f(first, n) for `total` things in nearly equal runs of at most `most`.
template <class F>
SWATH_ALWAYS_INLINE void in_equal_runs(int64_t total, int64_t most, const F& f) {
  const int64_t n_runs = (total + most - 1) / most;
  for (int64_t i = 0; i < n_runs; ++i) {
    const int64_t first = total * i / n_runs;
    f(first, total * (i + 1) / n_runs - first);
  }
}

#define SWATH_UP_TO_12(CASE) \
  CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)

}  // namespace
}  // namespace swath::SWATH_ISA
