#include "ops/common/activation_grad.h"

#include "ops/common/activation.h"
#include "simd/math_slopes.h"

namespace swath::SWATH_ISA {
namespace {

/// Calls `use` with the derivative of the activation: kind and dtype are resolved here, outside of
/// every loop. is_cut: it is constant on some interval, by definition.
template <class T, class Use>
SWATH_ALWAYS_INLINE void with_slope(Activation kind, T value, const Use& use) {
  using V = Vec<T>;
  constexpr std::true_type kIsCut{};
  constexpr std::false_type kIsSmooth{};
  switch (kind) {
    case Activation::none:
      return use([](V) { return set1<T>(1); }, kIsSmooth);
    case Activation::relu:
      return use([](V z) { return relu_slope(z); }, kIsCut);
    case Activation::relu6:
      return use([](V z) { return relu6_slope(z); }, kIsCut);
    case Activation::leaky_relu:
      return use([value](V z) { return leaky_relu_slope(z, value); }, kIsSmooth);
    case Activation::elu:
      return use([value](V z) { return elu_slope(z, value); }, kIsSmooth);
    case Activation::gelu:
      return use([](V z) { return gelu_slope(z); }, kIsSmooth);
    case Activation::gelu_tanh:
      return use([](V z) { return gelu_tanh_slope(z); }, kIsSmooth);
    case Activation::silu:
      return use([](V z) { return silu_slope(z); }, kIsSmooth);
    case Activation::sigmoid:
      return use([](V z) { return sigmoid_slope(z); }, kIsSmooth);
    case Activation::hardsigmoid:
      return use([](V z) { return hardsigmoid_slope(z); }, kIsCut);
    case Activation::hardswish:
      return use([](V z) { return hardswish_slope(z); }, kIsCut);
    case Activation::tanh:
      return use([](V z) { return tanh_slope(z); }, kIsSmooth);
    case Activation::softplus:
      return use([](V z) { return softplus_slope(z); }, kIsSmooth);
  }
}

template <class T>
SWATH_ALWAYS_INLINE void grad_run(const T* z, T* dy, int64_t n, Activation kind, T value) {
  if (kind == Activation::none) return;
  with_slope<T>(kind, value, [&](const auto& slope_of, auto is_cut) {
    for (int64_t i = 0; i < n; i += kLanes<T>) {
      const Vec<T> slope = slope_of(load(z + i));
      const Vec<T> product = load(dy + i) * slope;
      if constexpr (is_cut) {
        store(dy + i, select(slope == zero<T>(), zero<T>(), product));
      } else {
        store(dy + i, product);
      }
    }
  });
}

template <class T>
SWATH_ALWAYS_INLINE void slope_run(const T* z, T* slope, int64_t n, Activation kind, T value) {
  with_slope<T>(kind, value, [&](const auto& slope_of, auto) {
    for (int64_t i = 0; i < n; i += kLanes<T>) store(slope + i, slope_of(load(z + i)));
  });
}

}  // namespace

void activation_grad(const float* z, float* dy, int64_t n, Activation kind, double value) noexcept {
  grad_run(z, dy, n, kind, static_cast<float>(value));
}
void activation_grad(const double* z, double* dy, int64_t n, Activation kind,
                     double value) noexcept {
  grad_run(z, dy, n, kind, value);
}

void activate_with_slope(float* x, float* slope, int64_t n, Activation kind,
                         double value) noexcept {
  slope_run(x, slope, n, kind, static_cast<float>(value));
  activate(x, n, kind, value);
}
void activate_with_slope(double* x, double* slope, int64_t n, Activation kind,
                         double value) noexcept {
  slope_run(x, slope, n, kind, value);
  activate(x, n, kind, value);
}

}  // namespace swath::SWATH_ISA
