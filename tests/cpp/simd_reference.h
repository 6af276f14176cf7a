// References for simd_test.cc: the functions of simd/math.h in a wider type, the distance in ulp,
// and the conversions to 16 bits by arithmetic on values instead of bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "simd_probe.h"

namespace swath_test {

template <class R>
R sigmoid(R x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
/// sqrt(2 / pi) (x + 0.044715 x^3).
template <class R>
R gelu_tanh_argument(R x) {
  return std::sqrt(2 / std::acos(R{-1})) * (x + R(0.044715L) * x * x * x);
}
/// The derivative of x sigmoid(a(x)), given a and x a'(x).
template <class R>
R gated_slope(R a, R t) {
  if (std::isinf(a)) return a > 0;
  const R z = std::exp(-std::fabs(a)), square = (1 + z) * (1 + z);
  return a < 0 ? z * (1 + z + t) / square : (1 + z + t * z) / square;
}

/// Derivatives of the activations; x is a value of T.
template <class T, class R>
R slope_reference(swath::SimdFunction function, R x) {
  using swath::SimdFunction;
  if (std::isnan(x)) return x;
  switch (function) {
    case SimdFunction::gelu_slope: {
      const R density = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(R{-1}));
      return std::erfc(-x / std::sqrt(R{2})) / 2 + (std::isinf(x) ? R{0} : x * density);
    }
    case SimdFunction::gelu_tanh_slope: {
      const R a = 2 * gelu_tanh_argument(x);
      const R scale = 2 * std::sqrt(2 / std::acos(R{-1}));
      return gated_slope(a, x * scale * (1 + 3 * R(0.044715L) * x * x));
    }
    case SimdFunction::silu_slope:
      return gated_slope(x, x);
    case SimdFunction::sigmoid_slope:
    case SimdFunction::tanh_slope: {
      const bool is_tanh = function == SimdFunction::tanh_slope;
      const R z = std::exp(-std::fabs(is_tanh ? 2 * x : x));
      return (is_tanh ? 4 : 1) * z / ((1 + z) * (1 + z));
    }
    case SimdFunction::softplus_slope:
      return sigmoid(x);
    case SimdFunction::elu_slope:
      return x > 0 ? R{1} : std::exp(x);
    case SimdFunction::relu_slope:
      return x > 0;
    case SimdFunction::relu6_slope:
      return x > 0 && x < 6;
    case SimdFunction::leaky_relu_slope:
      return x > 0 ? R{1} : R{T(0.01)};
    case SimdFunction::hardsigmoid_slope:
      return x > -3 && x < 3 ? R{1} / 6 : R{0};
    case SimdFunction::hardswish_slope:
      return x <= -3 ? R{0} : x >= 3 ? R{1} : (x + R{1.5}) / 3;
    default:
      return std::numeric_limits<R>::quiet_NaN();
  }
}

/// R is wider than T; x is a value of T.
template <class T, class R>
R reference(swath::SimdFunction function, R x) {
  using swath::SimdFunction;
  const auto clamp = [](R v, R low, R high) { return v < low ? low : v > high ? high : v; };
  const bool at_limit = x == -std::numeric_limits<R>::infinity();
  switch (function) {
    case SimdFunction::exp:
      return std::exp(x);
    case SimdFunction::expm1:
      return std::expm1(x);
    case SimdFunction::tanh:
      return std::tanh(x);
    case SimdFunction::sigmoid:
      return sigmoid(x);
    case SimdFunction::erf:
      return std::erf(x);
    case SimdFunction::gelu:
      return at_limit ? R{0} : x * std::erfc(-x / std::sqrt(R{2})) / 2;
    case SimdFunction::gelu_tanh:
      return at_limit ? R{0} : x / (1 + std::exp(-2 * gelu_tanh_argument(x)));
    case SimdFunction::silu:
      return at_limit ? R{0} : x / (1 + std::exp(-x));
    case SimdFunction::softplus:
      return (x < 0 ? R{0} : x) + std::log1p(std::exp(-std::fabs(x)));
    case SimdFunction::elu:
      return x > 0 ? x : std::expm1(x);
    case SimdFunction::relu:
      return x < 0 ? R{0} : x;
    case SimdFunction::relu6:
      return clamp(x, 0, 6);
    case SimdFunction::leaky_relu:
      return x > 0 ? x : x * T(0.01);
    case SimdFunction::hardsigmoid:
      return clamp(x + 3, 0, 6) / 6;
    case SimdFunction::hardswish:
      return at_limit ? R{0} : x * clamp(x + 3, 0, 6) / 6;
    default:
      return slope_reference<T, R>(function, x);
  }
}

/// The errors of a function are counted in ulp of max(|y|, floor).
template <class T, class R>
R floor_of(swath::SimdFunction function, R x) {
  using swath::SimdFunction;
  constexpr R kHalfUlp = std::numeric_limits<T>::epsilon() / R{2};
  switch (function) {
    case SimdFunction::gelu:
    case SimdFunction::gelu_tanh:
    case SimdFunction::silu:
    case SimdFunction::softplus:
      return kHalfUlp * std::fabs(x);
    case SimdFunction::gelu_slope:
      return std::fmax(std::erfc(-x / std::sqrt(R{2})) / 2, kHalfUlp);
    case SimdFunction::gelu_tanh_slope:
      return sigmoid(2 * gelu_tanh_argument(x));
    case SimdFunction::silu_slope:
      return sigmoid(x);
    default:
      return 0;
  }
}

/// |y - expected| in units of the last place of T at max(|expected|, floor); infinity if one is NaN
/// and the other is not. Infinity counts as the power of two after the largest finite number.
template <class T, class R>
double ulp_distance(T y, R expected, R floor) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(y) || std::isnan(expected)) {
    return std::isnan(y) && std::isnan(expected) ? 0 : std::numeric_limits<double>::infinity();
  }
  const R top = std::ldexp(R{1}, Limits::max_exponent);
  const auto finite = [top](R v) { return v > top ? top : v < -top ? -top : v; };
  const R scale = std::fmax(std::fabs(expected), floor);
  int exponent = Limits::min_exponent - 1;
  if (scale >= Limits::max()) {
    exponent = Limits::max_exponent - 1;
  } else if (scale >= Limits::min()) {
    exponent = std::ilogb(scale);
  }
  const R last_place = std::ldexp(R{1}, exponent - (Limits::digits - 1));
  return static_cast<double>(std::fabs(finite(R(y)) - finite(expected)) / last_place);
}

