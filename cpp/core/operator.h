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

/// One kernel applied to one problem; a plan is a sequence of them with a barrier between.
struct Step {
  const KernelRecord* kernel;
  std::shared_ptr<const void> problem;
  size_t packed_bytes = 0, scratch_bytes = 0;
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
  size_t temp_bytes = 0;                // memory that steps hand to later steps (Buffers::temp)
  std::shared_ptr<std::byte[]> packed;  // all steps' weights, if packed ahead
};

/// Memory for `n_bytes` that lives from step to step of one run.
ArrayRef reserve_temp(PlanImpl& plan, int64_t n_bytes);

/// The first kernel of the table that fits dtype, machine, force_kernel and its own reject().
/// `op` is the public function's name for the error text.
const KernelRecord& select_kernel(PlanImpl& plan, const Operator& table, DType dtype,
                                  const void* problem, const std::string& op);

/// Appends a step for `problem`, selecting its kernel.
void add_step(PlanImpl& plan, const Operator& table, DType dtype,
              std::shared_ptr<const void> problem, double cost_seconds, const std::string& op);
/// Appends a step for a kernel that needs no selection.
void add_step(PlanImpl& plan, const KernelRecord& kernel, std::shared_ptr<const void> problem,
              double cost_seconds);

}  // namespace swath
