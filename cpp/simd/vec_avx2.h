// AVX2 + FMA + F16C part of simd/vec.h; included by it only.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

using F32 = Vec<float>;
using F64 = Vec<double>;

SWATH_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
SWATH_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return _mm256_fmadd_pd(a, b, c); }
SWATH_ALWAYS_INLINE F32 sqrt(F32 x) { return _mm256_sqrt_ps(x); }
SWATH_ALWAYS_INLINE F64 sqrt(F64 x) { return _mm256_sqrt_pd(x); }

/// a < b ? a : b and a > b ? a : b, so b when either is NaN.
SWATH_ALWAYS_INLINE F32 min_or_second(F32 a, F32 b) { return _mm256_min_ps(a, b); }
SWATH_ALWAYS_INLINE F64 min_or_second(F64 a, F64 b) { return _mm256_min_pd(a, b); }
SWATH_ALWAYS_INLINE F32 max_or_second(F32 a, F32 b) { return _mm256_max_ps(a, b); }
SWATH_ALWAYS_INLINE F64 max_or_second(F64 a, F64 b) { return _mm256_max_pd(a, b); }

/// NaN when either is NaN.
template <class V>
SWATH_ALWAYS_INLINE V min_nan(V a, V b) {
  return select(a == a, min_or_second(a, b), a);
}
template <class V>
SWATH_ALWAYS_INLINE V max_nan(V a, V b) {
  return select(a == a, max_or_second(a, b), a);
}

/// All ones in the first n lanes of sizeof(T) bytes.
template <class T>
SWATH_ALWAYS_INLINE __m256i first_lanes(int n) {
  if constexpr (sizeof(T) == 4) {
    return reinterpret_cast<__m256i>(iota<int32_t>() < set1<int32_t>(n));
  } else {
    return reinterpret_cast<__m256i>(iota<int64_t>() < set1<int64_t>(n));
  }
}

/// Reads p[0, n), 0 <= n <= lanes; the other lanes are 0 and masked-out memory is not touched.
template <class T>
SWATH_ALWAYS_INLINE Vec<T> load_n(const T* p, int n) {
  const __m256i mask = first_lanes<T>(n);
  if constexpr (sizeof(T) == 4) {
    return bit_cast<T>(_mm256_maskload_ps(reinterpret_cast<const float*>(p), mask));
  } else {
    return bit_cast<T>(_mm256_maskload_pd(reinterpret_cast<const double*>(p), mask));
  }
}
template <class T>
SWATH_ALWAYS_INLINE void store_n(T* p, Vec<T> v, int n) {
  const __m256i mask = first_lanes<T>(n);
  if constexpr (sizeof(T) == 4) {
    _mm256_maskstore_ps(reinterpret_cast<float*>(p), mask, bit_cast<float>(v));
  } else {
    _mm256_maskstore_pd(reinterpret_cast<double*>(p), mask, bit_cast<double>(v));
  }
}

/// Eight 16-bit lanes.
using Half = __m128i;

SWATH_ALWAYS_INLINE Half load_half(const uint16_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
SWATH_ALWAYS_INLINE Half load_half_n(const uint16_t* p, int n) {
  alignas(16) uint16_t buffer[8] = {};
  copy_n<8>(buffer, p, n);
  return load_half(buffer);
}
SWATH_ALWAYS_INLINE void store_half(uint16_t* p, Half h) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), h);
}
SWATH_ALWAYS_INLINE void store_half_n(uint16_t* p, Half h, int n) {
  alignas(16) uint16_t buffer[8];
  store_half(buffer, h);
  copy_n<8>(p, buffer, n);
}
/// Lane 0 from and to a scalar.
SWATH_ALWAYS_INLINE Half set_half(uint16_t bits) { return _mm_cvtsi32_si128(bits); }
SWATH_ALWAYS_INLINE uint16_t first_half(Half h) {
  return static_cast<uint16_t>(_mm_cvtsi128_si32(h));
}
SWATH_ALWAYS_INLINE Vec<uint32_t> widen_u16(Half h) {
  return bit_cast<uint32_t>(_mm256_cvtepu16_epi32(h));
}
/// Every lane is below 2^16.
SWATH_ALWAYS_INLINE Half narrow_u32(Vec<uint32_t> v) {
  const auto wide = reinterpret_cast<__m256i>(v);
  return _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
}
SWATH_ALWAYS_INLINE F32 widen_f16(Half h) { return _mm256_cvtph_ps(h); }
SWATH_ALWAYS_INLINE Half narrow_f16(F32 v) { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT); }

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