/// A 16-bit format with a sign bit, `mantissa_bits` and IEEE 754 rules.
struct HalfFormat {
  int mantissa_bits;
  int exponent_bias;

  int exponent_mask() const { return (1 << (15 - mantissa_bits)) - 1; }
  int mantissa_mask() const { return (1 << mantissa_bits) - 1; }

  double decode(uint16_t bits) const {
    const int exponent = (bits >> mantissa_bits) & exponent_mask();
    const int mantissa = bits & mantissa_mask();
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == exponent_mask()) {
      return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
    }
    const int fraction = exponent ? mantissa | (1 << mantissa_bits) : mantissa;
    const int power = (exponent ? exponent : 1) - exponent_bias - mantissa_bits;
    return sign * std::ldexp(fraction, power);
  }

  /// Round to nearest even; x is not NaN.
  uint16_t encode(double x) const {
    const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    const uint16_t infinity = static_cast<uint16_t>(exponent_mask() << mantissa_bits);
    const double magnitude = std::fabs(x);
    if (std::isinf(x)) return sign | infinity;
    int power = 1 - exponent_bias;
    if (magnitude >= std::ldexp(1.0, power)) power = std::ilogb(magnitude);
    // In units of the last place, an exact product; nearbyint rounds to even.
    const double units = std::nearbyint(std::ldexp(magnitude, mantissa_bits - power));
    const int code = ((power + exponent_bias - 1) << mantissa_bits) + static_cast<int>(units);
    return sign | (code >= infinity ? infinity : static_cast<uint16_t>(code));
  }
};

inline constexpr HalfFormat kF16{10, 15};
inline constexpr HalfFormat kBf16{7, 127};

}  // namespace swath_test
