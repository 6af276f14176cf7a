// aarch64 NEON part of simd/vec.h; included by it only.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

using F32 = Vec<float>;
using F64 = Vec<double>;

SWATH_ALWAYS_INLINE F32 mul_add(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }
SWATH_ALWAYS_INLINE F64 mul_add(F64 a, F64 b, F64 c) { return vfmaq_f64(c, a, b); }
SWATH_ALWAYS_INLINE F32 sqrt(F32 x) { return vsqrtq_f32(x); }
SWATH_ALWAYS_INLINE F64 sqrt(F64 x) { return vsqrtq_f64(x); }

/// NaN when either is NaN, as FMIN and FMAX are.
SWATH_ALWAYS_INLINE F32 min_nan(F32 a, F32 b) { return vminq_f32(a, b); }
SWATH_ALWAYS_INLINE F64 min_nan(F64 a, F64 b) { return vminq_f64(a, b); }
SWATH_ALWAYS_INLINE F32 max_nan(F32 a, F32 b) { return vmaxq_f32(a, b); }
SWATH_ALWAYS_INLINE F64 max_nan(F64 a, F64 b) { return vmaxq_f64(a, b); }

/// b when b is NaN; a is not NaN.
template <class V>
SWATH_ALWAYS_INLINE V min_or_second(V a, V b) {
  return min_nan(a, b);
}
template <class V>
SWATH_ALWAYS_INLINE V max_or_second(V a, V b) {
  return max_nan(a, b);
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

/// Four 16-bit lanes.
using Half = uint16x4_t;

SWATH_ALWAYS_INLINE Half load_half(const uint16_t* p) { return vld1_u16(p); }
SWATH_ALWAYS_INLINE Half load_half_n(const uint16_t* p, int n) {
  alignas(8) uint16_t buffer[4] = {};
  copy_n<4>(buffer, p, n);
  return load_half(buffer);
}
SWATH_ALWAYS_INLINE void store_half(uint16_t* p, Half h) { vst1_u16(p, h); }
SWATH_ALWAYS_INLINE void store_half_n(uint16_t* p, Half h, int n) {
  alignas(8) uint16_t buffer[4];
  store_half(buffer, h);
  copy_n<4>(p, buffer, n);
}
/// Lane 0 from and to a scalar.
SWATH_ALWAYS_INLINE Half set_half(uint16_t bits) { return vdup_n_u16(bits); }
SWATH_ALWAYS_INLINE uint16_t first_half(Half h) { return vget_lane_u16(h, 0); }
SWATH_ALWAYS_INLINE Vec<uint32_t> widen_u16(Half h) { return bit_cast<uint32_t>(vmovl_u16(h)); }
/// Every lane is below 2^16.
SWATH_ALWAYS_INLINE Half narrow_u32(Vec<uint32_t> v) {
  return vmovn_u32(reinterpret_cast<uint32x4_t>(v));
}
SWATH_ALWAYS_INLINE F32 widen_f16(Half h) { return vcvt_f32_f16(vreinterpret_f16_u16(h)); }
SWATH_ALWAYS_INLINE Half narrow_f16(F32 v) { return vreinterpret_u16_f16(vcvt_f16_f32(v)); }

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
