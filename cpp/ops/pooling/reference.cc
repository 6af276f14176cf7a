// Plain loops over every window, sums in double: the oracle in C++ and the last resort of the
// table.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "core/kernel.h"
#include "ops/pooling/problem.h"

namespace swath {
namespace {

const PoolingProblem& as_pooling(const void* problem) {
  return *static_cast<const PoolingProblem*>(problem);
}

double identity(PoolOp op) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return op == PoolOp::max ? -kInfinity : op == PoolOp::min ? kInfinity : 0;
}

/// max and min keep a NaN once there is one.
double combine(PoolOp op, double a, double b) {
  if (op == PoolOp::sum || op == PoolOp::mean) return a + b;
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return op == PoolOp::max ? std::max(a, b) : std::min(a, b);
}

/// The elements of one window inside the array: first, first + dilation, ...
struct Inside {
  int64_t first, n;
  Inside(const PoolAxis& a, int64_t output)
      : first(output * a.stride - a.pad), n(a.n_inside(output)) {
    if (first < 0) first += (-first + a.dilation - 1) / a.dilation * a.dilation;
  }
};

template <class T>
double window_value(const PoolingProblem& p, const T* x, int64_t d, int64_t h, int64_t w) {
  const Inside depth(p.depth, d), height(p.height, h), width(p.width, w);
  double value = identity(p.op);
  for (int64_t i = 0; i < depth.n; ++i) {
    for (int64_t j = 0; j < height.n; ++j) {
      for (int64_t k = 0; k < width.n; ++k) {
        const int64_t z = depth.first + i * p.depth.dilation;
        const int64_t y = height.first + j * p.height.dilation;
        const int64_t v = width.first + k * p.width.dilation;
        if (z % p.depth.spread != 0 || y % p.height.spread != 0 || v % p.width.spread != 0) {
          continue;
        }
        const int64_t at = z / p.depth.spread * p.depth.x_stride +
                           y / p.height.spread * p.height.x_stride +
                           v / p.width.spread * p.width.x_stride;
        value = combine(p.op, value, static_cast<double>(x[at]));
      }
    }
  }
  const auto n_inside = static_cast<double>(depth.n * height.n * width.n);
  return value / (p.divides_by_inside ? n_inside : p.divisor);
}

int64_t n_tasks(const void* problem) noexcept {
  const PoolingProblem& p = as_pooling(problem);
  return p.n_outer_elements() * p.planes.n * p.n_inner;
}

template <class T>
void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const PoolingProblem& p = as_pooling(problem);
  for (int64_t task = begin; task < end; ++task) {
    int64_t rest = task / p.n_inner;
    int64_t x_at = task % p.n_inner * p.x_inner_stride + rest % p.planes.n * p.planes.x_stride;
    int64_t y_at = task % p.n_inner * p.y_inner_stride + rest % p.planes.n * p.planes.y_stride;
    rest /= p.planes.n;
    for (int i = p.n_outer - 1; i >= 0; --i) {
      const int64_t index = rest % p.outer[i].n;
      rest /= p.outer[i].n;
      x_at += index * p.outer[i].x_stride;
      y_at += index * p.outer[i].y_stride;
    }
    const T* x = static_cast<const T*>(buffers.read(p.x)) + x_at;
    T* y = static_cast<T*>(buffers.write(p.y)) + y_at;
    for (int64_t d = 0; d < p.depth.out; ++d) {
      for (int64_t h = 0; h < p.height.out; ++h) {
        for (int64_t w = 0; w < p.width.out; ++w) {
          const int64_t at = d * p.depth.y_stride + h * p.height.y_stride + w * p.width.y_stride;
          y[at] = static_cast<T>(window_value(p, x, d, h, w));
        }
      }
    }
  }
}

const char* no_reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class T>
constexpr KernelFns kFns{no_reject, no_bytes, no_pack, no_bytes, n_tasks, run<T>};

#define SWATH_REFERENCE(dtype, type) \
  {"pooling_" #dtype "_reference",   \
   "reference",                      \
   DType::dtype,                     \
   Cluster::reference,               \
   DeviceType::cpu,                  \
   &kFns<type>}
constexpr KernelRecord kRecords[] = {SWATH_REFERENCE(f32, float), SWATH_REFERENCE(f64, double),
                                     SWATH_REFERENCE(f16, Eigen::half),
                                     SWATH_REFERENCE(bf16, Eigen::bfloat16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable pooling_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
