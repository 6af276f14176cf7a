// y[j] = op over a few rows of vectors: the one inner loop of pooling. Included by *.isa.cc only.
#pragma once

#include "ops/pooling/problem.h"
#include "simd/vec.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// Longest run of sequential additions; longer sums are halved, so that rounding errors do not pile
/// up.
inline constexpr int64_t kSumRun = 128;

template <class A>
struct SumOp {
  static constexpr bool kIsSum = true;
  static constexpr A kIdentity = 0;
  __attribute__((always_inline)) Vec<A> operator()(Vec<A> a, Vec<A> b) const { return a + b; }
};
template <class A>
struct MaxOp {
  static constexpr bool kIsSum = false;
  static constexpr A kIdentity = -static_cast<A>(__builtin_inf());
  __attribute__((always_inline)) Vec<A> operator()(Vec<A> a, Vec<A> b) const {
    return max_nan(a, b);
  }
};
template <class A>
struct MinOp {
  static constexpr bool kIsSum = false;
  static constexpr A kIdentity = static_cast<A>(__builtin_inf());
  __attribute__((always_inline)) Vec<A> operator()(Vec<A> a, Vec<A> b) const {
    return min_nan(a, b);
  }
};

/// How the elements of a row are read: element j is offset(j) after element 0.
template <class T>
struct UnitLoad {
  using Element = T;
  using Acc = typename AccOf<T>::type;
  __attribute__((always_inline)) int64_t offset(int64_t j) const { return j; }
  __attribute__((always_inline)) Vec<Acc> get(const T* p) const { return load_as<Acc>(p); }
  __attribute__((always_inline)) Vec<Acc> get_n(const T* p, int n) const {
    return load_as_n<Acc>(p, n);
  }
};

/// Stride 2 in scratch memory, of which a few elements past the row may be read.
template <class A>
struct EvenLoad {
  using Element = A;
  using Acc = A;
  __attribute__((always_inline)) int64_t offset(int64_t j) const { return 2 * j; }
  __attribute__((always_inline)) Vec<A> get(const A* p) const { return load_stride2(p); }
  __attribute__((always_inline)) Vec<A> get_n(const A* p, int) const { return load_stride2(p); }
};

template <class T>
struct StridedLoad {
  using Element = T;
  using Acc = typename AccOf<T>::type;
  int64_t stride;
  __attribute__((always_inline)) int64_t offset(int64_t j) const { return j * stride; }
  __attribute__((always_inline)) Vec<Acc> get(const T* p) const { return get_n(p, kLanes<Acc>); }
  __attribute__((always_inline)) Vec<Acc> get_n(const T* p, int n) const {
    T gathered[kLanes<Acc>];
    for (int l = 0; l < n; ++l) gathered[l] = p[l * stride];
    return load_as_n<Acc>(gathered, n);
  }
};

/// The last lanes of a row, of which only n may be read.
template <class Load>
struct TailLoad {
  using Element = typename Load::Element;
  using Acc = typename Load::Acc;
  Load row;
  int n;
  __attribute__((always_inline)) int64_t offset(int64_t j) const { return row.offset(j); }
  __attribute__((always_inline)) Vec<Acc> get(const Element* p) const { return row.get_n(p, n); }
};

/// Rows to be folded into one: raw, raw + raw_step, ... (n_raw of them) and n_prev intermediate
/// rows. A fold makes n_rows rows; the sources and the result of the next row are row steps later.
template <class T, class A>
struct Terms {
  const T* raw = nullptr;
  int64_t raw_step = 0, n_raw = 0;
  const A* prev[kMaxPoolPrev];
  int n_prev = 0;
  int64_t n_rows = 1, raw_row_step = 0, prev_row_step = 0, row_step = 0;
  A divisor = 1;        // of sums
  A exact_inverse = 0;  // set by fold
};

