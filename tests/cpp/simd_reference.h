// References for simd_test.cc: the functions of simd/math.h in a wider type, the distance in ulp,
// and the conversions to 16 bits by arithmetic on values instead of bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "simd_probe.h"

namespace swath_test {

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
      return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
    case SimdFunction::erf:
      return std::erf(x);
    case SimdFunction::gelu:
      return at_limit ? R{0} : x * std::erfc(-x / std::sqrt(R{2})) / 2;
    case SimdFunction::gelu_tanh: {
      const R pi = std::acos(R{-1});
      const R u = std::sqrt(2 / pi) * (x + R(0.044715L) * x * x * x);
      return at_limit ? R{0} : x / (1 + std::exp(-2 * u));
    }
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
  }
  return std::numeric_limits<R>::quiet_NaN();
}

/// Whether the error is counted in ulp of max(|y|, eps |x| / 2) instead of ulp of y.
inline bool has_floor(swath::SimdFunction function) {
  using swath::SimdFunction;
  return function == SimdFunction::gelu || function == SimdFunction::gelu_tanh ||
         function == SimdFunction::silu || function == SimdFunction::softplus;
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
