#include "ops/common/partial_sums.h"

#include <Eigen/Core>
#include <algorithm>
#include <cstring>

namespace swath {
namespace {

struct SumProblem {
  PartialSums sums;
  ArrayRef from, to;
  int64_t to_offset;
};

/// Sums of one task.
constexpr int64_t kTaskSums = 4096;

const SumProblem& as_sum(const void* p) { return *static_cast<const SumProblem*>(p); }

int64_t n_tasks(const void* p) noexcept { return (as_sum(p).sums.n + kTaskSums - 1) / kTaskSums; }

template <class S, class T>
void add_range(const SumProblem& p, const Buffers& b, int64_t begin, int64_t end) {
  const T* from = static_cast<const T*>(b.read(p.from));
  S* to = static_cast<S*>(b.write(p.to)) + p.to_offset;
  T sums[64];
  for (int64_t i = begin; i < end; i += 64) {
    const int64_t n = std::min<int64_t>(64, end - i);
    std::memcpy(sums, from + i, static_cast<size_t>(n) * sizeof(T));
    for (int64_t k = 1; k < p.sums.n_partials; ++k) {
      const T* part = from + k * p.sums.pitch + i;
      for (int64_t j = 0; j < n; ++j) sums[j] += part[j];
    }
    for (int64_t j = 0; j < n; ++j) to[i + j] = static_cast<S>(sums[j]);
  }
}

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const SumProblem& p = as_sum(problem);
  begin *= kTaskSums;
  end = std::min(end * kTaskSums, p.sums.n);
  switch (p.sums.dtype) {
    case DType::f64:
      return add_range<double, double>(p, b, begin, end);
    case DType::f16:
      return add_range<Eigen::half, float>(p, b, begin, end);
    case DType::bf16:
      return add_range<Eigen::bfloat16, float>(p, b, begin, end);
    default:
      return add_range<float, float>(p, b, begin, end);
  }
}

struct ZeroProblem {
  ArrayRef to;
  int64_t first_byte, n_bytes;
};

int64_t one_task(const void*) noexcept { return 1; }
void clear(const void* problem, const Buffers& b, const void*, void*, int64_t, int64_t) noexcept {
  const ZeroProblem& p = *static_cast<const ZeroProblem*>(problem);
  std::memset(static_cast<char*>(b.write(p.to)) + p.first_byte, 0, static_cast<size_t>(p.n_bytes));
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kSumFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};
const KernelRecord kSum{"add_partial_sums", "sum",           DType::f32,
                        Cluster::baseline,  DeviceType::cpu, &kSumFns};
const KernelFns kZeroFns{reject, no_bytes, no_pack, no_bytes, one_task, clear};
const KernelRecord kZero{"zeros",           "zeros",         DType::f32,
                         Cluster::baseline, DeviceType::cpu, &kZeroFns};

}  // namespace

ArrayRef reserve_partials(PlanImpl& plan, const PartialSums& sums) {
  return reserve_temp(plan, sums.n_partials * sums.pitch * accumulator_bytes(sums.dtype));
}

void add_partial_sums(PlanImpl& plan, const PartialSums& sums, const ArrayRef& from,
                      const ArrayRef& to, int64_t to_offset) {
  const double bytes = static_cast<double>(sums.n_partials + 1) * sums.n * 8;
  add_step(plan, kSum, std::make_shared<SumProblem>(SumProblem{sums, from, to, to_offset}),
           bytes / 10e9);
}

void add_zeros(PlanImpl& plan, const Operand& to) {
  const int64_t item = item_bytes(to.desc->dtype), n = to.desc->n_elements() * item;
  if (n == 0) return;
  add_step(plan, kZero, std::make_shared<ZeroProblem>(ZeroProblem{to.ref, to.offset * item, n}),
           static_cast<double>(n) / 10e9);
}

}  // namespace swath
