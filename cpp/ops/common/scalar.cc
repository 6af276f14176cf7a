#include "ops/common/scalar.h"

#include <Eigen/Core>
#include <cmath>

namespace swath {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// d gelu_tanh: y = x s(2 u), u = sqrt(2/pi) (x + 0.044715 x^3), s the sigmoid.
double gelu_tanh_slope(double x) {
  const double scale = std::sqrt(2 / M_PI);
  const double s = sigmoid(2 * scale * (x + 0.044715 * x * x * x));
  const double du = scale * (1 + 3 * 0.044715 * x * x);
  return s * (1 - s) == 0 ? s : s + x * 2 * du * s * (1 - s);
}

}  // namespace

double activate_scalar(double x, Activation kind, double a) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0 ? 0 : x;
    case Activation::relu6:
      return x < 0 ? 0 : x > 6 ? 6 : x;
    case Activation::leaky_relu:
      return x < 0 ? a * x : x;
    case Activation::elu:
      return x < 0 ? a * std::expm1(x) : x;
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x * M_SQRT1_2);
    case Activation::gelu_tanh:
      return x * sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));  // no 1 + tanh
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::hardsigmoid:
      return activate_scalar(x + 3, Activation::relu6, 0) / 6;
    case Activation::hardswish:
      return x * activate_scalar(x + 3, Activation::relu6, 0) / 6;
    case Activation::tanh:
      return std::tanh(x);
    case Activation::softplus:
      return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  }
  return x;
}

double activation_slope(double x, Activation kind, double value) {
  if (std::isnan(x)) return kind == Activation::none ? 1 : x;
  switch (kind) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return x > 0;
    case Activation::relu6:
      return x > 0 && x < 6;
    case Activation::leaky_relu:
      return x > 0 ? 1 : value;
    case Activation::elu:
      return x > 0 ? 1 : value * std::exp(x);
    case Activation::gelu: {
      const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
      return 0.5 * std::erfc(-x * M_SQRT1_2) + (density == 0 ? 0 : x * density);
    }
    case Activation::gelu_tanh:
      return gelu_tanh_slope(x);
    case Activation::silu: {
      const double s = sigmoid(x);
      return s * (1 - s) == 0 ? s : s + x * s * (1 - s);
    }
    case Activation::sigmoid:
      return sigmoid(x) * sigmoid(-x);
    case Activation::hardsigmoid:
      return x > -3 && x < 3 ? 1.0 / 6 : 0;
    case Activation::hardswish:
      return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5;
    case Activation::tanh:
      return 4 * sigmoid(2 * x) * sigmoid(-2 * x);
    case Activation::softplus:
      return sigmoid(x);
  }
  return 1;
}

double load_scalar(DType dtype, const void* array, int64_t i) {
  switch (dtype) {
    case DType::f64:
      return static_cast<const double*>(array)[i];
    case DType::f16:
      return static_cast<double>(static_cast<const Eigen::half*>(array)[i]);
    case DType::bf16:
      return static_cast<double>(static_cast<const Eigen::bfloat16*>(array)[i]);
    default:
      return static_cast<const float*>(array)[i];
  }
}

void store_scalar(DType dtype, void* array, int64_t i, double value) {
  const auto single = static_cast<float>(value);
  switch (dtype) {
    case DType::f64:
      static_cast<double*>(array)[i] = value;
      return;
    case DType::f16:
      static_cast<Eigen::half*>(array)[i] = static_cast<Eigen::half>(single);
      return;
    case DType::bf16:
      static_cast<Eigen::bfloat16*>(array)[i] = static_cast<Eigen::bfloat16>(single);
      return;
    default:
      static_cast<float*>(array)[i] = single;
  }
}

}  // namespace swath
