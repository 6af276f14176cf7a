#include "ops/common/activation.h"

#include "simd/math.h"
#include "simd/vec.h"

namespace swath::SWATH_ISA {
namespace {

template <class T, class F>
SWATH_ALWAYS_INLINE void map(T* x, int64_t n, const F& f) {
  for (int64_t i = 0; i < n; i += kLanes<T>) store(x + i, f(load(x + i)));
}

/// The dtype and the kind are resolved here, outside of every loop.
template <class T>
SWATH_ALWAYS_INLINE void activate_run(T* x, int64_t n, Activation kind, T value) {
  switch (kind) {
    case Activation::none:
      return;
    case Activation::relu:
      return map(x, n, [](Vec<T> v) { return relu(v); });
    case Activation::relu6:
      return map(x, n, [](Vec<T> v) { return relu6(v); });
    case Activation::leaky_relu:
      return map(x, n, [value](Vec<T> v) { return leaky_relu(v, value); });
    case Activation::elu:
      return map(x, n, [value](Vec<T> v) { return elu(v, value); });
    case Activation::gelu:
      return map(x, n, [](Vec<T> v) { return gelu(v); });
    case Activation::gelu_tanh:
      return map(x, n, [](Vec<T> v) { return gelu_tanh(v); });
    case Activation::silu:
      return map(x, n, [](Vec<T> v) { return silu(v); });
    case Activation::sigmoid:
      return map(x, n, [](Vec<T> v) { return sigmoid(v); });
    case Activation::hardsigmoid:
      return map(x, n, [](Vec<T> v) { return hardsigmoid(v); });
    case Activation::hardswish:
      return map(x, n, [](Vec<T> v) { return hardswish(v); });
    case Activation::tanh:
      return map(x, n, [](Vec<T> v) { return tanh(v); });
    case Activation::softplus:
      return map(x, n, [](Vec<T> v) { return softplus(v); });
  }
}

}  // namespace

void activate(float* x, int64_t n, Activation kind, double value) noexcept {
  activate_run(x, n, kind, static_cast<float>(value));
}
void activate(double* x, int64_t n, Activation kind, double value) noexcept {
  activate_run(x, n, kind, value);
}

}  // namespace swath::SWATH_ISA
