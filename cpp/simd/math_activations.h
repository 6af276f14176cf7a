// Activations with PyTorch's formulas; included by simd/math.h only.
//
// gelu, gelu_tanh, silu and softplus are within 2 ulp of max(|y|, 2^-24 |x|) for every float. NaN
// gives NaN. At -infinity they and hardswish give the limit 0, where the formula has inf * 0.
#pragma once

namespace swath {
namespace SWATH_ISA {
namespace {

template <class V>
SWATH_ALWAYS_INLINE V relu(V x) {
  return at_least(x, 0);
}
template <class V>
SWATH_ALWAYS_INLINE V relu6(V x) {
  return at_most(at_least(x, 0), 6);
}
template <class V>
SWATH_ALWAYS_INLINE V leaky_relu(V x, Elem<V> slope) {
  return select(x > zero<Elem<V>>(), x, x * splat<V>(slope));
}
/// x > 0 ? x : alpha (exp(x) - 1).
template <class V>
SWATH_ALWAYS_INLINE V elu(V x, Elem<V> alpha) {
  return select(x > zero<Elem<V>>(), x, splat<V>(alpha) * expm1(x));
}

/// relu6(x + 3) / 6.
template <class V>
SWATH_ALWAYS_INLINE V hardsigmoid(V x) {
  return relu6(x + splat<V>(3)) / splat<V>(6);
}
/// x relu6(x + 3) / 6, divided first so that the product cannot overflow.
template <class V>
SWATH_ALWAYS_INLINE V hardswish(V x) {
  const V cut = at_least(x, -3);
  return cut * (at_most(cut + splat<V>(3), 6) / splat<V>(6));
}

/// log(1 + exp(x)) = max(x, 0) + log(1 + z), z = exp(-|x|), log(1 + z) = z - z^2 p(z).
template <class V>
SWATH_ALWAYS_INLINE V softplus(V x) {
  const auto e = exp_parts(at_least(-abs(x), Table<V>::kExpMin));
  const V z = exp_value(e);
  const V z_low = mul_pow2(exp_value_error(e), e.n);
  // The rounding of z alone is up to 1.1 ulp of the result. Its derivative 1 / (1 + z) may be 6 %
  // off, a straight line.
  const V derivative = mul_add(z, splat<V>(-8.0 / 17), splat<V>(16.0 / 17));
  const V rest = at_least(x, 0) + z_low * derivative;
  return z + mul_add(-(z * z), polynomial(z, Table<V>::kLog1p), rest);
}

/// x sigmoid(s) for z = exp(-|s|) and s of the sign of x. From x_max on z is 0: an infinite x must
/// meet neither that 0 nor the corrections of mul_sigmoid.
template <class V>
SWATH_ALWAYS_INLINE V gated(V x, Elem<V> x_max, Exponential<V> z) {
  const V cut = at_most(at_least(x, -x_max), x_max);
  const V y = mul_sigmoid(cut, x < zero<Elem<V>>(), z);
  return select(x > splat<V>(x_max), x, y);
}

/// x sigmoid(x).
template <class V>
SWATH_ALWAYS_INLINE V silu(V x) {
  constexpr auto kMax = -Table<V>::kExpMin;
  return gated(x, kMax, exp_parts(-at_most(abs(x), kMax)));
}

/// exp(-(c0 a + c1 a^3)) for 0 <= a <= kGeluTanhMax, see gelu_tanh.
template <class V>
SWATH_ALWAYS_INLINE Exponential<V> gelu_tanh_exponential(V a) {
  using T = Table<V>;
  const V c0 = splat<V>(T::kGeluScale);
  const V c1 = splat<V>(T::kGeluCubic);
  // The argument reaches 17 where the result still counts: one rounding of it would be 17 half ulp
  // of the result. So each step carries its error along.
  const V square = a * a;
  const V square_low = product_error(a, a, square);
  const V cubic = c1 * square;
  const V factor = c0 + cubic;
  const V cubic_low = product_error(c1, square, cubic) +
                      mul_add(splat<V>(T::kGeluCubicLow), square, c1 * square_low);
  const V factor_low = sum_error(c0, cubic, factor) + (cubic_low + splat<V>(T::kGeluScaleLow));
  const V s = a * factor;
  const V s_low = mul_add(a, factor_low, product_error(a, factor, s));
  const V n = exponent_of(-s);
  const V high = mul_add(n, splat<V>(-T::kLn2High), -s);
  const V low = mul_add(n, splat<V>(-T::kLn2Low), -s_low);
  return exp_reduced(n, high, low);
}
/// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) = x sigmoid(c0 x + c1 x^3).
template <class V>
SWATH_ALWAYS_INLINE V gelu_tanh(V x) {
  constexpr auto kMax = Table<V>::kGeluTanhMax;
  return gated(x, kMax, gelu_tanh_exponential(at_most(abs(x), kMax)));
}

/// m Phi(-a) for 0 <= a <= kNormalMax, Phi the normal distribution. In float Phi is
/// exp(-a^2 / 2 - q(a)) / 2: one exponential whose argument carries its error along.
SWATH_ALWAYS_INLINE F32 mul_normal_tail(F32 m, F32 a) {
  using T = MathTable<float>;
  const F32 v = at_most(a, T::kNormalFitMax);
  const F32 from_centre = v - set1(T::kNormalCentre);
  const F32 slope = polynomial(from_centre, T::kNormal);
  const F32 at_centre = set1(T::kNormalAtCentre);
  const F32 factor = mul_add(from_centre, slope, at_centre);
  const F32 factor_low = mul_add_error(from_centre, slope, at_centre, factor);
  const F32 q = v * factor;
  const F32 q_low = mul_add(v, factor_low, product_error(v, factor, q));
  const F32 square = set1(-0.5f) * a * a;
  const F32 square_low = product_error(set1(-0.5f) * a, a, square);
  const F32 n = exponent_of(square - q);
  // n ln 2 - a^2 / 2 is up to 2 before q is taken off: more bits than a float has.
  const F32 shift = n * set1(-T::kLn2High);
  const F32 shifted = shift + square;
  const F32 shifted_low = (shift - shifted) + square;
  const F32 low = mul_add(n, set1(-T::kLn2Low), shifted_low + (square_low - q_low));
  return mul_exp(set1(0.5f) * m, exp_reduced(n, shifted - q, low));
}
/// exp(-a^2 / 2) for 0 <= a <= kNormalMax, the rounding of a^2 carried along.
template <class V>
SWATH_ALWAYS_INLINE Exponential<V> gaussian(V a) {
  using T = Table<V>;
  const V half = splat<V>(-0.5);
  const V square = a * a;
  const V n = exponent_of(half * square);
  const V high = mul_add(n, splat<V>(-T::kLn2High), half * square);
  const V low = mul_add(n, splat<V>(-T::kLn2Low), half * product_error(a, a, square));
  return exp_reduced(n, high, low);
}
SWATH_ALWAYS_INLINE F64 mul_normal_tail(F64 m, F64 a) {
  const F64 ratio = mul_normal_ratio(m, at_most(a, MathTable<double>::kNormalFitMax));
  return mul_exp(ratio, gaussian(a));
}

/// x Phi(x) = 0.5 x (1 + erf(x / sqrt(2))) = max(x, 0) - |x| Phi(-|x|), which does not cancel.
template <class V>
SWATH_ALWAYS_INLINE V gelu(V x) {
  const V a = at_most(abs(x), Table<V>::kNormalMax);
  return at_least(x, 0) - mul_normal_tail(a, a);
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
