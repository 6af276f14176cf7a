// Merging parts of an attention in plain loops and in double.
#include <cmath>
#include <iterator>
#include <limits>

#include "ops/common/scalar.h"
#include "ops/merge_attention/problem.h"

namespace swath {
namespace {

const MergeProblem& as_merge(const void* p) { return *static_cast<const MergeProblem*>(p); }

/// One task is one row.
int64_t n_tasks(const void* problem) noexcept { return as_merge(problem).rows.count(); }

struct Reference {
  const MergeProblem& p;
  const Buffers& b;
  const int64_t (&at)[kMergeArrays];
  int64_t row;
  double weight[kMaxMergeParts] = {};

  DType acc() const { return accumulator_of(p.dtype); }
  double lse(int t) const { return load_scalar(acc(), b.in[p.o_slot(t) + 1], at[merge_lse(t)]); }
  bool is_empty(int t) const { return lse(t) == -std::numeric_limits<double>::infinity(); }
  double o(int t, int64_t j) const {
    return is_empty(t) ? 0
                       : load_scalar(p.dtype, b.in[p.o_slot(t)], at[merge_o(t)] + j * p.o_step[t]);
  }
  double g(int64_t j) const {
    return load_scalar(p.dtype, b.in[0], at[0] + j * p.o_step[kMaxMergeParts]);
  }

  double weigh() {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int t = 0; t < p.n_parts; ++t) most = lse(t) > most || std::isnan(lse(t)) ? lse(t) : most;
    for (int t = 0; t < p.n_parts; ++t) {
      if (!is_empty(t)) weight[t] = lse(t) == most ? 1 : std::exp(lse(t) - most);
      sum += weight[t];
    }
    for (int t = 0; t < p.n_parts && sum > 0; ++t) weight[t] /= sum;
    if (std::isnan(most)) {
      for (double& w : weight) w = most;
    }
    return sum == 0 ? most : most + std::log(sum);
  }

  void forward() {
    store_scalar(acc(), b.out[1], at[1], weigh());
    for (int64_t j = 0; j < p.n_channels; ++j) {
      double sum = 0;
      for (int t = 0; t < p.n_parts; ++t) sum += is_empty(t) ? 0 : weight[t] * o(t, j);
      store_scalar(p.dtype, b.out[0], at[0] + j * p.o_step[kMaxMergeParts], sum);
    }
  }

  void backward() {
    weigh();
    double dots[kMaxMergeParts] = {}, mean = p.has_dlse ? -load_scalar(acc(), b.in[1], at[1]) : 0;
    for (int t = 0; t < p.n_parts; ++t) {
      if (is_empty(t)) continue;
      ScalarSum sum;
      for (int64_t j = 0; j < p.n_channels; ++j) sum.add(g(j) * o(t, j));
      dots[t] = sum.value();
      mean += weight[t] * dots[t];
    }
    for (int t = 0; t < p.n_parts; ++t) {
      store_scalar(acc(), b.out[2 * t + 1], row, is_empty(t) ? 0 : weight[t] * (dots[t] - mean));
      for (int64_t j = 0; j < p.n_channels; ++j) {
        store_scalar(p.dtype, b.out[2 * t], row * p.n_channels + j,
                     is_empty(t) ? 0 : weight[t] * g(j));
      }
    }
  }
};

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const MergeProblem& p = as_merge(problem);
  for (int64_t row = begin; row < end; ++row) {
    const WalkPosition<kMergeArrays> at(p.rows, row);
    Reference r{p, b, at.at, row};
    if (p.is_backward) {
      r.backward();
    } else {
      r.forward();
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)             \
  {"merge_attention_" #dtype "_reference", \
   "reference",                            \
   DType::dtype,                           \
   Cluster::reference,                     \
   DeviceType::cpu,                        \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable merge_attention_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