/// acc[u] = op(acc[u], vector u of each of n rows).
template <class Op, int kVectors, class Load, class V>
SWATH_ALWAYS_INLINE void fold_run(Load row, const typename Load::Element* p, int64_t step,
                                  int64_t n, V (&acc)[kVectors]) {
  for (int64_t t = 0; t < n; ++t, p += step) {
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) {
      acc[u] = Op{}(acc[u], row.get(p + row.offset(u * kLanes<typename Load::Acc>)));
    }
  }
}

/// The sum of many rows, by halves. Not inlined: it calls itself.
template <class Op, int kVectors, class Load, class V>
__attribute__((noinline)) void fold_long(Load row, const typename Load::Element* p, int64_t step,
                                         int64_t n, V (&acc)[kVectors]) {
  if (n <= kSumRun) return fold_run<Op, kVectors>(row, p, step, n, acc);
  V rest[kVectors];
  for (V& r : rest) r = set1(Op::kIdentity);
  fold_long<Op, kVectors>(row, p, step, n / 2, acc);
  fold_long<Op, kVectors>(row, p + n / 2 * step, step, n - n / 2, rest);
  for (int u = 0; u < kVectors; ++u) acc[u] = Op{}(acc[u], rest[u]);
}

template <class Op, int kVectors, class Load, class V>
SWATH_ALWAYS_INLINE void fold_rows(Load row, const typename Load::Element* p, int64_t step,
                                   int64_t n, V (&acc)[kVectors]) {
#pragma GCC unroll 4
  for (int u = 0; u < kVectors; ++u) acc[u] = set1(Op::kIdentity);
  if (Op::kIsSum && n > kSumRun) {
    V total[kVectors];  // its address is taken, which would keep acc out of registers
    for (V& a : total) a = set1(Op::kIdentity);
    fold_long<Op, kVectors>(row, p, step, n, total);
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) acc[u] = total[u];
  } else {
    fold_run<Op, kVectors>(row, p, step, n, acc);
  }
}

template <class Op, int kVectors, class RawLoad, class PrevLoad, class A>
SWATH_ALWAYS_INLINE void fold_terms(const Terms<typename RawLoad::Element, A>& terms, RawLoad raw,
                                    PrevLoad prev, int64_t raw_at, int64_t prev_at,
                                    Vec<A> (&acc)[kVectors]) {
  fold_rows<Op, kVectors>(raw, terms.raw + raw_at, terms.raw_step, terms.n_raw, acc);
  for (int t = 0; t < terms.n_prev; ++t) {
    fold_run<Op, kVectors>(prev, terms.prev[t] + prev_at, 0, 1, acc);
  }
  if (!Op::kIsSum || terms.divisor == 1) return;
  if (terms.exact_inverse != 0) {
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) acc[u] *= set1(terms.exact_inverse);
    return;
  }
#pragma GCC unroll 4
  for (int u = 0; u < kVectors; ++u) acc[u] /= set1(terms.divisor);
}

/// 1 / divisor where products with it are the same as quotients, else 0: a division costs as much
/// as the sum of a 3 x 3 window.
template <class A>
SWATH_ALWAYS_INLINE A exact_inverse_of(A divisor) {
  for (A power = 1; power <= 65536; power *= 2) {
    if (power == divisor) return 1 / divisor;
  }
  return 0;
}

