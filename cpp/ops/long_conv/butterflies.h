// Discrete Fourier transforms of 2 to 16 complex vectors in registers. Included by *.isa.cc only.
#pragma once

#include "simd/vec.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// c - a b; the compiler makes one instruction of it where there is one.
template <class V>
SWATH_ALWAYS_INLINE V neg_mul_add(V a, V b, V c) {
  return mul_add(-a, b, c);
}

/// Vectors of real and of imaginary parts.
template <class A>
struct Complex {
  Vec<A> re, im;
};

template <class A>
SWATH_ALWAYS_INLINE Complex<A> operator+(Complex<A> a, Complex<A> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> operator-(Complex<A> a, Complex<A> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> operator*(Complex<A> a, Complex<A> b) {
  return {neg_mul_add(a.im, b.im, a.re * b.re), mul_add(a.re, b.im, a.im * b.re)};
}
/// a conj(b)
template <class A>
SWATH_ALWAYS_INLINE Complex<A> times_conj(Complex<A> a, Complex<A> b) {
  return {mul_add(a.im, b.im, a.re * b.re), neg_mul_add(a.re, b.im, a.im * b.re)};
}
/// A complex number in every lane.
template <class A>
SWATH_ALWAYS_INLINE Complex<A> number(A re, A im) {
  return {set1(re), set1(im)};
}
/// i a
template <class A>
SWATH_ALWAYS_INLINE Complex<A> turned(Complex<A> a) {
  return {-a.im, a.re};
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> swapped(Complex<A> a) {
  return {a.im, a.re};
}
/// a + i b and a - i b, without a negation.
template <class A>
SWATH_ALWAYS_INLINE Complex<A> plus_turned(Complex<A> a, Complex<A> b) {
  return {a.re - b.im, a.im + b.re};
}
template <class A>
SWATH_ALWAYS_INLINE Complex<A> minus_turned(Complex<A> a, Complex<A> b) {
  return {a.re + b.im, a.im - b.re};
}

// z[k] = sum_j z[j] exp(2 pi i j k / kRadix), in natural order.

template <class A>
SWATH_ALWAYS_INLINE void dft(Complex<A> (&z)[2]) {
  const Complex<A> a = z[0] + z[1];
  z[1] = z[0] - z[1];
  z[0] = a;
}

template <class A>
SWATH_ALWAYS_INLINE void dft(Complex<A> (&z)[3]) {
  const Vec<A> half = set1(A(-0.5)), sine = set1(A(0.86602540378443864676));
  const Complex<A> sum = z[1] + z[2], difference = z[1] - z[2];
  const Complex<A> a{mul_add(sum.re, half, z[0].re), mul_add(sum.im, half, z[0].im)};
  const Complex<A> b{difference.re * sine, difference.im * sine};
  z[0] = z[0] + sum;
  z[1] = plus_turned(a, b);
  z[2] = minus_turned(a, b);
}

template <class A>
SWATH_ALWAYS_INLINE void dft(Complex<A> (&z)[4]) {
  const Complex<A> a = z[0] + z[2], b = z[0] - z[2];
  const Complex<A> c = z[1] + z[3], d = z[1] - z[3];
  z[0] = a + c;
  z[1] = plus_turned(b, d);
  z[2] = a - c;
  z[3] = minus_turned(b, d);
}

template <class A>
SWATH_ALWAYS_INLINE void dft(Complex<A> (&z)[5]) {
  const Vec<A> c1 = set1(A(0.30901699437494742410)), c2 = set1(A(-0.80901699437494742410));
  const Vec<A> s1 = set1(A(0.95105651629515357212)), s2 = set1(A(0.58778525229247312917));
  const Complex<A> a = z[1] + z[4], b = z[2] + z[3], d = z[1] - z[4], e = z[2] - z[3];
  const Complex<A> p{mul_add(a.re, c1, mul_add(b.re, c2, z[0].re)),
                     mul_add(a.im, c1, mul_add(b.im, c2, z[0].im))};
  const Complex<A> q{mul_add(a.re, c2, mul_add(b.re, c1, z[0].re)),
                     mul_add(a.im, c2, mul_add(b.im, c1, z[0].im))};
  const Complex<A> r{mul_add(e.re, s2, d.re * s1), mul_add(e.im, s2, d.im * s1)};
  const Complex<A> s{neg_mul_add(e.re, s1, d.re * s2), neg_mul_add(e.im, s1, d.im * s2)};
  z[0] = z[0] + a + b;
  z[1] = plus_turned(p, r);
  z[4] = minus_turned(p, r);
  z[2] = plus_turned(q, s);
  z[3] = minus_turned(q, s);
}

template <class A>
SWATH_ALWAYS_INLINE void dft(Complex<A> (&z)[8]) {
  Complex<A> even[4] = {z[0], z[2], z[4], z[6]}, odd[4] = {z[1], z[3], z[5], z[7]};
  dft(even);
  dft(odd);
  const Vec<A> s = set1(A(0.70710678118654752440));
  const Complex<A> w1{(odd[1].re - odd[1].im) * s, (odd[1].re + odd[1].im) * s};
  const Complex<A> w3{(odd[3].re - odd[3].im) * s, (odd[3].re + odd[3].im) * s};  // times -i
  z[0] = even[0] + odd[0];
  z[4] = even[0] - odd[0];
  z[1] = even[1] + w1;
  z[5] = even[1] - w1;
  z[2] = plus_turned(even[2], odd[2]);
  z[6] = minus_turned(even[2], odd[2]);
  z[3] = plus_turned(even[3], w3);
  z[7] = minus_turned(even[3], w3);
}

/// z exp(2 pi i k / 16)
template <int k, class A>
SWATH_ALWAYS_INLINE Complex<A> turned_16(Complex<A> z) {
  constexpr double kCos[] = {
      1,  0.92387953251128675613,  0.70710678118654752440,  0.38268343236508977173,
      0,  -0.38268343236508977173, -0.70710678118654752440, -0.92387953251128675613,
      -1, -0.92387953251128675613};
  constexpr double kSin[] = {
      0, 0.38268343236508977173, 0.70710678118654752440, 0.92387953251128675613,
      1, 0.92387953251128675613, 0.70710678118654752440, 0.38268343236508977173,
      0, -0.38268343236508977173};
  if constexpr (k == 0) return z;
  return z * number(A(kCos[k]), A(kSin[k]));
}

template <class A>
SWATH_ALWAYS_INLINE void dft(Complex<A> (&z)[16]) {
  Complex<A> a[4] = {z[0], z[4], z[8], z[12]}, b[4] = {z[1], z[5], z[9], z[13]};
  Complex<A> c[4] = {z[2], z[6], z[10], z[14]}, d[4] = {z[3], z[7], z[11], z[15]};
  dft(a);
  dft(b);
  dft(c);
  dft(d);
  Complex<A> p[4] = {a[0], b[0], c[0], d[0]};
  Complex<A> q[4] = {a[1], turned_16<1>(b[1]), turned_16<2>(c[1]), turned_16<3>(d[1])};
  Complex<A> r[4] = {a[2], turned_16<2>(b[2]), turned(c[2]), turned_16<6>(d[2])};
  Complex<A> s[4] = {a[3], turned_16<3>(b[3]), turned_16<6>(c[3]), turned_16<9>(d[3])};
  dft(p);
  dft(q);
  dft(r);
  dft(s);
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    z[4 * k] = p[k];
    z[4 * k + 1] = q[k];
    z[4 * k + 2] = r[k];
    z[4 * k + 3] = s[k];
  }
}

/// z[j] = sum_k z[k] exp(-2 pi i j k / kRadix): conj(x) is x with its parts swapped, times i.
template <int kRadix, class A>
SWATH_ALWAYS_INLINE void inverse_dft(Complex<A> (&z)[kRadix]) {
#pragma GCC unroll 16
  for (int k = 0; k < kRadix; ++k) z[k] = swapped(z[k]);
  dft(z);
#pragma GCC unroll 16
  for (int k = 0; k < kRadix; ++k) z[k] = swapped(z[k]);
}

template <int kDistance, bool kIsHigh, class V, int... I>
SWATH_ALWAYS_INLINE V exchanged(V a, V b, std::integer_sequence<int, I...>) {
  constexpr int kN = kLanes<Elem<V>>;
  if constexpr (kIsHigh) {
    return shuffle(a, b,
                   std::integer_sequence<int, ((I & kDistance) ? I + kN : I + kDistance)...>{});
  } else {
    return shuffle(a, b,
                   std::integer_sequence<int, ((I & kDistance) ? I - kDistance + kN : I)...>{});
  }
}

/// rows[i][j] <-> rows[j][i]
template <int kDistance, class A>
SWATH_ALWAYS_INLINE void transpose_from(Vec<A> (&rows)[kLanes<A>]) {
  if constexpr (kDistance < kLanes<A>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<A>; ++i) {
      if (i & kDistance) continue;
      const Vec<A> a = rows[i], b = rows[i + kDistance];
      rows[i] = exchanged<kDistance, false>(a, b, LaneIndices<A>{});
      rows[i + kDistance] = exchanged<kDistance, true>(a, b, LaneIndices<A>{});
    }
    transpose_from<2 * kDistance, A>(rows);
  }
}
template <class A>
SWATH_ALWAYS_INLINE void transpose(Vec<A> (&rows)[kLanes<A>]) {
  transpose_from<1, A>(rows);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
