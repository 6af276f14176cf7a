#include <swath/registry.h>

#include <algorithm>
#include <cstring>

#include <swath/error.h>

#include "core/cpu_features.h"
#include "core/format.h"
#include "core/operator.h"
#include "operator_tables.h"  // generated from ops.def and the clusters of this build

namespace swath {
namespace {

std::string& forced() {
  thread_local std::string pattern;
  return pattern;
}

Operator make_operator(const char* name, std::initializer_list<KernelTable> tables) {
  Operator op{name, {}};
  for (const KernelTable& table : tables) {
    for (int i = 0; i < table.count; ++i) {
      if (cluster_enabled(table.records[i].cluster)) op.kernels.push_back(table.records[i]);
    }
  }
  return op;
}

bool is_forced_out(const Operator& table, const KernelRecord& kernel, const std::string& pattern) {
  if (pattern.empty() || pattern == kernel.name || pattern == kernel.variant ||
      pattern == name_of(kernel.cluster)) {
    return false;
  }
  // A full kernel name restricts only the operator that it belongs to.
  for (const Operator& op : operators()) {
    for (const KernelRecord& k : op.kernels) {
      if (pattern == k.name) return &op == &table;
    }
  }
  return true;
}

/// Null if the kernel may serve this dtype under the current restriction.
const char* refuse(const Operator& table, const KernelRecord& kernel, DType dtype) {
  if (kernel.dtype != dtype) return "made for another dtype";
  if (!forced().empty() && is_forced_out(table, kernel, forced())) {
    return "testing.force_kernel asks for another kernel";
  }
  return nullptr;
}

}  // namespace

const std::vector<Operator>& operators() {
  static const std::vector<Operator> all = {SWATH_OPERATOR_TABLES};
  return all;
}

const Operator& find_operator(const char* name) {
  for (const Operator& op : operators()) {
    if (std::strcmp(op.name, name) == 0) return op;
  }
  throw Error(ErrorCode::param, "info", "op", format("op is '{}', not one of this build's", name));
}

namespace {

const KernelRecord* first_fitting(const Operator& table, DType dtype, const void* problem) {
  for (const KernelRecord& kernel : table.kernels) {
    if (refuse(table, kernel, dtype) == nullptr && kernel.fns->reject(problem) == nullptr) {
      return &kernel;
    }
  }
  return nullptr;
}

std::vector<Candidate> explain_choice(const Operator& table, DType dtype, const void* problem,
                                      const KernelRecord* chosen) {
  std::vector<Candidate> all;
  for (const KernelRecord& kernel : table.kernels) {
    if (kernel.dtype != dtype) continue;
    const char* reason = refuse(table, kernel, dtype);
    if (reason == nullptr) reason = kernel.fns->reject(problem);
    if (reason == nullptr) reason = &kernel == chosen ? "" : "a better kernel was chosen";
    all.push_back({kernel.name, reason});
  }
  return all;
}

}  // namespace

const KernelRecord& select_kernel(const Operator& table, DType dtype, const void* problem,
                                  const std::string& op) {
  const KernelRecord* chosen = first_fitting(table, dtype, problem);
  if (chosen == nullptr) {
    std::string text = format("no kernel serves this call on {} arrays", name_of(dtype));
    for (const Candidate& c : explain_choice(table, dtype, problem, nullptr)) {
      text += format("; {}: {}", c.kernel, c.reason);
    }
    throw Error(ErrorCode::unsupported, op, "x", text);
  }
  return *chosen;
}

namespace {

bool is_costliest(const PlanImpl& plan, double cost_seconds) {
  return std::none_of(plan.steps.begin(), plan.steps.end(),
                      [&](const Step& other) { return other.cost_seconds >= cost_seconds; });
}

}  // namespace

void add_step(PlanImpl& plan, const KernelRecord& kernel, std::shared_ptr<const void> problem,
              double cost_seconds) {
  Step step{&kernel, std::move(problem)};
  step.packed_bytes = kernel.fns->packed_bytes(step.problem.get());
  step.packed_offset = plan.packed_bytes;
  plan.packed_bytes += aligned(step.packed_bytes);
  step.scratch_bytes = kernel.fns->scratch_bytes(step.problem.get());
  step.n_tasks = kernel.fns->n_tasks(step.problem.get());
  step.cost_seconds = cost_seconds;
  if (is_costliest(plan, cost_seconds)) plan.kernel = kernel.name;
  plan.steps.push_back(std::move(step));
}

void add_step(PlanImpl& plan, const Operator& table, DType dtype,
              std::shared_ptr<const void> problem, double cost_seconds, const std::string& op,
              int same_weights) {
  const KernelRecord& kernel = select_kernel(table, dtype, problem.get(), op);
  if (plan.wants_reasons && is_costliest(plan, cost_seconds)) {
    plan.candidates = explain_choice(table, dtype, problem.get(), &kernel);
  }
  plan.op = op;
  add_step(plan, kernel, std::move(problem), cost_seconds);
  if (same_weights == kOwnWeights) return;
  const Step& owner = plan.steps[same_weights];
  Step& step = plan.steps.back();
  if (owner.kernel != step.kernel || owner.packed_bytes != step.packed_bytes) return;
  plan.packed_bytes = step.packed_offset;
  step.packed_offset = owner.packed_offset;
  step.packed_bytes = 0;
}

std::vector<std::string> operator_names() {
  std::vector<std::string> names;
  for (const Operator& op : operators()) names.emplace_back(op.name);
  return names;
}

std::vector<std::string> kernel_names(const std::string& op) {
  std::vector<std::string> names;
  for (const KernelRecord& k : find_operator(op.c_str()).kernels) names.emplace_back(k.name);
  return names;
}

std::vector<std::string> cluster_names() {
  std::vector<std::string> names;
  for (Cluster c : enabled_clusters()) names.emplace_back(name_of(c));
  return names;
}

std::string force_kernel(const std::string& pattern) {
  std::string previous = forced();
  if (!pattern.empty()) {
    bool known = false;
    for (const Operator& op : operators()) {
      for (const KernelRecord& k : op.kernels) {
        known |= pattern == k.name || pattern == k.variant || pattern == name_of(k.cluster);
      }
    }
    if (!known) {
      throw Error(
          ErrorCode::param, "force_kernel", "name",
          format("name is '{}', not a kernel, variant or cluster of this machine", pattern));
    }
  }
  forced() = pattern;
  return previous;
}

const char* version() noexcept { return SWATH_VERSION; }

}  // namespace swath
