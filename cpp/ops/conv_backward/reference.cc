// Backward through the epilogue by plain loops in double: the last resort of the table.
#include <Eigen/Core>
#include <cmath>

#include "core/kernel.h"
#include "ops/common/scalar.h"
#include "ops/conv_backward/problem.h"

namespace swath {
namespace {

bool is_flat(Activation kind) {
  return kind == Activation::relu || kind == Activation::relu6 || kind == Activation::hardsigmoid ||
         kind == Activation::hardswish;
}

const EpilogueGradProblem& as_grad(const void* p) {
  return *static_cast<const EpilogueGradProblem*>(p);
}

template <class T, class Acc>
struct Channel {
  const EpilogueGradProblem& p;
  const Buffers& b;
  int64_t c;

  static double value(const void* base, int64_t at) {
    return static_cast<double>(static_cast<const T*>(base)[at]);
  }
  double read(const EpilogueView& view, int64_t n, const int64_t (&at)[3]) const {
    return view.is_present ? value(b.read(view.ref), view.at(n, c, at)) : 0;
  }
  void write(const EpilogueView& view, int64_t n, const int64_t (&at)[3], double v) const {
    if (view.is_present) static_cast<T*>(b.write(view.ref))[view.at(n, c, at)] = static_cast<T>(v);
  }

  /// A plane's factor at a position, 1 without it.
  double factor(bool is_present, const ArrayRef& plane, int64_t n, const int64_t (&at)[3]) const {
    if (!is_present) return 1;
    const int64_t sample = p.mask.is_shared ? 0 : n;
    const int64_t row = (sample * p.out[0] + at[0]) * p.out[1] + at[1];
    return static_cast<double>(static_cast<const Acc*>(b.read(plane))[row * p.out[2] + at[2]]);
  }

  double z_of(const ConvEpilogue& e, double v) const {
    if (e.has_scale) v *= value(b.read(e.scale), e.scale_offset + c * e.scale_stride);
    if (e.has_shift) v += value(b.read(e.shift), e.shift_offset + c * e.shift_stride);
    return v;
  }

  void add_element(int64_t n, const int64_t (&at)[3], double (&sums)[3]) const {
    const ConvEpilogue& e = p.epilogue;
    const double v = read(p.v, n, at);
    const double scale =
        e.has_scale ? value(b.read(e.scale), e.scale_offset + c * e.scale_stride) : 1;
    const double k =
        activation_slope(z_of(e, v) + read(p.residual, n, at), e.activation, e.activation_value);
    double g = read(p.dy, n, at);
    if (p.other.is_present) {
      const ConvEpilogue& o = p.other_epilogue;
      g *= activate_scalar(z_of(o, read(p.other, n, at)), o.activation, o.activation_value);
    }
    g = k == 0 && is_flat(e.activation) ? 0 : g * k;
    write(p.dresidual, n, at, g);
    sums[1] += p.wants_scale ? g * v : 0;
    sums[2] += g;
    g *= scale;
    const double keep = factor(p.mask.has_keep, p.mask.keep, n, at);
    const double ratio = factor(p.mask.has_ratio, p.mask.ratio, n, at);
    g = keep == 0 ? 0 : g * keep;
    sums[0] += ratio == 0 ? 0 : g;
    write(p.du, n, at, ratio == 0 ? 0 : g * ratio);
  }

  void run(int64_t partial) const {
    const int64_t begin = p.n_rows() * partial / p.n_partials;
    const int64_t end = p.n_rows() * (partial + 1) / p.n_partials;
    double sums[3] = {0, 0, 0};
    for (int64_t row = begin; row < end; ++row) {
      const int64_t z = row / p.out[1];
      double of_row[3] = {0, 0, 0};
      for (int64_t i = 0; i < p.out[2]; ++i) {
        add_element(z / p.out[0], {z % p.out[0], row % p.out[1], i}, of_row);
      }
      for (int i = 0; i < 3; ++i) sums[i] += of_row[i];
    }
    const bool wanted[3] = {p.wants_bias, p.wants_scale, p.wants_shift};
    int64_t at = partial * p.n_sums() * p.n_channels + c;
    for (int i = 0; i < 3; ++i) {
      if (!wanted[i]) continue;
      static_cast<Acc*>(b.write(p.partials))[at] = static_cast<Acc>(sums[i]);
      at += p.n_channels;
    }
  }
};

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

int64_t n_tasks(const void* problem) noexcept {
  return as_grad(problem).n_partials * as_grad(problem).n_channels;
}

template <class T, class Acc>
void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const EpilogueGradProblem& p = as_grad(problem);
  for (int64_t i = begin; i < end; ++i) {
    Channel<T, Acc>{p, b, i % p.n_channels}.run(i / p.n_channels);
  }
}

template <class T, class Acc>
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run<T, Acc>};

#define SWATH_REFERENCE(dtype, type, acc) \
  {"conv_backward_" #dtype "_reference",  \
   "reference",                           \
   DType::dtype,                          \
   Cluster::reference,                    \
   DeviceType::cpu,                       \
   &kFns<type, acc>}
const KernelRecord kRecords[] = {
    SWATH_REFERENCE(f32, float, float), SWATH_REFERENCE(f64, double, double),
    SWATH_REFERENCE(f16, Eigen::half, float), SWATH_REFERENCE(bf16, Eigen::bfloat16, float)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable conv_backward_reference_kernels() noexcept { return {kRecords, 4}; }

}  // namespace swath
