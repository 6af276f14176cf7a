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
