// Plain loops over every window: the last resort of the table. One task is one plane, whose
// gradients are summed in scratch memory, in double.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/kernel.h"
#include "ops/pooling_backward/problem.h"

namespace swath {
namespace {

const ExtremeProblem& as_extreme(const void* problem) {
  return *static_cast<const ExtremeProblem*>(problem);
}

size_t scratch_bytes(const void* problem) noexcept {
  const ExtremeProblem& p = as_extreme(problem);
  return sizeof(double) * static_cast<size_t>(p.axis[0].in * p.axis[1].in * p.axis[2].in);
}

int64_t n_tasks(const void* problem) noexcept {
  const ExtremeProblem& p = as_extreme(problem);
  return p.n_outer_elements() * p.n_inner;
}

/// Index in the plane of the element that has the window's gradient.
template <class T>
int64_t winner(const ExtremeProblem& p, const T* x, const int64_t (&output)[3]) {
  double best = 0;
  int64_t at_best = -1;
  const auto& [d, h, w] = p.axis;
  for (int64_t i = d.first_tap(output[0]); i < d.end_tap(output[0]); ++i) {
    for (int64_t j = h.first_tap(output[1]); j < h.end_tap(output[1]); ++j) {
      for (int64_t k = w.first_tap(output[2]); k < w.end_tap(output[2]); ++k) {
        const int64_t z = output[0] * d.stride - d.pad + i * d.dilation;
        const int64_t y = output[1] * h.stride - h.pad + j * h.dilation;
        const int64_t v = output[2] * w.stride - w.pad + k * w.dilation;
        const auto value = static_cast<double>(x[z * d.x_stride + y * h.x_stride + v * w.x_stride]);
        const bool is_better = p.is_min ? value < best : value > best;
        if (at_best >= 0 && !is_better && !std::isnan(value)) continue;
        best = value;
        at_best = (z * h.in + y) * w.in + v;
      }
    }
  }
  return at_best;
}

template <class T>
void run_plane(const ExtremeProblem& p, const T* x, const T* dy, T* dx, double* sums) {
  const auto& [d, h, w] = p.axis;
  std::fill_n(sums, d.in * h.in * w.in, 0.0);
  int64_t at[3];
  for (at[0] = 0; at[0] < d.out; ++at[0]) {
    for (at[1] = 0; at[1] < h.out; ++at[1]) {
      for (at[2] = 0; at[2] < w.out; ++at[2]) {
        const int64_t i = winner(p, x, at);
        if (i < 0) continue;
        sums[i] += static_cast<double>(
            dy[at[0] * d.dy_stride + at[1] * h.dy_stride + at[2] * w.dy_stride]);
      }
    }
  }
  for (int64_t z = 0; z < d.in; ++z) {
    for (int64_t y = 0; y < h.in; ++y) {
      for (int64_t v = 0; v < w.in; ++v) {
        dx[z * d.dx_stride + y * h.dx_stride + v * w.dx_stride] = static_cast<T>(*sums++);
      }
    }
  }
}

template <class T>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const ExtremeProblem& p = as_extreme(problem);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t c = task % p.n_inner;
    int64_t rest = task / p.n_inner;
    const T* x = static_cast<const T*>(buffers.read(p.x)) + c * p.x_inner_stride;
    const T* dy = static_cast<const T*>(buffers.read(p.dy)) + c * p.dy_inner_stride;
    T* dx = static_cast<T*>(buffers.write(p.dx)) + c * p.dx_inner_stride;
    for (int i = p.n_outer - 1; i >= 0; --i) {
      const int64_t index = rest % p.outer[i].n;
      rest /= p.outer[i].n;
      x += index * p.outer[i].x_stride;
      dy += index * p.outer[i].dy_stride;
      dx += index * p.outer[i].dx_stride;
    }
    run_plane(p, x, dy, dx, static_cast<double*>(scratch));
  }
}

const char* no_reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class T>
constexpr KernelFns kFns{no_reject, no_bytes, no_pack, scratch_bytes, n_tasks, run<T>};

#define SWATH_REFERENCE(dtype, type)        \
  {"pooling_backward_" #dtype "_reference", \
   "reference",                             \
   DType::dtype,                            \
   Cluster::reference,                      \
   DeviceType::cpu,                         \
   &kFns<type>}
constexpr KernelRecord kRecords[] = {SWATH_REFERENCE(f32, float), SWATH_REFERENCE(f64, double),
                                     SWATH_REFERENCE(f16, Eigen::half),
                                     SWATH_REFERENCE(bf16, Eigen::bfloat16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable pooling_backward_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
