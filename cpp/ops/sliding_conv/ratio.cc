#include "ops/sliding_conv/ratio.h"

#include <algorithm>

namespace swath {
namespace {

struct RatioProblem {
  DType dtype = DType::f32;
  ConvAxis axis[3];
  ArrayRef plane;
};

const RatioProblem& as_ratio(const void* p) { return *static_cast<const RatioProblem*>(p); }

/// One task is one row of positions.
int64_t n_tasks(const void* p) noexcept {
  return as_ratio(p).axis[0].out * as_ratio(p).axis[1].out;
}

/// 0 where no tap is inside.
double axis_ratio(const ConvAxis& a, int64_t i) {
  const int64_t inside = taps_inside(a, i);
  return inside == 0 ? 0 : static_cast<double>(a.kernel) / static_cast<double>(inside);
}

template <class T>
void fill_row(const RatioProblem& p, const Buffers& b, int64_t task) {
  const ConvAxis& w = p.axis[2];
  const double outer =
      axis_ratio(p.axis[0], task / p.axis[1].out) * axis_ratio(p.axis[1], task % p.axis[1].out);
  T* row = static_cast<T*>(b.write(p.plane)) + task * w.out;
  // Between the borders every tap is inside.
  const int64_t last = w.in - 1 - (w.kernel - 1) * w.dilation + w.pad;
  int64_t low = w.pad > 0 ? std::min((w.pad + w.stride - 1) / w.stride, w.out) : 0;
  int64_t high = last < 0 ? 0 : std::min(last / w.stride + 1, w.out);
  high = std::max(low, high);
  for (int64_t i = 0; i < low; ++i) row[i] = static_cast<T>(outer * axis_ratio(w, i));
  std::fill(row + low, row + high, static_cast<T>(outer));
  for (int64_t i = high; i < w.out; ++i) row[i] = static_cast<T>(outer * axis_ratio(w, i));
}

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const RatioProblem& p = as_ratio(problem);
  for (int64_t task = begin; task < end; ++task) {
    if (p.dtype == DType::f64) {
      fill_row<double>(p, b, task);
    } else {
      fill_row<float>(p, b, task);
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kRatioFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};
const KernelRecord kRatio{"padding_ratio",   "padding_ratio", DType::f32,
                          Cluster::baseline, DeviceType::cpu, &kRatioFns};
constexpr double kSecondsPerValue = 0.3e-9;

}  // namespace

ConvMask add_ratio_plane(PlanImpl& plan, DType dtype, const ConvAxis (&axis)[3]) {
  RatioProblem p;
  p.dtype = dtype == DType::f64 ? DType::f64 : DType::f32;
  std::copy(axis, axis + 3, p.axis);
  const int64_t n = axis[0].out * axis[1].out * axis[2].out;
  p.plane = reserve_temp(plan, n * item_bytes(p.dtype));
  add_step(plan, kRatio, std::make_shared<RatioProblem>(p), n * kSecondsPerValue);
  ConvMask factors;
  factors.has_ratio = true;
  factors.ratio = p.plane;
  factors.is_shared = true;
  return factors;
}

}  // namespace swath
