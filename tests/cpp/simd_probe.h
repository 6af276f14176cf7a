// What simd_test.cc calls of each instruction-set cluster: plain data and functions on arrays.
#pragma once

#include <swath/half.h>

#include <cstdint>

// Every unary function of simd/math.h and simd/math_slopes.h; leaky_relu has slope 0.01, elu has
// alpha 1.
// clang-format off
#define SWATH_SIMD_FUNCTIONS(F)                                                 \
  F(exp) F(expm1) F(tanh) F(sigmoid) F(erf) F(gelu) F(gelu_tanh) F(silu)        \
  F(softplus) F(elu) F(relu) F(relu6) F(leaky_relu) F(hardsigmoid) F(hardswish) \
  F(gelu_slope) F(gelu_tanh_slope) F(silu_slope) F(sigmoid_slope) F(tanh_slope)   \
  F(softplus_slope) F(elu_slope) F(relu_slope) F(relu6_slope) F(leaky_relu_slope) \
  F(hardsigmoid_slope) F(hardswish_slope)
// clang-format on

namespace swath {

#define SWATH_ENUMERATOR(name) name,
enum class SimdFunction { SWATH_SIMD_FUNCTIONS(SWATH_ENUMERATOR) };
#undef SWATH_ENUMERATOR

/// Lane by lane results of one register each; the arrays hold `lanes` elements.
template <class T>
struct SimdLanes {
  int lanes;
  void (*load_n)(const T* source, int n, T* out);
  void (*store_n)(const T* source, T* out, int n);
  void (*load_stride2)(const T* source, T* out);
  void (*mul_add)(const T* a, const T* b, const T* c, T* out);
  void (*min_nan)(const T* a, const T* b, T* out);
  void (*max_nan)(const T* a, const T* b, T* out);
  void (*select_less)(const T* a, const T* b, T* out);  // a < b ? a : -b
  void (*abs)(const T* a, T* out);
  void (*sqrt)(const T* a, T* out);
  void (*iota)(T* out);
  T (*reduce_add)(const T* a);
  T (*reduce_max_nan)(const T* a);
};

/// Conversions; `n` elements where given, by registers, a partial register and scalars.
template <class S>
struct SimdConversions {
  void (*widen)(const S* x, float* y, int64_t n);
  void (*narrow)(const float* x, S* y, int64_t n);
  void (*widen_scalar)(const S* x, float* y, int64_t n);
  void (*narrow_scalar)(const float* x, S* y, int64_t n);
  void (*load_as_n)(const S* source, int n, float* out);
  void (*store_as_n)(const float* source, S* out, int n);
};

struct SimdProbe {
  bool has_fma;
  void (*unary_f32)(SimdFunction function, const float* x, float* y, int64_t n);
  void (*unary_f64)(SimdFunction function, const double* x, double* y, int64_t n);
  SimdLanes<float> f32;
  SimdLanes<double> f64;
  SimdLanes<int32_t> i32;  // load_n and store_n only
  SimdLanes<int64_t> i64;  // load_n and store_n only
  SimdConversions<f16> half;
  SimdConversions<bf16> brain;
};

#if defined(__x86_64__)
namespace baseline {
extern const SimdProbe kSimdProbe;
}
namespace avx2 {
extern const SimdProbe kSimdProbe;
}
namespace avx512 {
extern const SimdProbe kSimdProbe;
}
#else
namespace neon {
extern const SimdProbe kSimdProbe;
}
#endif

}  // namespace swath
