// AVX-512 (F, BW, DQ, VL) part of simd/vec.h; included by it only.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

using F32 = Vec<float>;
using F64 = Vec<double>;

SWATH_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
SWATH_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return _mm512_fmadd_pd(a, b, c); }
SWATH_ALWAYS_INLINE F32 sqrt(F32 x) { return _mm512_sqrt_ps(x); }
SWATH_ALWAYS_INLINE F64 sqrt(F64 x) { return _mm512_sqrt_pd(x); }

/// a < b ? a : b and a > b ? a : b, so b when either is NaN.
SWATH_ALWAYS_INLINE F32 min_or_second(F32 a, F32 b) { return _mm512_min_ps(a, b); }
SWATH_ALWAYS_INLINE F64 min_or_second(F64 a, F64 b) { return _mm512_min_pd(a, b); }
SWATH_ALWAYS_INLINE F32 max_or_second(F32 a, F32 b) { return _mm512_max_ps(a, b); }
SWATH_ALWAYS_INLINE F64 max_or_second(F64 a, F64 b) { return _mm512_max_pd(a, b); }

/// NaN when either is NaN.
template <class V>
SWATH_ALWAYS_INLINE V min_nan(V a, V b) {
  return select(a == a, min_or_second(a, b), a);
}
template <class V>
SWATH_ALWAYS_INLINE V max_nan(V a, V b) {
  return select(a == a, max_or_second(a, b), a);
}

/// x 2^n for integral n, also where the result is subnormal or 2^n is out of range.
SWATH_ALWAYS_INLINE F32 mul_pow2(F32 x, F32 n) { return _mm512_scalef_ps(x, n); }
SWATH_ALWAYS_INLINE F64 mul_pow2(F64 x, F64 n) { return _mm512_scalef_pd(x, n); }

/// The n lowest bits, n <= 16 (one shift and one subtraction, no branch).
SWATH_ALWAYS_INLINE uint32_t first_lanes(int n) { return (1u << n) - 1u; }

/// Reads p[0, n), 0 <= n <= lanes; the other lanes are 0 and masked-out memory is not touched.
template <class T>
SWATH_ALWAYS_INLINE Vec<T> load_n(const T* p, int n) {
  if constexpr (sizeof(T) == 4) {
    return bit_cast<T>(_mm512_maskz_loadu_epi32(static_cast<__mmask16>(first_lanes(n)), p));
  } else {
    return bit_cast<T>(_mm512_maskz_loadu_epi64(static_cast<__mmask8>(first_lanes(n)), p));
  }
}
template <class T>
SWATH_ALWAYS_INLINE void store_n(T* p, Vec<T> v, int n) {
  const auto bits = reinterpret_cast<__m512i>(v);
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_epi32(p, static_cast<__mmask16>(first_lanes(n)), bits);
  } else {
    _mm512_mask_storeu_epi64(p, static_cast<__mmask8>(first_lanes(n)), bits);
  }
}

/// Sixteen 16-bit lanes.
using Half = __m256i;

SWATH_ALWAYS_INLINE Half load_half(const uint16_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
SWATH_ALWAYS_INLINE Half load_half_n(const uint16_t* p, int n) {
  return _mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_lanes(n)), p);
}
SWATH_ALWAYS_INLINE void store_half(uint16_t* p, Half h) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), h);
}
SWATH_ALWAYS_INLINE void store_half_n(uint16_t* p, Half h, int n) {
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>(first_lanes(n)), h);
}
/// Lane 0 from and to a scalar.
SWATH_ALWAYS_INLINE Half set_half(uint16_t bits) {
  return _mm256_zextsi128_si256(_mm_cvtsi32_si128(bits));
}
SWATH_ALWAYS_INLINE uint16_t first_half(Half h) {
  return static_cast<uint16_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(h)));
}
SWATH_ALWAYS_INLINE Vec<uint32_t> widen_u16(Half h) {
  return bit_cast<uint32_t>(_mm512_cvtepu16_epi32(h));
}
/// Every lane is below 2^16.
SWATH_ALWAYS_INLINE Half narrow_u32(Vec<uint32_t> v) {
  return _mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(v));
}
SWATH_ALWAYS_INLINE F32 widen_f16(Half h) { return _mm512_cvtph_ps(h); }
SWATH_ALWAYS_INLINE Half narrow_f16(F32 v) {
  return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