/// to[j] = op over all rows of `source`, for j in [0, len). `to` may be a row that is read from its
/// own start on.
template <class Op, class RawLoad, class PrevLoad, class A>
__attribute__((noinline)) void fold(const Terms<typename RawLoad::Element, A>& source, RawLoad raw,
                                    PrevLoad prev, A* to, int64_t len) {
  constexpr int kLane = kLanes<A>;
  constexpr int kVectors = std::is_same_v<RawLoad, StridedLoad<typename RawLoad::Element>> ? 1 : 4;
  const int n_tail = static_cast<int>(len % kLane);
  Terms<typename RawLoad::Element, A> terms = source;  // what no store can change
  if (Op::kIsSum && terms.divisor != 1) terms.exact_inverse = exact_inverse_of(terms.divisor);
  int64_t raw_row = 0, prev_row = 0;
  for (int64_t row = 0; row < terms.n_rows; ++row, to += terms.row_step) {
    int64_t j = 0;
    for (; kVectors > 1 && j + kVectors * kLane <= len; j += kVectors * kLane) {
      Vec<A> acc[kVectors];
      fold_terms<Op>(terms, raw, prev, raw_row + raw.offset(j), prev_row + prev.offset(j), acc);
#pragma GCC unroll 4
      for (int u = 0; u < kVectors; ++u) store(to + j + u * kLane, acc[u]);
    }
    Vec<A> acc[1];
    for (; j + kLane <= len; j += kLane) {
      fold_terms<Op>(terms, raw, prev, raw_row + raw.offset(j), prev_row + prev.offset(j), acc);
      store(to + j, acc[0]);
    }
    if (n_tail > 0) {
      fold_terms<Op>(terms, TailLoad<RawLoad>{raw, n_tail}, TailLoad<PrevLoad>{prev, n_tail},
                     raw_row + raw.offset(j), prev_row + prev.offset(j), acc);
      store_n(to + j, acc[0], n_tail);
    }
    raw_row += terms.raw_row_step;
    prev_row += terms.prev_row_step;
  }
}

/// The same for one row of many: a few at a time, so that memory is read in few streams.
template <class Op, class RawLoad, class A>
__attribute__((noinline)) void fold_many(Terms<typename RawLoad::Element, A> terms, RawLoad raw,
                                         A* to, int64_t len) {
  constexpr int64_t kStreams = 16;
  const A divisor = terms.divisor;
  terms.divisor = 1;
  for (int64_t rest = terms.n_raw; rest > 0; rest -= kStreams) {
    terms.n_raw = rest < kStreams ? rest : kStreams;
    if (rest <= kStreams) terms.divisor = divisor;
    fold<Op>(terms, raw, UnitLoad<A>{}, to, len);
    terms.raw += kStreams * terms.raw_step;
    terms.prev[0] = to;
    terms.n_prev = 1;
  }
}

/// op over n contiguous elements in scratch memory, of which a vector past the end may be read.
template <class Op, class A>
SWATH_ALWAYS_INLINE A fold_lanes(const A* p, int64_t n) {
  constexpr int kLane = kLanes<A>;
  Vec<A> acc[1];
  const int64_t n_full = n / kLane;
  fold_rows<Op, 1>(UnitLoad<A>{}, p, kLane, n_full, acc);
  const auto is_inside = iota<Bits<A>>() < set1(static_cast<Bits<A>>(n - n_full * kLane));
  const Vec<A> tail = select(is_inside, load(p + n_full * kLane), set1(Op::kIdentity));
  return reduce<kLane / 2>(Op{}(acc[0], tail), Op{});
}

/// y[j stride] = row[j], divided by divisor counts[j] if there are counts.
template <class S, class A>
__attribute__((noinline)) void write_row(const A* row, S* y, int64_t stride, A divisor,
                                         const A* counts, int64_t len) {
  const auto value = [=](int64_t j, int n) __attribute__((always_inline)) {
    const Vec<A> v = load_n(row + j, n);
    return counts == nullptr ? v : v / (load_n(counts + j, n) * set1(divisor));
  };
  constexpr int kLane = kLanes<A>;
  int64_t j = 0;
  if (stride == 1) {
    for (; j + kLane <= len; j += kLane) store_as(y + j, value(j, kLane));
    if (j < len) store_as_n(y + j, value(j, static_cast<int>(len - j)), static_cast<int>(len - j));
    return;
  }
  for (; j < len; j += kLane) {
    const int n = static_cast<int>(len - j < kLane ? len - j : kLane);
    S packed[kLane];
    store_as(packed, value(j, n));
    for (int l = 0; l < n; ++l) y[(j + l) * stride] = packed[l];
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
