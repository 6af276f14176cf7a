// x86-64 baseline (SSE2, no FMA, no F16C) part of simd/vec.h; included by it only.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

using F32 = Vec<float>;
using F64 = Vec<double>;

SWATH_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return a * b + c; }
SWATH_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return a * b + c; }
SWATH_ALWAYS_INLINE F32 sqrt(F32 x) { return _mm_sqrt_ps(x); }
SWATH_ALWAYS_INLINE F64 sqrt(F64 x) { return _mm_sqrt_pd(x); }

/// a < b ? a : b and a > b ? a : b, so b when either is NaN.
SWATH_ALWAYS_INLINE F32 min_or_second(F32 a, F32 b) { return _mm_min_ps(a, b); }
SWATH_ALWAYS_INLINE F64 min_or_second(F64 a, F64 b) { return _mm_min_pd(a, b); }
SWATH_ALWAYS_INLINE F32 max_or_second(F32 a, F32 b) { return _mm_max_ps(a, b); }
SWATH_ALWAYS_INLINE F64 max_or_second(F64 a, F64 b) { return _mm_max_pd(a, b); }

/// NaN when either is NaN.
template <class V>
SWATH_ALWAYS_INLINE V min_nan(V a, V b) {
  return select(a == a, min_or_second(a, b), a);
}
template <class V>
SWATH_ALWAYS_INLINE V max_nan(V a, V b) {
  return select(a == a, max_or_second(a, b), a);
}

/// Reads p[0, n), 0 <= n <= lanes; the other lanes are 0.
template <class T>
SWATH_ALWAYS_INLINE Vec<T> load_n(const T* p, int n) {
  alignas(kVecBytes) T buffer[kLanes<T>] = {};
  copy_n<kLanes<T>>(buffer, p, n);
  return load(buffer);
}
template <class T>
SWATH_ALWAYS_INLINE void store_n(T* p, Vec<T> v, int n) {
  alignas(kVecBytes) T buffer[kLanes<T>];
  store(buffer, v);
  copy_n<kLanes<T>>(p, buffer, n);
}

/// Four 16-bit lanes in the lower half of a register.
using Half = __m128i;

SWATH_ALWAYS_INLINE Half load_half(const uint16_t* p) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
}
SWATH_ALWAYS_INLINE Half load_half_n(const uint16_t* p, int n) {
  alignas(8) uint16_t buffer[4] = {};
  copy_n<4>(buffer, p, n);
  return load_half(buffer);
}
SWATH_ALWAYS_INLINE void store_half(uint16_t* p, Half h) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), h);
}
SWATH_ALWAYS_INLINE void store_half_n(uint16_t* p, Half h, int n) {
  alignas(8) uint16_t buffer[4];
  store_half(buffer, h);
  copy_n<4>(p, buffer, n);
}
/// Lane 0 from and to a scalar.
SWATH_ALWAYS_INLINE Half set_half(uint16_t bits) { return _mm_cvtsi32_si128(bits); }
SWATH_ALWAYS_INLINE uint16_t first_half(Half h) {
  return static_cast<uint16_t>(_mm_cvtsi128_si32(h));
}
SWATH_ALWAYS_INLINE Vec<uint32_t> widen_u16(Half h) {
  return bit_cast<uint32_t>(_mm_unpacklo_epi16(h, _mm_setzero_si128()));
}
/// Every lane is below 2^16. SSE2 only packs with signed saturation, which sign extension avoids.
SWATH_ALWAYS_INLINE Half narrow_u32(Vec<uint32_t> v) {
  const auto wide = reinterpret_cast<__m128i>(bit_cast<int32_t>(v << 16) >> 16);
  return _mm_packs_epi32(wide, wide);
}

SWATH_ALWAYS_INLINE F32 widen_f16(Half h) {
  const auto bits = bit_cast<int32_t>(widen_u16(h));
  const auto sign = (bits & 0x8000) << 16;
  const auto magnitude = (bits & 0x7fff) << 13;  // exponent and mantissa at the float's places
  const auto normal = magnitude + ((127 - 15) << 23);
  // A subnormal is its mantissa over 2^24: put below an exponent of -14 it is off by that one.
  const auto subnormal = bit_cast<float>(magnitude + ((127 - 14) << 23)) - set1(0x1p-14f);
  const auto quiet = (magnitude > (0x7c00 << 13)) & 0x400000;
  const auto special = magnitude | 0x7f800000 | quiet;
  const auto finite = select(magnitude < (0x400 << 13), bit_cast<int32_t>(subnormal), normal);
  return bit_cast<float>(select(magnitude >= (0x7c00 << 13), special, finite) | sign);
}

SWATH_ALWAYS_INLINE Half narrow_f16(F32 v) {
  const auto bits = bit_cast<int32_t>(v);
  const auto magnitude = bits & 0x7fffffff;
  // Round to nearest even on the 13 lost bits; the carry may run into the exponent, up to infinity.
  // Unsigned, since lanes that are not selected below may wrap.
  const auto wide = bit_cast<uint32_t>(magnitude);
  const auto normal =
      bit_cast<int32_t>((wide - ((127u - 15) << 23) + 0xfffu + ((wide >> 13) & 1u)) >> 13);
  // Adding 0.5 aligns the last place to 2^-24, so that the addition itself rounds.
  const auto subnormal =
      bit_cast<int32_t>(bit_cast<uint32_t>(bit_cast<float>(magnitude) + set1(0.5f)) - (126u << 23));
  const auto nan = ((magnitude >> 13) & 0x3ff) | 0x7e00;
  const auto special = select(magnitude > 0x7f800000, nan, set1<int32_t>(0x7c00));
  const auto finite = select(magnitude < (113 << 23), subnormal, normal);
  const auto rounded = select(magnitude >= (143 << 23), special, finite);  // from 2^16
  return narrow_u32(bit_cast<uint32_t>(rounded | ((bits >> 16) & 0x8000)));
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
