// The SIMD layer of one cluster behind plain functions, for simd_test.cc.
#include "simd_probe.h"

#include "simd/math_slopes.h"

namespace swath {
namespace SWATH_ISA {
namespace {

template <class V>
SWATH_ALWAYS_INLINE V leaky_relu(V x) {
  return leaky_relu(x, Elem<V>(0.01));
}
template <class V>
SWATH_ALWAYS_INLINE V elu(V x) {
  return elu(x, Elem<V>(1));
}

template <class V>
SWATH_ALWAYS_INLINE V leaky_relu_slope(V x) {
  return leaky_relu_slope(x, Elem<V>(0.01));
}
template <class V>
SWATH_ALWAYS_INLINE V elu_slope(V x) {
  return elu_slope(x, Elem<V>(1));
}

template <class T>
void unary(SimdFunction function, const T* x, T* y, int64_t n) {
  constexpr int kN = kLanes<T>;
  switch (function) {
#define SWATH_LOOP(name)                                                                   \
  case SimdFunction::name: {                                                               \
    int64_t i = 0;                                                                         \
    for (; i + kN <= n; i += kN) store(y + i, name(load(x + i)));                          \
    store_n(y + i, name(load_n(x + i, static_cast<int>(n - i))), static_cast<int>(n - i)); \
    return;                                                                                \
  }
    SWATH_SIMD_FUNCTIONS(SWATH_LOOP)
#undef SWATH_LOOP
  }
}

template <class T>
void probe_load_n(const T* source, int n, T* out) {
  store(out, load_n(source, n));
}
template <class T>
void probe_store_n(const T* source, T* out, int n) {
  store_n(out, load(source), n);
}

template <class T>
constexpr SimdLanes<T> lanes_of() {
  return {
      .lanes = kLanes<T>,
      .load_n = probe_load_n<T>,
      .store_n = probe_store_n<T>,
      .load_stride2 = [](const T* a, T* out) { store(out, load_stride2(a)); },
      .mul_add = [](const T* a, const T* b, const T* c,
                    T* out) { store(out, mul_add(load(a), load(b), load(c))); },
      .min_nan = [](const T* a, const T* b, T* out) { store(out, min_nan(load(a), load(b))); },
      .max_nan = [](const T* a, const T* b, T* out) { store(out, max_nan(load(a), load(b))); },
      .select_less = [](const T* a, const T* b,
                        T* out) { store(out, select(load(a) < load(b), load(a), -load(b))); },
      .abs = [](const T* a, T* out) { store(out, abs(load(a))); },
      .sqrt = [](const T* a, T* out) { store(out, sqrt(load(a))); },
      .iota = [](T* out) { store(out, iota<T>()); },
      .reduce_add = [](const T* a) { return reduce_add(load(a)); },
      .reduce_max_nan = [](const T* a) { return reduce_max_nan(load(a)); },
  };
}

template <class T>
constexpr SimdLanes<T> integer_lanes_of() {
  SimdLanes<T> probe{};
  probe.lanes = kLanes<T>;
  probe.load_n = probe_load_n<T>;
  probe.store_n = probe_store_n<T>;
  return probe;
}

template <class S>
constexpr SimdConversions<S> conversions_of() {
  constexpr int kN = kLanes<float>;
  return {
      .widen =
          [](const S* x, float* y, int64_t n) {
            for (int64_t i = 0; i + kN <= n; i += kN) store(y + i, load_as<float>(x + i));
          },
      .narrow =
          [](const float* x, S* y, int64_t n) {
            for (int64_t i = 0; i + kN <= n; i += kN) store_as(y + i, load(x + i));
          },
      .widen_scalar =
          [](const S* x, float* y, int64_t n) {
            for (int64_t i = 0; i < n; ++i) y[i] = to_acc(x[i]);
          },
      .narrow_scalar =
          [](const float* x, S* y, int64_t n) {
            for (int64_t i = 0; i < n; ++i) y[i] = from_acc<S>(x[i]);
          },
      .load_as_n = [](const S* source, int n,
                      float* out) { store(out, load_as_n<float>(source, n)); },
      .store_as_n = [](const float* source, S* out, int n) { store_as_n(out, load(source), n); },
  };
}

}  // namespace

extern const SimdProbe kSimdProbe;
constinit const SimdProbe kSimdProbe = {
    .has_fma = kHasFma,
    .unary_f32 = unary<float>,
    .unary_f64 = unary<double>,
    .f32 = lanes_of<float>(),
    .f64 = lanes_of<double>(),
    .i32 = integer_lanes_of<int32_t>(),
    .i64 = integer_lanes_of<int64_t>(),
    .half = conversions_of<f16>(),
    .brain = conversions_of<bf16>(),
};

}  // namespace SWATH_ISA
}  // namespace swath
