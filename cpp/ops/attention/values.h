// Weighted sums of value rows: vectors lie along D. Included by *.isa.cc only.
#pragma once

#include "ops/attention/scores.h"

namespace swath::SWATH_ISA {
namespace {

/// Queries whose sums are kept in registers together; groups that see none of a piece skip it.
inline constexpr int kGroup = 4;
/// Vectors along D of one pass.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kValueVecs = 4;
#else
inline constexpr int kValueVecs = 2;
#endif

/// Keys at one stride whose weights stand side by side.
template <class A>
struct Piece {
  const A* v;
  int64_t pitch;
  int64_t score;  // row of its first key
  int64_t n;
  uint32_t lanes;
};

/// o = o alpha + sum, or sum if alpha is null: the sum of a chunk is complete before it is added,
/// so that none is a chain of more terms.
template <class A>
SWATH_ALWAYS_INLINE void put_sum(A* o, Vec<A> sum, const A* alpha) {
  store(o, alpha == nullptr ? sum : mul_add(load(o), set1(*alpha), sum));
}

/// o[q][...] = o[q][...] alpha[q] + sum over the pieces' keys of p[key][q] v[key][...] for kGroup
/// queries; o = the sum alone if alpha is null.
template <int kVecs, int kGroup, class A>
void value_block(const Piece<A>* pieces, int n_pieces, const A* p, int64_t at, uint32_t group, A* o,
                 int64_t o_pitch, const A* alpha) {
  Vec<A> sum[kGroup][kVecs];
#pragma GCC unroll 4
  for (int i = 0; i < kGroup; ++i) {
#pragma GCC unroll 4
    for (int c = 0; c < kVecs; ++c) sum[i][c] = zero<A>();
  }
  for (int piece = 0; piece < n_pieces; ++piece) {
    if ((pieces[piece].lanes & group) == 0) continue;
    const A* v = pieces[piece].v + at;
    const A* weight = p + pieces[piece].score * kQueries<A>;
    const int64_t pitch = pieces[piece].pitch;
    for (int64_t n = pieces[piece].n; n > 0; --n, v += pitch, weight += kQueries<A>) {
      Vec<A> row[kVecs];
#pragma GCC unroll 4
      for (int c = 0; c < kVecs; ++c) row[c] = load(v + c * kLanes<A>);
#pragma GCC unroll 4
      for (int i = 0; i < kGroup; ++i) {
        const Vec<A> w = set1(weight[i]);
#pragma GCC unroll 4
        for (int c = 0; c < kVecs; ++c) sum[i][c] = mul_add(w, row[c], sum[i][c]);
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kGroup; ++i) {
#pragma GCC unroll 4
    for (int c = 0; c < kVecs; ++c) {
      put_sum(o + i * o_pitch + c * kLanes<A>, sum[i][c], alpha == nullptr ? nullptr : alpha + i);
    }
  }
}

template <class A>
using ValueFn = void (*)(const Piece<A>*, int, const A*, int64_t, uint32_t, A*, int64_t, const A*);

template <int kGroup, class A, int... I>
constexpr ValueFn<A> pick_value(int n, std::integer_sequence<int, I...>) {
  ValueFn<A> found = nullptr;
  ((found = n == I + 1 ? value_block<I + 1, kGroup, A> : found), ...);
  return found;
}

/// All queries of a tile, `d` a whole number of vectors.
template <int kGroup, class A>
SWATH_ALWAYS_INLINE void add_groups(const Piece<A>* pieces, int n_pieces, const A* p, int n_queries,
                                    int64_t d, A* o, const A* alpha) {
  for (int q = 0; q < n_queries; q += kGroup) {
    int64_t n_vecs = d / kLanes<A>;
    int64_t n_passes = (n_vecs + kValueVecs - 1) / kValueVecs;
    for (int64_t at = 0; n_vecs > 0; --n_passes) {
      const int64_t m = (n_vecs + n_passes - 1) / n_passes;
      pick_value<kGroup, A>(static_cast<int>(m), std::make_integer_sequence<int, kValueVecs>{})(
          pieces, n_pieces, p + q, at, ((1u << kGroup) - 1) << q, o + q * d + at, d,
          alpha == nullptr ? nullptr : alpha + q);
      at += m * kLanes<A>;
      n_vecs -= m;
    }
  }
}

template <class A>
__attribute__((noinline)) void add_values(const Piece<A>* pieces, int n_pieces, const A* p,
                                          int n_queries, int64_t d, A* o, const A* alpha) {
  if (n_queries == 1) {
    add_groups<1>(pieces, n_pieces, p, 1, d, o, alpha);
  } else {
    add_groups<kGroup>(pieces, n_pieces, p, n_queries, d, o, alpha);
  }
}

/// The same for values that may be NaN or infinite: a key of weight 0 is not touched.
template <class A>
__attribute__((noinline)) void add_values_carefully(const Piece<A>* pieces, int n_pieces,
                                                    const A* p, int n_queries, int64_t d, A* o,
                                                    const A* alpha) {
  for (int q = 0; q < n_queries; ++q) {
    for (int64_t c = 0; c < d; c += kLanes<A>) {
      Vec<A> sum = zero<A>();
      for (int piece = 0; piece < n_pieces; ++piece) {
        for (int64_t j = 0; j < pieces[piece].n; ++j) {
          const A weight = p[(pieces[piece].score + j) * kQueries<A> + q];
          if (weight == 0) continue;
          sum = mul_add(set1(weight), load(pieces[piece].v + j * pieces[piece].pitch + c), sum);
        }
      }
      put_sum(o + q * d + c, sum, alpha == nullptr ? nullptr : alpha + q);
    }
  }
}

}  // namespace
}  // namespace swath::SWATH_ISA
