// Vectors as wide as one register of the instruction-set cluster.
//
// Every `*.isa.cc` is compiled once per cluster with -DSWATH_ISA=<cluster>. All names live in
// swath::SWATH_ISA::(anonymous) and every function is always_inline, so that no code compiled for a
// wide cluster can be linked into a narrow one.
//
//   Vec<T>, T = float, double, int32_t, uint32_t, int64_t, uint64_t: a compiler vector, so that
//   + - * / & | ^ ~ << >> and the comparisons work lane by lane (a mask is all ones or all zeros).
#pragma once

#include <swath/half.h>

#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#if !defined(__clang__)  // g++ 12 warns of its own _mm512_undefined_ps
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
#else
#error "simd/vec.h knows x86-64 and aarch64"
#endif

#ifndef SWATH_ISA
#error "a file that includes simd/vec.h is compiled with -DSWATH_ISA=<cluster>"
#endif

#define SWATH_ALWAYS_INLINE static inline __attribute__((always_inline))

namespace swath {
namespace SWATH_ISA {
namespace {

#if defined(__AVX512F__)
inline constexpr int kVecBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVecBytes = 32;
#else
inline constexpr int kVecBytes = 16;
#endif

/// mul_add rounds once; without FMA it rounds twice.
#if defined(__FMA__) || defined(__aarch64__)
inline constexpr bool kHasFma = true;
#else
inline constexpr bool kHasFma = false;
#endif

template <class T>
constexpr int kLanes = kVecBytes / static_cast<int>(sizeof(T));

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(kVecBytes)));
};
template <class T>
using Vec = typename VecOf<T>::type;

/// Element type of a vector type.
template <class V>
using Elem = std::remove_cvref_t<decltype(V{}[0])>;

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = int32_t;
};
template <>
struct BitsOf<double> {
  using type = int64_t;
};
/// Signed integer of the width of T: the element type of masks.
template <class T>
using Bits = typename BitsOf<T>::type;

template <class T>
using LaneIndices = std::make_integer_sequence<int, kLanes<T>>;

template <class T, int... I>
SWATH_ALWAYS_INLINE Vec<T> set1_lanes(T x, std::integer_sequence<int, I...>) {
  return Vec<T>{(static_cast<void>(I), x)...};
}
template <class T, int... I>
SWATH_ALWAYS_INLINE Vec<T> iota_lanes(std::integer_sequence<int, I...>) {
  return Vec<T>{static_cast<T>(I)...};
}

template <class T>
SWATH_ALWAYS_INLINE Vec<T> set1(T x) {
  return set1_lanes<T>(x, LaneIndices<T>{});
}
template <class T>
SWATH_ALWAYS_INLINE Vec<T> zero() {
  return Vec<T>{};
}
/// 0, 1, 2, ...
template <class T>
SWATH_ALWAYS_INLINE Vec<T> iota() {
  return iota_lanes<T>(LaneIndices<T>{});
}

/// The same bits as lanes of T.
template <class T, class V>
SWATH_ALWAYS_INLINE Vec<T> bit_cast(V v) {
  return reinterpret_cast<Vec<T>>(v);
}

/// Memory view of a vector without alignment; may_alias since T* points into plain arrays.
template <class V>
struct __attribute__((packed, may_alias)) Unaligned {
  V v;
};

template <class T>
SWATH_ALWAYS_INLINE Vec<T> load(const T* p) {
  return reinterpret_cast<const Unaligned<Vec<T>>*>(p)->v;
}
template <class T>
SWATH_ALWAYS_INLINE void store(T* p, Vec<T> v) {
  reinterpret_cast<Unaligned<Vec<T>>*>(p)->v = v;
}

/// dst[0, n) = src[0, n) for n <= kMax, a power of two, by copies of constant size: no libc call.
template <int kMax, class T>
SWATH_ALWAYS_INLINE void copy_n(T* dst, const T* src, int n) {
  if constexpr (kMax > 1) {
    if (n & kMax) {
      __builtin_memcpy(dst, src, kMax * sizeof(T));
      return;
    }
    constexpr int kHalf = kMax / 2;
    if (n & kHalf) {
      __builtin_memcpy(dst, src, kHalf * sizeof(T));
      dst += kHalf;
      src += kHalf;
      n -= kHalf;
    }
    copy_n<kHalf>(dst, src, n);
  } else {
    if (n) *dst = *src;
  }
}

/// Lane by lane mask ? a : b; mask is the result of a comparison of the same lane width.
template <class M, class V>
SWATH_ALWAYS_INLINE V select(M mask, V a, V b) {
  return mask ? a : b;
}

/// Lanes I... of the concatenation of a and b.
template <class V, int... I>
SWATH_ALWAYS_INLINE V shuffle(V a, V b, std::integer_sequence<int, I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, I...);
#else
  return __builtin_shuffle(a, b, Vec<Bits<Elem<V>>>{I...});
#endif
}

template <class V>
SWATH_ALWAYS_INLINE V abs(V x) {
  using B = Bits<Elem<V>>;
  constexpr B kMagnitude = static_cast<B>(~(B{1} << (8 * sizeof(B) - 1)));
  return bit_cast<Elem<V>>(bit_cast<B>(x) & set1<B>(kMagnitude));
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath

// What needs intrinsics: mul_add, sqrt, min_nan, max_nan, load_n, store_n and the 16-bit registers.
#if defined(__AVX512F__)
#include "simd/vec_avx512.h"
#elif defined(__AVX2__)
#include "simd/vec_avx2.h"
#elif defined(__x86_64__)
#include "simd/vec_baseline.h"
#else
#include "simd/vec_neon.h"
#endif

#include "simd/vec_convert.h"
#include "simd/vec_lanes.h"
