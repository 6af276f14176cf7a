#include "ops/pooling_backward/scale.h"

#include <Eigen/Core>
#include <memory>
#include <type_traits>

namespace swath {
namespace {

const ScaleProblem& as_scale(const void* problem) {
  return *static_cast<const ScaleProblem*>(problem);
}

/// Rows are runs along the last axis.
int64_t n_rows(const void* problem) noexcept {
  const TensorDesc& x = as_scale(problem).x;
  int64_t n = 1;
  for (int i = 0; i + 1 < x.rank; ++i) n *= x.shape[i];
  return n;
}

template <class X, class Y>
void scale_rows(const ScaleProblem& p, const Buffers& b, int64_t begin, int64_t end) {
  using A = std::conditional_t<std::is_same_v<X, double>, double, float>;
  const int last = p.x.rank - 1;
  const int64_t n = p.x.shape[last], x_step = p.x.strides[last], y_step = p.y.strides[last];
  const double* by = p.factor[last].empty() ? nullptr : p.factor[last].data();
  for (int64_t row = begin; row < end; ++row) {
    const X* x = static_cast<const X*>(b.read(p.x_ref));
    Y* y = static_cast<Y*>(b.write(p.y_ref));
    int64_t rest = row;
    double factor = 1;
    for (int i = last - 1; i >= 0; --i) {
      const int64_t index = rest % p.x.shape[i];
      rest /= p.x.shape[i];
      x += index * p.x.strides[i];
      y += index * p.y.strides[i];
      if (!p.factor[i].empty()) factor *= p.factor[i][index];
    }
    for (int64_t i = 0; i < n; ++i) {
      const auto f = static_cast<A>(by == nullptr ? factor : factor * by[i]);
      y[i * y_step] = static_cast<Y>(static_cast<A>(x[i * x_step]) * f);
    }
  }
}

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const ScaleProblem& p = as_scale(problem);
  using Eigen::bfloat16, Eigen::half;
  const auto is = [&](DType x, DType y) { return p.x.dtype == x && p.y.dtype == y; };
  if (is(DType::f32, DType::f32)) return scale_rows<float, float>(p, b, begin, end);
  if (is(DType::f64, DType::f64)) return scale_rows<double, double>(p, b, begin, end);
  if (is(DType::f16, DType::f32)) return scale_rows<half, float>(p, b, begin, end);
  if (is(DType::f32, DType::f16)) return scale_rows<float, half>(p, b, begin, end);
  if (is(DType::bf16, DType::f32)) return scale_rows<bfloat16, float>(p, b, begin, end);
  if (is(DType::f32, DType::bf16)) return scale_rows<float, bfloat16>(p, b, begin, end);
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kScaleFns{reject, no_bytes, no_pack, no_bytes, n_rows, run};
const KernelRecord kScale{"scale",           "scale",         DType::f32,
                          Cluster::baseline, DeviceType::cpu, &kScaleFns};

}  // namespace

void add_scale_step(PlanImpl& plan, ScaleProblem problem) {
  const double seconds = static_cast<double>(problem.x.n_elements()) / 1e9;
  add_step(plan, kScale, std::make_shared<ScaleProblem>(std::move(problem)), seconds);
}

}  // namespace swath
