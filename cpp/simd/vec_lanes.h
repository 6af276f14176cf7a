// Operations across lanes: reductions and strided loads. Included by simd/vec.h only.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

/// Swaps each lane with its partner at distance kDistance (a power of two).
template <int kDistance, class V, int... I>
SWATH_ALWAYS_INLINE V swap_lanes(V v, std::integer_sequence<int, I...>) {
  return shuffle(v, v, std::integer_sequence<int, (I ^ kDistance)...>{});
}

/// Halving tree: lane i meets i + kDistance, then the lower half meets itself. The order is fixed.
template <int kDistance, class V, class Op>
SWATH_ALWAYS_INLINE Elem<V> reduce(V v, Op op) {
  if constexpr (kDistance == 0) {
    return v[0];
  } else {
    const V partner = swap_lanes<kDistance>(v, LaneIndices<Elem<V>>{});
    return reduce<kDistance / 2>(op(v, partner), op);
  }
}

struct AddOp {
  template <class V>
  __attribute__((always_inline)) V operator()(V a, V b) const {
    return a + b;
  }
};
struct MaxNanOp {
  template <class V>
  __attribute__((always_inline)) V operator()(V a, V b) const {
    return max_nan(a, b);
  }
};

template <class V>
SWATH_ALWAYS_INLINE Elem<V> reduce_add(V v) {
  return reduce<kLanes<Elem<V>> / 2>(v, AddOp{});
}
/// NaN if any lane is NaN.
template <class V>
SWATH_ALWAYS_INLINE Elem<V> reduce_max_nan(V v) {
  return reduce<kLanes<Elem<V>> / 2>(v, MaxNanOp{});
}

template <int kOffset, class V, int... I>
SWATH_ALWAYS_INLINE V unzip_lanes(V a, V b, std::integer_sequence<int, I...>) {
  return shuffle(a, b, std::integer_sequence<int, (2 * I + kOffset)...>{});
}
/// Lanes kOffset, kOffset + 2, ... of a and b together; kOffset 0 or 1.
template <int kOffset, class V>
SWATH_ALWAYS_INLINE V unzip(V a, V b) {
  return unzip_lanes<kOffset>(a, b, LaneIndices<Elem<V>>{});
}

template <int kHalf, class V, int... I>
SWATH_ALWAYS_INLINE V zip_lanes(V a, V b, std::integer_sequence<int, I...>) {
  constexpr int kN = kLanes<Elem<V>>;
  return shuffle(a, b,
                 std::integer_sequence<int, (kHalf * kN / 2 + I / 2 + (I % 2 ? kN : 0))...>{});
}
/// Lanes of a and b in turn: the first (kHalf 0) or the second half of them.
template <int kHalf, class V>
SWATH_ALWAYS_INLINE V zip(V a, V b) {
  return zip_lanes<kHalf>(a, b, LaneIndices<Elem<V>>{});
}

template <class T, int... I>
SWATH_ALWAYS_INLINE Vec<T> load_stride2_lanes(const T* p, std::integer_sequence<int, I...>) {
  constexpr int kN = kLanes<T>;
  // The second load starts one element early and gives its odd lanes: p[2 kN - 1] is not touched.
  return shuffle(load(p), load(p + kN - 1),
                 std::integer_sequence<int, (2 * I < kN ? 2 * I : 2 * I + 1)...>{});
}
/// p[0], p[2], p[4], ...; reads p[0, 2 lanes - 1).
template <class T>
SWATH_ALWAYS_INLINE Vec<T> load_stride2(const T* p) {
  return load_stride2_lanes(p, LaneIndices<T>{});
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
