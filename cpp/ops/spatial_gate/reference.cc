// Softmax and its gradient in plain loops and in double.
#include <cmath>
#include <iterator>

#include "ops/common/scalar.h"
#include "ops/spatial_gate/problem.h"

namespace swath {
namespace {

const SoftmaxProblem& as_softmax(const void* p) { return *static_cast<const SoftmaxProblem*>(p); }

/// One task is one softmax.
int64_t n_tasks(const void* problem) noexcept {
  return as_softmax(problem).outer.count() * as_softmax(problem).lanes.n;
}

struct Reference {
  const SoftmaxProblem& s;
  const Buffers& b;
  DType acc;
  int64_t at[kSoftmaxArrays], p_at;

  int64_t p_index(int64_t i) const { return p_at + i * s.lanes.n; }
  double p(int64_t i) const { return load_scalar(acc, b.read(s.p), p_index(i)); }
  double dp(int64_t i) const { return load_scalar(acc, b.read(s.dp), p_index(i)); }
  double logit(int64_t i) const {
    const WalkPosition<kSoftmaxArrays> axis(s.axis, i);
    return load_scalar(s.dtype, b.read(s.logits), at[kSoftmaxLogits] + axis.at[kSoftmaxLogits]);
  }

  void forward(int64_t n) const {
    double most = logit(0);
    for (int64_t i = 1; i < n; ++i) {
      if (!(logit(i) <= most)) most = std::isnan(most) ? most : logit(i);
    }
    ScalarSum sum;
    for (int64_t i = 0; i < n; ++i) sum.add(std::exp(logit(i) - most));
    for (int64_t i = 0; i < n; ++i) {
      store_scalar(acc, b.write(s.p), p_index(i), std::exp(logit(i) - most) / sum.value());
    }
  }

  void backward(int64_t n) const {
    ScalarSum mean;
    for (int64_t i = 0; i < n; ++i) mean.add(p(i) * dp(i));
    for (int64_t i = 0; i < n; ++i) {
      const WalkPosition<kSoftmaxArrays> axis(s.axis, i);
      store_scalar(s.dtype, b.write(s.dlogits), at[kSoftmaxGrad] + axis.at[kSoftmaxGrad],
                   p(i) * (dp(i) - mean.value()));
    }
  }
};

void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const SoftmaxProblem& s = as_softmax(problem);
  const int64_t n = s.axis.count();
  for (int64_t task = begin; task < end; ++task) {
    const int64_t outer = task / s.lanes.n, lane = task % s.lanes.n;
    const WalkPosition<kSoftmaxArrays> at(s.outer, outer);
    Reference r{s, buffers, accumulator_of(s.dtype), {}, outer * n * s.lanes.n + lane};
    for (int k = 0; k < kSoftmaxArrays; ++k) r.at[k] = at.at[k] + lane * s.lanes.stride[k];
    if (s.is_backward) {
      r.backward(n);
    } else {
      r.forward(n);
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)          \
  {"spatial_gate_" #dtype "_reference", \
   "reference",                         \
   DType::dtype,                        \
   Cluster::reference,                  \
   DeviceType::cpu,                     \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable spatial_gate_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
