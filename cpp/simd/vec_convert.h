// Loads and stores that convert between a storage type and the accumulation type.
// Included by simd/vec.h only.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

/// Type in which sums of the storage type S are kept.
template <class S>
struct AccOf {
  using type = float;
};
template <>
struct AccOf<double> {
  using type = double;
};

/// Conversions of whole registers; Half (per cluster) holds kLanes<float> 16-bit lanes.
SWATH_ALWAYS_INLINE Vec<float> widen(Half h, f16) { return widen_f16(h); }
SWATH_ALWAYS_INLINE Vec<float> widen(Half h, bf16) { return bit_cast<float>(widen_u16(h) << 16); }

SWATH_ALWAYS_INLINE Half narrow(Vec<float> v, f16) { return narrow_f16(v); }
/// Round to nearest even; the carry out of the mantissa makes the overflow to infinity.
SWATH_ALWAYS_INLINE Half narrow(Vec<float> v, bf16) {
  const auto bits = bit_cast<uint32_t>(v);
  const auto rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  // The same addition would turn some NaNs into infinity or zero; they only get the quiet bit.
  return narrow_u32(select(v == v, rounded, bits | 0x400000u) >> 16);
}

template <class Acc, class S>
SWATH_ALWAYS_INLINE Vec<Acc> load_as(const S* p) {
  if constexpr (sizeof(S) == 2) {
    return widen(load_half(&p->bits), S{});
  } else {
    return load(p);
  }
}
/// Reads p[0, n), 0 <= n <= lanes; the other lanes are 0.
template <class Acc, class S>
SWATH_ALWAYS_INLINE Vec<Acc> load_as_n(const S* p, int n) {
  if constexpr (sizeof(S) == 2) {
    return widen(load_half_n(reinterpret_cast<const uint16_t*>(p), n), S{});
  } else {
    return load_n(p, n);
  }
}
template <class S, class V>
SWATH_ALWAYS_INLINE void store_as(S* p, V v) {
  if constexpr (sizeof(S) == 2) {
    store_half(&p->bits, narrow(v, S{}));
  } else {
    store(p, v);
  }
}
/// Writes p[0, n), 0 <= n <= lanes.
template <class S, class V>
SWATH_ALWAYS_INLINE void store_as_n(S* p, V v, int n) {
  if constexpr (sizeof(S) == 2) {
    store_half_n(reinterpret_cast<uint16_t*>(p), narrow(v, S{}), n);
  } else {
    store_n(p, v, n);
  }
}

/// One element; same rounding as the vector forms, since it is lane 0 of them.
template <class S>
SWATH_ALWAYS_INLINE typename AccOf<S>::type to_acc(S x) {
  if constexpr (sizeof(S) == 2) {
    return widen(set_half(x.bits), S{})[0];
  } else {
    return x;
  }
}
template <class S>
SWATH_ALWAYS_INLINE S from_acc(typename AccOf<S>::type x) {
  if constexpr (sizeof(S) == 2) {
    return S{first_half(narrow(set1(x), S{}))};
  } else {
    return x;
  }
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
