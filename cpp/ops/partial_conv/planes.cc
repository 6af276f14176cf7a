#include "ops/partial_conv/planes.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include <Eigen/Core>

#include "ops/sliding_conv/problem.h"

namespace swath {
namespace {

/// Calls f with a null pointer of the dtype's element type.
template <class F>
void with_type(DType dtype, const F& f) {
  switch (dtype) {
    case DType::f32:
      return f(static_cast<float*>(nullptr));
    case DType::f64:
      return f(static_cast<double*>(nullptr));
    case DType::f16:
      return f(static_cast<Eigen::half*>(nullptr));
    case DType::bf16:
      return f(static_cast<Eigen::bfloat16*>(nullptr));
    default:
      return f(static_cast<uint8_t*>(nullptr));
  }
}

/// bool and uint8: not 0 is 1.
template <class T, class M>
T mask_value(M m) {
  if constexpr (std::is_same_v<M, uint8_t>) {
    return m != 0 ? T{1} : T{0};
  } else {
    return static_cast<T>(m);
  }
}

const MaskSumProblem& as_sum(const void* p) { return *static_cast<const MaskSumProblem*>(p); }

/// One task is one plane of the first two spatial axes.
int64_t n_sum_tasks(const void* p) noexcept {
  const TensorDesc& m = as_sum(p).mask;
  return m.shape[0] * m.shape[2] * m.shape[3];
}

template <class T, class M>
void sum_row(const M* values, const TensorDesc& m, T* to) {
  const int64_t n = m.shape[4];
  for (int64_t c = 0; c < m.shape[1]; ++c) {
    const M* line = values + c * m.strides[1];
    for (int64_t i = 0; i < n; ++i) {
      const T v = mask_value<T>(line[i * m.strides[4]]);
      to[i] = c == 0 ? v : to[i] + v;
    }
  }
  if (m.shape[1] == 0) std::fill(to, to + n, T{0});
}

template <class T>
void sum_rows(const MaskSumProblem& p, const Buffers& b, int64_t begin, int64_t end) {
  const TensorDesc& m = p.mask;
  for (int64_t task = begin; task < end; ++task) {
    T* to = static_cast<T*>(b.write(p.plane)) + task * m.shape[4];
    if (p.is_absent) {
      std::fill(to, to + m.shape[4], T{1});
      continue;
    }
    const int64_t rest = task / m.shape[3];
    const int64_t at = rest / m.shape[2] * m.strides[0] + rest % m.shape[2] * m.strides[2] +
                       task % m.shape[3] * m.strides[3];
    with_type(p.mask_dtype, [&](auto* type) {
      using M = std::remove_pointer_t<decltype(type)>;
      sum_row(static_cast<const M*>(b.read(p.values)) + at, m, to);
    });
  }
}

void run_sum(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
             int64_t end) noexcept {
  const MaskSumProblem& p = as_sum(problem);
  if (p.mask.dtype == DType::f64) return sum_rows<double>(p, b, begin, end);
  sum_rows<float>(p, b, begin, end);
}

const MaskFactorProblem& as_factor(const void* p) {
  return *static_cast<const MaskFactorProblem*>(p);
}

int64_t n_positions(const MaskFactorProblem& p) { return p.out[0] * p.out[1] * p.out[2]; }
int64_t n_rows(const MaskFactorProblem& p) { return n_positions(p) / p.row; }

/// One task is one row of flags.
int64_t n_factor_tasks(const void* p) noexcept {
  return as_factor(p).n_batch * n_rows(as_factor(p));
}

/// M at the windows' centre taps, 0 outside of the image, for positions [first, first + row).
template <class T>
void center_row(const MaskFactorProblem& p, const T* plane, int64_t first, T* keep) {
  for (int64_t done = 0; done < p.row;) {
    const int64_t position = first + done;
    const int64_t o2 = position % p.out[2], rest = position / p.out[2];
    const int64_t n = std::min(p.out[2] - o2, p.row - done);
    const int64_t i0 = rest / p.out[1] * p.stride[0] + p.center[0];
    const int64_t i1 = rest % p.out[1] * p.stride[1] + p.center[1];
    const bool is_inside = i0 >= 0 && i0 < p.in[0] && i1 >= 0 && i1 < p.in[1];
    const T* line = plane + (i0 * p.in[1] + i1) * p.in[2];
    for (int64_t j = 0; j < n; ++j) {
      const int64_t i2 = (o2 + j) * p.stride[2] + p.center[2];
      keep[done + j] = is_inside && i2 >= 0 && i2 < p.in[2] ? line[i2] : T{0};
    }
    done += n;
  }
}

/// The new mask's values of a row, in the accumulator's type.
template <class T>
void keep_row(const MaskFactorProblem& p, const T* sums, const T* plane, int64_t first, T* keep) {
  if (p.keeps_center) return center_row(p, plane, first, keep);
  for (int64_t i = 0; i < p.row; ++i) keep[i] = std::min(sums[i], T{1});
}

template <class T>
void ratio_row(const MaskFactorProblem& p, const T* sums, T* ratio) {
  const T window = static_cast<T>(p.window), eps = static_cast<T>(p.eps);
  for (int64_t i = 0; i < p.row; ++i) {
    const T quotient = window / std::max(sums[i], eps) * std::min(sums[i], T{1});
    ratio[i] = sums[i] > 0 ? quotient : T{0};
  }
}

/// Flags of the spans that hold a factor other than 0.
template <class T>
void flag_row(int64_t n, const T* factors, uint8_t* active) {
  for (int64_t begin = 0; begin < n; begin += kActiveSpan) {
    const int64_t end = std::min(begin + kActiveSpan, n);
    T largest{0};  // factors are not negative
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, factors[i]);
    *active++ = largest != 0;
  }
}

template <class T, class M>
void factor_row(const MaskFactorProblem& p, const Buffers& b, int64_t task) {
  const int64_t n = task / n_rows(p), first = task % n_rows(p) * p.row;
  const int64_t n_in = p.in[0] * p.in[1] * p.in[2], at = n * n_positions(p) + first;
  const T* sums = static_cast<const T*>(b.read(p.sums)) + at;
  T* keep = static_cast<T*>(b.write(p.keep)) + at;
  keep_row(p, sums, static_cast<const T*>(b.read(p.plane)) + n * n_in, first, keep);
  if (p.has_ratio) ratio_row(p, sums, static_cast<T*>(b.write(p.ratio)) + at);
  const int64_t n_spans = (p.row + kActiveSpan - 1) / kActiveSpan;
  flag_row(p.row, p.has_keep ? keep : sums,
           static_cast<uint8_t*>(b.write(p.active)) + task * n_spans);
  for (int64_t c = 0; c < p.n_mask_channels; ++c) {
    M* to = static_cast<M*>(b.write(p.mask_out)) + n * p.out_batch_stride +
            c * p.out_channel_stride + first * p.out_position_stride;
    for (int64_t i = 0; i < p.row; ++i) to[i * p.out_position_stride] = static_cast<M>(keep[i]);
  }
}

void run_factor(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
                int64_t end) noexcept {
  const MaskFactorProblem& p = as_factor(problem);
  with_type(p.mask_dtype, [&](auto* type) {
    using M = std::remove_pointer_t<decltype(type)>;
    for (int64_t task = begin; task < end; ++task) {
      if (p.dtype == DType::f64) {
        factor_row<double, M>(p, b, task);
      } else {
        factor_row<float, M>(p, b, task);
      }
    }
  });
}

const MaskProductProblem& as_product(const void* p) {
  return *static_cast<const MaskProductProblem*>(p);
}

/// One task is one row of the last axis.
int64_t n_product_tasks(const void* p) noexcept {
  const TensorDesc& x = as_product(p).x;
  return x.shape[0] * x.shape[1] * x.shape[2] * x.shape[3];
}

template <class X, class M>
void multiply_rows(const MaskProductProblem& p, const Buffers& b, int64_t begin, int64_t end) {
  for (int64_t task = begin; task < end; ++task) {
    X* x = static_cast<X*>(b.write(p.x_ref)) + p.x_offset;
    const M* mask = static_cast<const M*>(b.read(p.mask_ref));
    int64_t rest = task;
    for (int i = 3; i >= 0; --i) {
      x += rest % p.x.shape[i] * p.x.strides[i];
      mask += rest % p.x.shape[i] * p.mask.strides[i];
      rest /= p.x.shape[i];
    }
    for (int64_t i = 0; i < p.x.shape[4]; ++i) {
      const double m = mask_value<double>(mask[i * p.mask.strides[4]]);
      X& value = x[i * p.x.strides[4]];
      value = m == 0 ? X{} : static_cast<X>(m * static_cast<double>(value));
    }
  }
}

void run_product(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
                 int64_t end) noexcept {
  const MaskProductProblem& p = as_product(problem);
  with_type(p.mask.dtype, [&](auto* mask_type) {
    using M = std::remove_pointer_t<decltype(mask_type)>;
    with_type(p.x.dtype, [&](auto* type) {
      using X = std::remove_pointer_t<decltype(type)>;
      if constexpr (!std::is_same_v<X, uint8_t>) multiply_rows<X, M>(p, b, begin, end);
    });
  });
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kSumFns{reject, no_bytes, no_pack, no_bytes, n_sum_tasks, run_sum};
const KernelRecord kSum{"mask_sum",        "mask_sum",      DType::f32,
                        Cluster::baseline, DeviceType::cpu, &kSumFns};
const KernelFns kFactorFns{reject, no_bytes, no_pack, no_bytes, n_factor_tasks, run_factor};
const KernelRecord kFactor{"mask_factor",     "mask_factor",   DType::f32,
                           Cluster::baseline, DeviceType::cpu, &kFactorFns};

const KernelFns kProductFns{reject, no_bytes, no_pack, no_bytes, n_product_tasks, run_product};
const KernelRecord kProduct{"mask_product",    "mask_product",  DType::f32,
                            Cluster::baseline, DeviceType::cpu, &kProductFns};

constexpr double kSecondsPerValue = 0.5e-9;

}  // namespace

void add_mask_sum_step(PlanImpl& plan, const MaskSumProblem& problem) {
  const double n = static_cast<double>(problem.mask.n_elements());
  add_step(plan, kSum, std::make_shared<MaskSumProblem>(problem), n * kSecondsPerValue);
}

void add_mask_factor_step(PlanImpl& plan, const MaskFactorProblem& problem) {
  const double n = static_cast<double>(problem.n_batch * n_positions(problem));
  add_step(plan, kFactor, std::make_shared<MaskFactorProblem>(problem), n * 3 * kSecondsPerValue);
}

void add_mask_product_step(PlanImpl& plan, const MaskProductProblem& problem) {
  const double n = static_cast<double>(problem.x.n_elements());
  add_step(plan, kProduct, std::make_shared<MaskProductProblem>(problem), n * kSecondsPerValue);
}

}  // namespace swath
