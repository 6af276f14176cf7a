// Logits of a piece of keys: a small matrix product with the queries of the tile as lanes.
// Included by *.isa.cc only.
#pragma once

#include "ops/attention/problem.h"
#include "simd/math.h"

namespace swath::SWATH_ISA {
namespace {

/// A row of scores is 64 bytes: the queries of a tile.
inline constexpr int kRowBytes = 64;
template <class A>
constexpr int kQueries = kRowBytes / static_cast<int>(sizeof(A));
/// Vectors in a row.
inline constexpr int kRow = kRowBytes / kVecBytes;

/// Keys at a time: as many accumulators as the registers hold.
#if defined(__AVX512F__)
inline constexpr int kMaxKeys = 12;
#elif defined(__AVX2__) || defined(__aarch64__)
inline constexpr int kMaxKeys = 6;
#else
inline constexpr int kMaxKeys = 3;
#endif

/// s[j][lane] = (adds ? s[j][lane] : 0) + sum_d k[j pitch + d] q[d][lane] for kN keys.
template <int kN, class A>
void score_block(const A* q, const A* k, int64_t pitch, int64_t n_d, bool adds, A* s) {
  Vec<A> sum[kN][kRow];
  const A* row[kN];
#pragma GCC unroll 16
  for (int j = 0; j < kN; ++j) {
    row[j] = k + j * pitch;
#pragma GCC unroll 4
    for (int v = 0; v < kRow; ++v) sum[j][v] = zero<A>();
  }
  int64_t d = 0;
  const auto step = [&](int64_t at, const A* lanes) __attribute__((always_inline)) {
    Vec<A> query[kRow];
#pragma GCC unroll 4
    for (int v = 0; v < kRow; ++v) query[v] = load(lanes + v * kLanes<A>);
#pragma GCC unroll 16
    for (int j = 0; j < kN; ++j) {
      const Vec<A> key = set1(row[j][at]);
#pragma GCC unroll 4
      for (int v = 0; v < kRow; ++v) sum[j][v] = mul_add(key, query[v], sum[j][v]);
    }
  };
  // Two at a time halves the loads of row pointers that are not in registers.
  for (; d + 2 <= n_d; d += 2) {
    step(d, q + d * kQueries<A>);
    step(d + 1, q + (d + 1) * kQueries<A>);
  }
  if (d < n_d) step(d, q + d * kQueries<A>);
#pragma GCC unroll 16
  for (int j = 0; j < kN; ++j) {
#pragma GCC unroll 4
    for (int v = 0; v < kRow; ++v) {
      A* at = s + j * kQueries<A> + v * kLanes<A>;
      store(at, adds ? load(at) + sum[j][v] : sum[j][v]);
    }
  }
}

template <class A>
using ScoreFn = void (*)(const A*, const A*, int64_t, int64_t, bool, A*);

template <class A, int... I>
constexpr ScoreFn<A> pick_score(int n, std::integer_sequence<int, I...>) {
  ScoreFn<A> found = nullptr;
  ((found = n == I + 1 ? score_block<I + 1, A> : found), ...);
  return found;
}

/// n keys, in blocks of nearly equal size.
template <class A>
__attribute__((noinline)) void score_keys(const A* q, const A* k, int64_t pitch, int64_t n_d,
                                          bool adds, A* s, int64_t n) {
  int64_t n_blocks = (n + kMaxKeys - 1) / kMaxKeys;
  while (n > 0) {
    const int64_t m = (n + n_blocks - 1) / n_blocks;
    pick_score<A>(static_cast<int>(m), std::make_integer_sequence<int, kMaxKeys>{})(q, k, pitch,
                                                                                    n_d, adds, s);
    k += m * pitch;
    s += m * kQueries<A>;
    n -= m;
    --n_blocks;
  }
}

/// All ones in lanes whose bit is set; vector v of a row.
template <class A>
SWATH_ALWAYS_INLINE Vec<Bits<A>> bits_mask(uint32_t bits, int v) {
  using B = Bits<A>;
  const auto lane = set1<B>(1) << (iota<B>() + set1(static_cast<B>(v * kLanes<A>)));
  return (set1(static_cast<B>(bits)) & lane) == lane;
}

/// exp(x) for x <= 0, and 0 at -inf. Weights below the normal numbers may be 0.
template <class V>
SWATH_ALWAYS_INLINE V exp_nonpositive(V x) {
#if defined(__AVX512F__)
  return exp_value(exp_parts(at_least(x, Table<V>::kExpMin)));
#else
  constexpr Elem<V> kLow = sizeof(Elem<V>) == 4 ? -87.0 : -708.0;
  const V y = exp_value_normal(exp_parts(at_least(x, kLow)));
  return select(x < splat<V>(kLow), zero<Elem<V>>(), y);  // NaN survives
#endif
}

}  // namespace
}  // namespace swath::SWATH_ISA
