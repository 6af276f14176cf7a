// The choice of key blocks by counting, for each candidate, how many are better: in double.
#include <cmath>
#include <iterator>
#include <limits>

#include "ops/common/scalar.h"
#include "ops/select_blocks/problem.h"

namespace swath {
namespace {

const SelectProblem& as_select(const void* p) { return *static_cast<const SelectProblem*>(p); }
int64_t n_tasks(const void* problem) noexcept { return as_select(problem).n_tasks(); }
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(as_select(problem).max_candidates) * 3 * sizeof(double);
}

struct Reference {
  const SelectProblem& p;
  const Buffers& b;
  const SelectTask& task;
  const int32_t* candidates;
  double *score, *weight;

  void make_scores(int64_t row) const {
    const DType acc = accumulator_of(p.dtype);
    const int64_t kv_head = task.head / (p.n_heads / p.n_kv_heads);
    const int64_t q = ((task.batch * p.n_heads + task.head) * p.n_q + row) * p.n_d;
    const int64_t k = (task.batch * p.n_kv_heads + kv_head) * p.n_k * p.n_d;
    for (int64_t i = 0; i < task.n_candidates; ++i) {
      double dot = 0;
      for (int64_t c = 0; c < p.n_d; ++c) {
        dot += load_scalar(acc, b.read(p.q_means), q + c) *
               load_scalar(acc, b.read(p.k_means), k + candidates[i] * p.n_d + c);
      }
      score[i] = static_cast<double>(static_cast<float>(p.scale * dot));
      if (std::isnan(score[i])) score[i] = -std::numeric_limits<double>::infinity();
    }
  }
  void make_weights() const {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t i = 0; i < task.n_candidates; ++i) most = score[i] > most ? score[i] : most;
    for (int64_t i = 0; i < task.n_candidates; ++i) {
      weight[i] = score[i] == most ? 1 : std::exp(score[i] - most);
      sum += weight[i];
    }
    for (int64_t i = 0; i < task.n_candidates; ++i) weight[i] /= sum;
  }
  int32_t level(int64_t i) const {
    int64_t rank = 0;
    double before = 0;
    for (int64_t j = 0; j < task.n_candidates; ++j) {
      if (score[j] > score[i] || (score[j] == score[i] && j < i)) {
        ++rank;
        before += weight[j];
      }
    }
    return p.level_of(rank, task.n_candidates, before, weight[i]);
  }
};

void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const SelectProblem& p = as_select(problem);
  auto* score = static_cast<double*>(scratch);
  double* weight = score + p.max_candidates;
  auto* candidates = reinterpret_cast<int32_t*>(weight + p.max_candidates);
  int32_t* levels = candidates + p.max_candidates;
  for (int64_t i = begin; i < end; ++i) {
    SelectTask task(p, i);
    if (task.n_rows <= 0) continue;
    task.list_candidates(p, b, candidates);
    for (int64_t r = 0; r < task.n_rows; ++r) {
      const Reference row{p, b, task, candidates, score, weight};
      row.make_scores(task.first_row + r);
      row.make_weights();
      for (int64_t j = 0; j < task.n_candidates; ++j) levels[j] = row.level(j);
      task.write(p, b, task.first_row + r, candidates, levels, task.n_candidates);
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, scratch_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)           \
  {"select_blocks_" #dtype "_reference", \
   "reference",                          \
   DType::dtype,                         \
   Cluster::reference,                   \
   DeviceType::cpu,                      \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable select_blocks_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
