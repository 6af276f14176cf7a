// The table of operators and the one selection loop.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <swath/plan.h>

#include "core/kernel.h"

namespace swath {

/// An operator's kernels of all clusters, best first, the reference last.
struct Operator {
  const char* name;
  std::vector<KernelRecord> kernels;
};

/// Made from ops.def at first use.
const std::vector<Operator>& operators();
const Operator& find_operator(const char* name);

/// Of packed weights, temporaries and each worker's scratch.
inline constexpr size_t kMemoryAlign = 64;
inline size_t aligned(size_t n) noexcept {
  return (n + kMemoryAlign - 1) / kMemoryAlign * kMemoryAlign;
}

/// One kernel applied to one problem; a plan is a sequence of them with a barrier between.
struct Step {
  const KernelRecord* kernel;
  std::shared_ptr<const void> problem;
  size_t packed_bytes = 0, scratch_bytes = 0;
  size_t packed_offset = 0;  // in the plan's packed memory; steps may share an earlier step's
  int64_t n_tasks = 0;
  double cost_seconds = 0;
};

/// An array that steps work on: what it looks like and where it is. desc null: absent.
struct Operand {
  const TensorDesc* desc = nullptr;
  ArrayRef ref;
  int64_t offset = 0;  // of element (0, 0, ...) from where `ref` points: a view of a larger array
};

struct PlanImpl {
  bool wants_reasons = false;  // fill `candidates`: only for explain, it costs microseconds
  std::string op = "run";      // the public function's name, for error texts
  std::vector<TensorDesc> outputs;
  /// Run before the first step: they throw if the values of an input (a mask, an index) are not
  /// what the operator needs, so that nothing is half-written.
  std::vector<std::function<void(const Buffers&)>> checks;
  std::vector<Step> steps;
  std::string kernel = "empty";
  std::vector<Candidate> candidates;
  int64_t flops = 0, bytes = 0;
  size_t packed_bytes = 0;              // of all steps' weights
  size_t temp_bytes = 0;                // memory that steps hand to later steps (Buffers::temp)
  std::shared_ptr<std::byte[]> packed;  // all steps' weights, if packed ahead
};

/// Memory for `n_bytes` that lives from step to step of one run.
ArrayRef reserve_temp(PlanImpl& plan, int64_t n_bytes);

/// The first kernel of the table that fits dtype, machine, force_kernel and its own reject().
/// `op` is the public function's name for the error text.
const KernelRecord& select_kernel(const Operator& table, DType dtype, const void* problem,
                                  const std::string& op);

inline constexpr int kOwnWeights = -1;

/// Appends a step for `problem`, selecting its kernel. `same_weights` is the index of an earlier
/// step whose problem has the same weights in the same axes: if both have one kernel they share the
/// packed copy.
void add_step(PlanImpl& plan, const Operator& table, DType dtype,
              std::shared_ptr<const void> problem, double cost_seconds, const std::string& op,
              int same_weights = kOwnWeights);
/// Appends a step for a kernel that needs no selection.
void add_step(PlanImpl& plan, const KernelRecord& kernel, std::shared_ptr<const void> problem,
              double cost_seconds);

}  // namespace swath
