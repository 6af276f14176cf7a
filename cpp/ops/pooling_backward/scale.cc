#include "ops/pooling_backward/scale.h"

#include <Eigen/Core>
#include <memory>

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

template <class T, class A>
void scale_row(const T* x, int64_t x_stride, T* y, int64_t n, double factor, const double* by) {
  if (by == nullptr) {
    const A f = static_cast<A>(factor);
    if (factor == 1) {
      for (int64_t i = 0; i < n; ++i) y[i] = x[i * x_stride];
    } else {
      for (int64_t i = 0; i < n; ++i) {
        y[i] = static_cast<T>(static_cast<A>(x[i * x_stride]) * f);
      }
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<T>(static_cast<A>(x[i * x_stride]) * static_cast<A>(factor * by[i]));
  }
}

template <class T, class A>
void scale_rows(const ScaleProblem& p, const T* x, T* y, int64_t begin, int64_t end) {
  const int last = p.x.rank - 1;
  const double* by = p.factor[last].empty() ? nullptr : p.factor[last].data();
  for (int64_t row = begin; row < end; ++row) {
    int64_t rest = row, at = 0;
    double factor = 1;
    for (int i = last - 1; i >= 0; --i) {
      const int64_t index = rest % p.x.shape[i];
      rest /= p.x.shape[i];
      at += index * p.x.strides[i];
      if (!p.factor[i].empty()) factor *= p.factor[i][index];
    }
    const int64_t n = p.x.shape[last];
    scale_row<T, A>(x + at, p.x.strides[last], y + row * n, n, factor, by);
  }
}

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const ScaleProblem& p = as_scale(problem);
  const auto scale = [&](auto element, auto acc) {
    using T = decltype(element);
    using A = decltype(acc);
    scale_rows<T, A>(p, static_cast<const T*>(b.read(p.x_ref)),
                     static_cast<T*>(b.write(p.y_ref)), begin, end);
  };
  switch (p.x.dtype) {
    case DType::f32:
      return scale(float{}, float{});
    case DType::f64:
      return scale(double{}, double{});
    case DType::f16:
      return scale(Eigen::half{}, float{});
    case DType::bf16:
      return scale(Eigen::bfloat16{}, float{});
    default:
      return;
  }
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
