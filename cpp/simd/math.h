// Elementary functions on Vec<float> and Vec<double>: exp, expm1, tanh, sigmoid, erf.
//
// Within 2 ulp for every float on every cluster, subnormal arguments and results included, and
// within 4 ulp for doubles. NaN gives NaN. No libm call, no table, no branch.
#pragma once

#include "simd/vec.h"

#include "simd/math_coefficients.h"

namespace swath {
namespace SWATH_ISA {
namespace {

template <class V>
using Table = MathTable<Elem<V>>;

template <class V>
SWATH_ALWAYS_INLINE V splat(Elem<V> x) {
  return set1<Elem<V>>(x);
}

template <class V, class T, int kN, int... I>
SWATH_ALWAYS_INLINE V polynomial(V x, const T (&c)[kN], std::integer_sequence<int, I...>) {
  V y = splat<V>(c[kN - 1]);
  ((y = mul_add(y, x, splat<V>(c[kN - 2 - I]))), ...);
  return y;
}
/// c[0] + c[1] x + c[2] x^2 + ...
template <class V, class T, int kN>
SWATH_ALWAYS_INLINE V polynomial(V x, const T (&c)[kN]) {
  return polynomial(x, c, std::make_integer_sequence<int, kN - 1>{});
}

/// |magnitude| with the sign of x.
template <class V>
SWATH_ALWAYS_INLINE V copy_sign(V magnitude, V x) {
  using B = Bits<Elem<V>>;
  const auto sign = bit_cast<B>(x) ^ bit_cast<B>(abs(x));
  return bit_cast<Elem<V>>(bit_cast<B>(abs(magnitude)) | sign);
}

/// a b - product, where product = a b rounded: exact, but for double without FMA (error 2^-105).
template <class V>
SWATH_ALWAYS_INLINE V product_error(V a, V b, V product) {
  if constexpr (kHasFma) {
    return mul_add(a, b, -product);
  } else {
    using B = Bits<Elem<V>>;
    constexpr B kUpper = static_cast<B>(~B{0} << ((Table<V>::kMantissaBits + 2) / 2));
    const V a1 = bit_cast<Elem<V>>(bit_cast<B>(a) & kUpper);
    const V b1 = bit_cast<Elem<V>>(bit_cast<B>(b) & kUpper);
    const V a2 = a - a1;
    const V b2 = b - b1;
    return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2;
  }
}
/// (a + b) - sum, where sum = a + b rounded: exact.
template <class V>
SWATH_ALWAYS_INLINE V sum_error(V a, V b, V sum) {
  const V b_part = sum - a;
  return (a - (sum - b_part)) + (b - b_part);
}
/// (a b + c) - sum, where sum = mul_add(a, b, c), for |a b| <= |c|.
template <class V>
SWATH_ALWAYS_INLINE V mul_add_error(V a, V b, V c, V sum) {
  if constexpr (kHasFma) {
    return mul_add(a, b, c - sum);
  } else {
    const V product = a * b;
    return ((c - sum) + product) + product_error(a, b, product);
  }
}
/// (a + a_low) / (b + b_low) with hardly more than one rounding; a is finite.
template <class V>
SWATH_ALWAYS_INLINE V divide(V a, V a_low, V b, V b_low) {
  const V inverse = splat<V>(1) / b;
  const V quotient = a * inverse;
  V residual;
  if constexpr (kHasFma) {
    residual = mul_add(-quotient, b, a);
  } else {
    const V product = quotient * b;
    residual = (a - product) - product_error(quotient, b, product);
  }
  return mul_add(mul_add(-quotient, b_low, residual + a_low), inverse, quotient);
}

/// 2^n for integral n in the exponent range of normal numbers.
template <class V>
SWATH_ALWAYS_INLINE V pow2(V n) {
  using B = Bits<Elem<V>>;
  const auto integer = bit_cast<B>(n + splat<V>(Table<V>::kRound));
  return bit_cast<Elem<V>>((integer + Table<V>::kExponentBias) << Table<V>::kMantissaBits);
}

#if !defined(__AVX512F__)
/// x 2^n for integral n, in two factors: the result may be subnormal, 2^n alone may not exist.
template <class V>
SWATH_ALWAYS_INLINE V mul_pow2(V x, V n) {
  const V round = splat<V>(Table<V>::kRound);
  const V half = (n * splat<V>(0.5) + round) - round;
  return x * pow2(half) * pow2(n - half);
}
#endif

/// exp = (1 + high + low) 2^n with |high + low| < 0.42. Leaving the sum open lets the caller round
/// once where 1 + high + low followed by a product would round twice.
template <class V>
struct Exponential {
  V n, high, low;
};

/// The integer nearest to x / ln 2.
template <class V>
SWATH_ALWAYS_INLINE V exponent_of(V x) {
  const V round = splat<V>(Table<V>::kRound);
  return mul_add(x, splat<V>(Table<V>::kLog2e), round) - round;
}

/// exp(n ln 2 + high + low) for |high + low| <= ln 2 / 2.
template <class V>
SWATH_ALWAYS_INLINE Exponential<V> exp_reduced(V n, V high, V low) {
  const V r = high + low;
  return {n, high, mul_add(r * r, polynomial(r, Table<V>::kExp), low)};
}

/// exp(x) for kExpMin <= x <= kExpMax.
template <class V>
SWATH_ALWAYS_INLINE Exponential<V> exp_parts(V x) {
  const V n = exponent_of(x);
  const V high = mul_add(n, splat<V>(-Table<V>::kLn2High), x);
  return exp_reduced(n, high, n * splat<V>(-Table<V>::kLn2Low));
}

/// x exp with one rounding before the scaling.
template <class V>
SWATH_ALWAYS_INLINE V mul_exp(V x, Exponential<V> e) {
  return mul_pow2(mul_add(x, e.high + e.low, x), e.n);
}

/// exp, also where the result is subnormal.
template <class V>
SWATH_ALWAYS_INLINE V exp_value(Exponential<V> e) {
  return mul_pow2(splat<V>(1) + (e.high + e.low), e.n);
}
/// exp 2^-n - exp_value 2^-n: what the rounding in exp_value leaves.
template <class V>
SWATH_ALWAYS_INLINE V exp_value_error(Exponential<V> e) {
  const V w = e.high + e.low;
  const V one = splat<V>(1);
  return (one - (one + w)) + w;
}
/// exp where 2^n is a normal number; cheaper on clusters other than avx512.
template <class V>
SWATH_ALWAYS_INLINE V exp_value_normal(Exponential<V> e) {
  return (splat<V>(1) + (e.high + e.low)) * pow2(e.n);
}

// NaN survives: these return x when x is NaN.
template <class V>
SWATH_ALWAYS_INLINE V at_least(V x, Elem<V> bound) {
  return max_or_second(splat<V>(bound), x);
}
template <class V>
SWATH_ALWAYS_INLINE V at_most(V x, Elem<V> bound) {
  return min_or_second(splat<V>(bound), x);
}

template <class V>
SWATH_ALWAYS_INLINE V exp(V x) {
  return exp_value(exp_parts(at_most(at_least(x, Table<V>::kExpMin), Table<V>::kExpMax)));
}

/// exp(x) - 1.
template <class V>
SWATH_ALWAYS_INLINE V expm1(V x) {
  using T = Table<V>;
  const auto e = exp_parts(at_most(at_least(x, T::kExpm1Min), T::kExpMax));
  // 2^(n-1), since 2^n overflows before exp does. Where the 1 cancels, n is -1, 0 or 1 and the
  // first sum is exact or nearly so.
  const V scale = pow2(e.n - splat<V>(1));
  const V first = mul_add(scale, e.high, scale - splat<V>(0.5));
  const V y = mul_add(scale, e.low, first) * splat<V>(2);
  return select(abs(x) < splat<V>(T::kTiny), x, y);
}

template <class V>
SWATH_ALWAYS_INLINE V tanh(V x) {
  using T = Table<V>;
  const V a = abs(x);
  const V square = x * x;
  const V small = mul_add(x * square, polynomial(square, T::kTanh), x);
  const V e = exp_value_normal(exp_parts(at_most(a + a, T::kTanhMax)));
  const V large = splat<V>(1) - splat<V>(2) / (e + splat<V>(1));
  return select(a < splat<V>(0.625), small, copy_sign(large, x));
}

/// x / (1 + 1 / z) where `negative`, else x / (1 + z). With z = exp(-|s|) that is x sigmoid(s).
template <class V, class M>
SWATH_ALWAYS_INLINE V mul_sigmoid(V x, M negative, Exponential<V> z) {
  const V w = z.high + z.low;
  const V xz = mul_add(x, w, x);
  const V xz_low = mul_add(x, w, x - xz);
  const V one = splat<V>(1);
  const V power = mul_pow2(one + w, z.n);
  const V divisor = one + power;
  const V divisor_low = (one - divisor) + power;
  const V dividend = select(negative, xz, x);
  const V dividend_low = select(negative, xz_low, zero<Elem<V>>());
  // The quotient of the rounded parts misses up to 2 ulp. A correction that is 6 % off will do: the
  // inverse of a divisor in [1, 2] by a straight line.
  const V rounded = dividend / divisor;
  const V inverse = mul_add(divisor, splat<V>(-8.0 / 17), splat<V>(24.0 / 17));
  const V quotient = mul_add(mul_add(-rounded, divisor_low, dividend_low), inverse, rounded);
  // Scaled last: with z itself in the dividend a subnormal z would round twice.
  return mul_pow2(quotient, select(negative, z.n, zero<Elem<V>>()));
}

/// 1 / (1 + exp(-x)).
template <class V>
SWATH_ALWAYS_INLINE V sigmoid(V x) {
  const auto z = exp_parts(at_least(-abs(x), Table<V>::kExpMin));
  return mul_sigmoid(splat<V>(1), x < zero<Elem<V>>(), z);
}

/// a Phi(-v) exp(v^2 / 2) for 0 <= v <= kNormalFitMax, Phi the normal distribution.
SWATH_ALWAYS_INLINE F64 mul_normal_ratio(F64 a, F64 v) {
  using T = MathTable<double>;
  const F64 t = (v - set1(T::kNormalCentre)) / (v + set1(T::kNormalCentre));
  const F64 rest = polynomial(t, T::kNormal);
  const F64 at_centre = set1(T::kNormalAtCentre);
  const F64 p = mul_add(t, rest, at_centre);
  const F64 p_low = mul_add_error(t, rest, at_centre, p);
  const F64 dividend = a * p;
  const F64 dividend_low = mul_add(a, p_low, product_error(a, p, dividend));
  const F64 slope = set1(T::kNormalSlope);
  const F64 divisor = mul_add(v, slope, set1(1.0));
  const F64 divisor_low = mul_add(v, slope, set1(1.0) - divisor);
  return divide(dividend, dividend_low, divisor, divisor_low);
}

/// erf(a) for 1 <= a <= kErfMax. An error of exp(-p) counts at most 0.16 times.
SWATH_ALWAYS_INLINE F32 erf_tail(F32 a) {
  return set1(1.0f) - exp_value_normal(exp_parts(-polynomial(a, MathTable<float>::kErfTail)));
}
SWATH_ALWAYS_INLINE F64 erf_tail(F64 a) {
  const F64 v = a * set1(MathTable<double>::kSqrt2);
  return set1(1.0) - mul_normal_ratio(set1(2.0), v) * exp_value_normal(exp_parts(-(a * a)));
}

template <class V>
SWATH_ALWAYS_INLINE V erf(V x) {
  const V a = abs(x);
  const V small = mul_add(x, polynomial(x * x, Table<V>::kErf), x);
  const V large = erf_tail(at_most(a, Table<V>::kErfMax));
  return select(a < splat<V>(1), small, copy_sign(large, x));
}

/// log(x) for positive normal x: 2^n m with 1 <= m < 2. The error is that of log(m), which is up to
/// 0.7, so that it is absolute near x = 1.
template <class V>
SWATH_ALWAYS_INLINE V log(V x) {
  using T = Table<V>;
  using B = Bits<Elem<V>>;
  const auto bits = bit_cast<B>(x);
  const auto n = (bits >> T::kMantissaBits) - T::kExponentBias;
  const V z = bit_cast<Elem<V>>(bits - (n << T::kMantissaBits)) - splat<V>(1);
  // kRound + n is exact, and n its lowest bits.
  const V power = bit_cast<Elem<V>>(bit_cast<B>(splat<V>(T::kRound)) + n) - splat<V>(T::kRound);
  const V small = z + mul_add(-(z * z), polynomial(z, T::kLog1p), power * splat<V>(T::kLn2Low));
  return select(x == x, mul_add(power, splat<V>(T::kLn2High), small), x);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath

#include "simd/math_activations.h"
