// A worker's matrices and how tokens get into them. Included by *.isa.cc only.
#pragma once

#include "ops/common/carver.h"
#include "ops/common/rows.h"
#include "ops/linear_attention/problem.h"
#include "ops/linear_attention/product.h"
#include "simd/math.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Tokens that pass at a time: their scores fit the first-level cache.
inline constexpr int64_t kChunk = 64;

template <class A>
SWATH_ALWAYS_INLINE constexpr int64_t whole(int64_t n) {
  return (n + kLanes<A> - 1) / kLanes<A> * kLanes<A>;
}
template <class A>
SWATH_ALWAYS_INLINE void clear(A* p, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<A>) store(p + i, zero<A>());
}

/// A sum of outer products of tokens, in runs of 512 tokens.
template <class A>
struct State {
  A *total = nullptr, *part = nullptr, *sum = nullptr;
  int64_t n = 0, n_added = 0;

  void take(Carver& carver, int64_t n_elements) {
    n = n_elements;
    for (A** m : {&total, &part, &sum}) *m = carver.take<A>(n);
  }
  void reset() {
    n_added = 0;
    for (A* m : {total, part, sum}) clear(m, n);
  }
  /// Call after at most kChunk tokens were added to `part`.
  void added(int64_t n_tokens) {
    n_added += n_tokens;
    if (n_added + kChunk <= kSumRun) return;
    n_added = 0;
    for (int64_t i = 0; i < n; i += kLanes<A>) {
      store(total + i, load(total + i) + load(part + i));
      store(part + i, zero<A>());
    }
  }
  const A* value() {
    for (int64_t i = 0; i < n; i += kLanes<A>) store(sum + i, load(total + i) + load(part + i));
    return sum;
  }
};

/// Rows first .. first + n of an array, `columns` channels of it from `channel` on, as accumulators
/// times `factor`; the rest of the last vector of a row is 0.
template <class A, class S>
SWATH_ALWAYS_INLINE void load_rows(const HeadArray& array, const S* base, int64_t first, int64_t n,
                                   int64_t channel, int64_t columns, A factor, A* to,
                                   int64_t to_row) {
  for (int64_t i = 0; i < n; ++i) {
    const S* from = base + array.rows.at(first + i) + channel * array.step;
    A* row = to + i * to_row;
    if (array.step != 1) store(row + to_row - kLanes<A>, zero<A>());
    widen_row(from, array.step, row, columns);
    if (factor == 1) continue;
    for (int64_t j = 0; j < to_row; j += kLanes<A>) store(row + j, load(row + j) * set1(factor));
  }
}
template <class A, class S>
SWATH_ALWAYS_INLINE void store_rows(const A* from, int64_t from_row, const HeadArray& array,
                                    S* base, int64_t first, int64_t n, int64_t channel,
                                    int64_t columns) {
  for (int64_t i = 0; i < n; ++i) {
    narrow_row(from + i * from_row, base + array.rows.at(first + i) + channel * array.step,
               array.step, columns);
  }
}

/// to[j][i] = from[i][j]; the last vectors of a row are filled with 0.
template <class A>
SWATH_ALWAYS_INLINE void transpose(const A* from, int64_t from_row, int64_t n_rows,
                                   int64_t n_columns, A* to, int64_t to_row) {
  for (int64_t j = 0; j < n_columns; ++j) {
    store(to + j * to_row + whole<A>(n_rows) - kLanes<A>, zero<A>());
    for (int64_t i = 0; i < n_rows; ++i) to[j * to_row + i] = from[i * from_row + j];
  }
}

/// Softmax of k along the tokens, channel by channel: maxima and the inverse of the sums.
template <class A, class S>
class KeyNorm {
 public:
  KeyNorm(const LinearAttentionProblem& p, Carver& carver) : p_(p), width_(whole<A>(p.n_d)) {
    for (A** row : {&most_, &inverse_, &part_, &row_}) *row = carver.take<A>(width_);
  }

  void prepare(const S* k) {
    if (!p_.has_softmax || p_.n_k == 0) return;
    load_rows<A>(p_.k, k, 0, 1, 0, p_.n_d, A{1}, most_, width_);
    for (int64_t i = 1; i < p_.n_k; ++i) {
      load_rows<A>(p_.k, k, i, 1, 0, p_.n_d, A{1}, row_, width_);
      for (int64_t j = 0; j < width_; j += kLanes<A>) {
        store(most_ + j, max_nan(load(most_ + j), load(row_ + j)));
      }
    }
    clear(inverse_, width_);
    clear(part_, width_);
    for (int64_t i = 0; i < p_.n_k; ++i) {
      load_rows<A>(p_.k, k, i, 1, 0, p_.n_d, A{1}, row_, width_);
      const bool is_end = (i + 1) % kSumRun == 0 || i + 1 == p_.n_k;
      for (int64_t j = 0; j < width_; j += kLanes<A>) {
        const Vec<A> sum = load(part_ + j) + exp(load(row_ + j) - load(most_ + j));
        store(part_ + j, is_end ? zero<A>() : sum);
        if (is_end) store(inverse_ + j, load(inverse_ + j) + sum);
      }
    }
    for (int64_t j = 0; j < width_; j += kLanes<A>) {
      store(inverse_ + j, set1<A>(1) / load(inverse_ + j));
    }
  }

  /// Normed keys; beyond the channels they are 0.
  void load_keys(const S* k, int64_t first, int64_t n, A* to) const {
    load_rows<A>(p_.k, k, first, n, 0, p_.n_d, A{1}, to, width_);
    if (!p_.has_softmax) return;
    for (int64_t i = 0; i < n; ++i) {
      A* row = to + i * width_;
      for (int64_t j = 0; j < width_; j += kLanes<A>) {
        store(row + j, exp(load(row + j) - load(most_ + j)) * load(inverse_ + j));
      }
      for (int64_t j = p_.n_d; j < width_; ++j) row[j] = 0;
    }
  }

 private:
  const LinearAttentionProblem& p_;
  int64_t width_;
  A *most_ = nullptr, *inverse_ = nullptr, *part_ = nullptr, *row_ = nullptr;
};

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
