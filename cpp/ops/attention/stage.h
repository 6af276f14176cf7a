// Rows of q, k, v and biases as accumulators, in the orders that the products need.
// Included by *.isa.cc only.
#pragma once

#include "ops/attention/scores.h"
#include "ops/attention/walk.h"
#include "ops/common/rows.h"

namespace swath::SWATH_ISA {
namespace {

template <int kStages, class V, int kN>
SWATH_ALWAYS_INLINE void zip_stages(V (&r)[kN]) {
  if constexpr (kStages > 0) {
    V out[kN];
#pragma GCC unroll 16
    for (int i = 0; i < kN / 2; ++i) {
      out[2 * i] = zip<0>(r[i], r[i + kN / 2]);
      out[2 * i + 1] = zip<1>(r[i], r[i + kN / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kN; ++i) r[i] = out[i];
    zip_stages<kStages - 1>(r);
  }
}
/// Lane i of row j becomes lane j of row i: each stage is a perfect shuffle of the rows.
template <class V, int kN>
SWATH_ALWAYS_INLINE void transpose(V (&r)[kN]) {
  static_assert(kN == kLanes<Elem<V>>);
  zip_stages<__builtin_ctz(kN)>(r);
}

/// The elements [at, at + n) of rows, n <= kLanes, one row for each lane of vector v of a tile.
template <class S, class A>
SWATH_ALWAYS_INLINE void load_block(const S* const* rows, int64_t stride, int64_t at, int n,
                                    Vec<A> (&block)[kLanes<A>]) {
  constexpr int kN = kLanes<A>;
  if (stride == 1 && n == kN) {
#pragma GCC unroll 16
    for (int l = 0; l < kN; ++l) block[l] = load_as<A>(rows[l] + at);
  } else {
    for (int l = 0; l < kN; ++l) {
      alignas(64) A gathered[kN] = {};
      widen_row(rows[l] + at * stride, stride, gathered, n);
      block[l] = load(gathered);
    }
  }
  transpose(block);
}

/// out[d][lane] = factor x[lane][d], d < n_d. There is a row for every lane; `out` has room for
/// whole vectors of d.
template <class S, class A>
__attribute__((noinline)) void load_queries(const S* const* rows, int64_t unit, int64_t n_d,
                                            A factor, A* out) {
  constexpr int kN = kLanes<A>;
  for (int v = 0; v < kRow; ++v) {
    for (int64_t d = 0; d < n_d; d += kN) {
      Vec<A> block[kN];
      load_block<S, A>(rows + v * kN, unit, d, static_cast<int>(n_d - d < kN ? n_d - d : kN),
                       block);
#pragma GCC unroll 16
      for (int i = 0; i < kN; ++i) {
        store(out + (d + i) * kQueries<A> + v * kN, block[i] * set1(factor));
      }
    }
  }
}

/// Whole vectors that hold n elements.
template <class A>
SWATH_ALWAYS_INLINE int64_t padded(int64_t n) {
  return (n + kLanes<A> - 1) / kLanes<A> * kLanes<A>;
}

/// n rows of n_d elements, `pitch` apart, as rows of padded<A>(n_d).
template <class S, class A>
__attribute__((noinline)) void stage_rows(const S* from, int64_t pitch, int64_t unit, int64_t n,
                                          int64_t n_d, A* to) {
  const int64_t to_pitch = padded<A>(n_d);
  for (int64_t j = 0; j < n; ++j) widen_row(from + j * pitch, unit, to + j * to_pitch, n_d);
}

/// Means of `level` rows each, of the tokens from `first` on; the last one of fewer.
template <class S, class A>
__attribute__((noinline)) void stage_means(const S* base, const TokenArray& array, int64_t first,
                                           int64_t n_tokens, int64_t level, int64_t n_d, A* to) {
  const int64_t pitch = padded<A>(n_d);
  for (int64_t i = 0; i < n_tokens; i += level, to += pitch) {
    const int64_t n = n_tokens - i < level ? n_tokens - i : level;
    const A share = static_cast<A>(1) / static_cast<A>(n);
    for (int64_t d = 0; d < pitch; ++d) to[d] = 0;
    for (int64_t t = 0; t < n; ++t) {
      const S* row = base + array.at(first + i + t);
      for (int64_t d = 0; d < n_d; ++d) to[d] += to_acc(row[d * array.unit]);
    }
    for (int64_t d = 0; d < n_d; ++d) to[d] *= share;
  }
}

/// s[j][lane] += rows[lane][j step] for n keys.
template <class S, class A>
__attribute__((noinline)) void add_bias(const S* const* rows, int64_t step, int64_t n, A* s) {
  constexpr int kN = kLanes<A>;
  for (int v = 0; v < kRow; ++v) {
    for (int64_t j = 0; j < n; j += kN) {
      const int m = static_cast<int>(n - j < kN ? n - j : kN);
      Vec<A> block[kN];
      load_block<S, A>(rows + v * kN, step, j, m, block);
      for (int i = 0; i < m; ++i) {
        A* at = s + (j + i) * kQueries<A> + v * kN;
        store(at, load(at) + block[i]);
      }
    }
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
