// Derivatives of the activations; include after simd/math.h.
//
// Within 5 ulp (gelu_tanh: 8) of max(|y|, f(x)), where f is the first term of a derivative of two
// terms, f(x) + x f'(x): sigmoid for silu, the normal distribution for gelu, its approximation for
// gelu_tanh. These cross zero once, near x = -1; elsewhere the bound is one relative to y, but for
// gelu below 2^-24 (2^-53), where it is absolute. At the infinities they give the limits. NaN gives
// NaN. At a kink the value is PyTorch's.
#pragma once

#include "simd/math.h"

namespace swath {
namespace SWATH_ISA {
namespace {

/// value, but NaN where x is.
template <class V>
SWATH_ALWAYS_INLINE V unless_nan(V x, V value) {
  return select(x == x, value, x);
}

template <class V>
SWATH_ALWAYS_INLINE V relu_slope(V x) {
  return unless_nan(x, select(x > splat<V>(0), splat<V>(1), splat<V>(0)));
}
template <class V>
SWATH_ALWAYS_INLINE V relu6_slope(V x) {
  return unless_nan(x, select((x > splat<V>(0)) & (x < splat<V>(6)), splat<V>(1), splat<V>(0)));
}
template <class V>
SWATH_ALWAYS_INLINE V leaky_relu_slope(V x, Elem<V> slope) {
  return unless_nan(x, select(x > splat<V>(0), splat<V>(1), splat<V>(slope)));
}
template <class V>
SWATH_ALWAYS_INLINE V elu_slope(V x, Elem<V> alpha) {
  return select(x > splat<V>(0), splat<V>(1), splat<V>(alpha) * exp(at_most(x, 0)));
}
template <class V>
SWATH_ALWAYS_INLINE V hardsigmoid_slope(V x) {
  const auto inside = (x > splat<V>(-3)) & (x < splat<V>(3));
  return unless_nan(x, select(inside, splat<V>(Elem<V>(1) / 6), splat<V>(0)));
}
/// 2 / 6 x + 3 / 6 inside.
template <class V>
SWATH_ALWAYS_INLINE V hardswish_slope(V x) {
  const V inside = (x + splat<V>(1.5)) / splat<V>(3);
  const V left = select(x > splat<V>(-3), inside, splat<V>(0));
  return unless_nan(x, select(x < splat<V>(3), left, splat<V>(1)));
}

/// sigmoid(x) (1 - sigmoid(x)) = z / (1 + z)^2 with z = exp(-|x|), times `factor`.
template <class V>
SWATH_ALWAYS_INLINE V sigmoid_slope_times(V x, Elem<V> factor) {
  const auto e = exp_parts(at_least(-abs(x), Table<V>::kExpMin));
  const V mantissa = splat<V>(1) + (e.high + e.low);
  const V divisor = splat<V>(1) + mul_pow2(mantissa, e.n);
  // Scaled last: a subnormal z in the dividend would round twice.
  return mul_pow2(splat<V>(factor) * mantissa / (divisor * divisor), e.n);
}
template <class V>
SWATH_ALWAYS_INLINE V sigmoid_slope(V x) {
  return sigmoid_slope_times(x, 1);
}
/// tanh(x) = 2 sigmoid(2 x) - 1.
template <class V>
SWATH_ALWAYS_INLINE V tanh_slope(V x) {
  return sigmoid_slope_times(x + x, 4);
}
template <class V>
SWATH_ALWAYS_INLINE V softplus_slope(V x) {
  return sigmoid(x);
}

/// s + s (1 - s) t with s = sigmoid of an argument of the sign of t, e = exp(-|argument|): what
/// x sigmoid(a(x)) has as its derivative, t = x a'(x).
template <class V>
SWATH_ALWAYS_INLINE V gated_slope(V t, Exponential<V> e) {
  const V one = splat<V>(1);
  const V mantissa = one + (e.high + e.low);
  const V power = mul_pow2(mantissa, e.n);
  const V divisor = one + power;
  const auto negative = t < zero<Elem<V>>();
  const V dividend =
      select(negative, mantissa * ((one + t) + power), one + mul_add(t, power, power));
  return mul_pow2(dividend / (divisor * divisor), select(negative, e.n, zero<Elem<V>>()));
}
template <class V>
SWATH_ALWAYS_INLINE V silu_slope(V x) {
  // x exp(x) is a subnormal number a little longer than exp(x).
  constexpr auto kMax = 16 - Table<V>::kExpMin;
  const V cut = at_most(at_least(x, -kMax), kMax);
  return gated_slope(cut, exp_parts(-abs(cut)));
}
template <class V>
SWATH_ALWAYS_INLINE V gelu_tanh_slope(V x) {
  using T = Table<V>;
  const V cut = at_most(at_least(x, -T::kGeluTanhMax), T::kGeluTanhMax);
  const V factor = mul_add(splat<V>(3 * T::kGeluCubic), cut * cut, splat<V>(T::kGeluScale));
  return gated_slope(cut * factor, gelu_tanh_exponential(abs(cut)));
}

/// Phi(x) + x phi(x), Phi the normal distribution and phi its density.
template <class V>
SWATH_ALWAYS_INLINE V gelu_slope(V x) {
  using T = Table<V>;
  const V cut = at_most(at_least(x, -T::kNormalMax), T::kNormalMax);
  const V a = abs(cut);
  const V tail = mul_normal_tail(splat<V>(1), a);
  const V density = mul_exp(cut * splat<V>(T::kNormalDensity), gaussian(a));
  return select(cut < zero<Elem<V>>(), tail, splat<V>(1) - tail) + density;
}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
