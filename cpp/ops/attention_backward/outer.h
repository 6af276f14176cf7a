// Sums of outer products: rows of queries, weighted, into rows of keys. Included by *.isa.cc only.
#pragma once

#include "ops/attention/values.h"

namespace swath::SWATH_ISA {
namespace {

/// Keys of one block.
inline constexpr int kOuterKeys = 4;

/// out[j][...] += sum over n_lanes of w[j][lane] rows[lane][...] for kN keys and kVecs vectors.
template <int kN, int kVecs, class A>
void outer_block(const A* w, const A* rows, int64_t row_pitch, int n_lanes, A* out,
                 int64_t out_pitch) {
  Vec<A> sum[kN][kVecs];
#pragma GCC unroll 4
  for (int j = 0; j < kN; ++j) {
#pragma GCC unroll 4
    for (int c = 0; c < kVecs; ++c) sum[j][c] = zero<A>();
  }
  for (int l = 0; l < n_lanes; ++l, rows += row_pitch) {
    Vec<A> row[kVecs];
#pragma GCC unroll 4
    for (int c = 0; c < kVecs; ++c) row[c] = load(rows + c * kLanes<A>);
#pragma GCC unroll 4
    for (int j = 0; j < kN; ++j) {
      const Vec<A> weight = set1(w[j * kQueries<A> + l]);
#pragma GCC unroll 4
      for (int c = 0; c < kVecs; ++c) sum[j][c] = mul_add(weight, row[c], sum[j][c]);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kN; ++j) {
#pragma GCC unroll 4
    for (int c = 0; c < kVecs; ++c) {
      A* at = out + j * out_pitch + c * kLanes<A>;
      store(at, load(at) + sum[j][c]);
    }
  }
}

template <class A>
using OuterFn = void (*)(const A*, const A*, int64_t, int, A*, int64_t);

template <int kN, class A, int... I>
constexpr OuterFn<A> pick_outer(int n, std::integer_sequence<int, I...>) {
  OuterFn<A> found = nullptr;
  ((found = n == I + 1 ? outer_block<kN, I + 1, A> : found), ...);
  return found;
}

/// n keys, `width` a whole number of vectors.
template <class A>
__attribute__((noinline)) void add_outer(const A* w, int64_t n, const A* rows, int64_t width,
                                         int n_lanes, A* out, int64_t out_pitch) {
  int64_t n_vecs = width / kLanes<A>;
  int64_t n_passes = (n_vecs + kValueVecs - 1) / kValueVecs;
  for (int64_t at = 0; n_vecs > 0; --n_passes) {
    const int64_t m = (n_vecs + n_passes - 1) / n_passes;
    constexpr auto kCounts = std::make_integer_sequence<int, kValueVecs>{};
    const OuterFn<A> block = pick_outer<kOuterKeys, A>(static_cast<int>(m), kCounts);
    const OuterFn<A> single = pick_outer<1, A>(static_cast<int>(m), kCounts);
    int64_t j = 0;
    for (; j + kOuterKeys <= n; j += kOuterKeys) {
      block(w + j * kQueries<A>, rows + at, width, n_lanes, out + j * out_pitch + at, out_pitch);
    }
    for (; j < n; ++j) {
      single(w + j * kQueries<A>, rows + at, width, n_lanes, out + j * out_pitch + at, out_pitch);
    }
    at += m * kLanes<A>;
    n_vecs -= m;
  }
}

/// The same for rows that may be NaN or infinite: a weight of 0 takes nothing.
template <class A>
__attribute__((noinline)) void add_outer_carefully(const A* w, int64_t n, const A* rows,
                                                   int64_t width, int n_lanes, A* out,
                                                   int64_t out_pitch) {
  for (int64_t j = 0; j < n; ++j) {
    for (int l = 0; l < n_lanes; ++l) {
      const A weight = w[j * kQueries<A> + l];
      if (weight == 0) continue;
      for (int64_t c = 0; c < width; c += kLanes<A>) {
        A* at = out + j * out_pitch + c;
        store(at, mul_add(set1(weight), load(rows + l * width + c), load(at)));
      }
    }
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
