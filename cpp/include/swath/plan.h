#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <swath/executor.h>
#include <swath/tensor.h>

namespace swath {

/// One line of the answer to "which kernel, and why not the others".
struct Candidate {
  std::string kernel;
  std::string reason;  // empty: chosen
};

struct RunOptions {
  Executor* executor = nullptr;  // null: the default executor
  int max_threads = 0;           // 0: as many as the executor has
  void* workspace = nullptr;     // null: a buffer kept by the calling thread
  size_t workspace_bytes = 0;    // of `workspace`; at least Plan::workspace_bytes(threads)
};

struct PlanImpl;

/// An immutable, runnable description of one call. Copies are cheap; run() may be called from
/// many threads at once.
class SWATH_API Plan {
 public:
  Plan() = default;
  explicit Plan(std::shared_ptr<const PlanImpl> impl) : impl_(std::move(impl)) {}

  std::span<const TensorDesc> outputs() const noexcept;
  /// The kernel of the costliest step, "copy" or "empty" if there is none.
  const std::string& kernel() const noexcept;
  const std::vector<Candidate>& candidates() const noexcept;
  int64_t flops() const noexcept;
  int64_t bytes() const noexcept;
  size_t packed_bytes() const noexcept;
  size_t workspace_bytes(int n_threads) const noexcept;
  /// Estimated seconds of one thread, for decisions such as releasing the GIL.
  double cost_seconds() const noexcept;

  /// The same plan with the constant inputs (weights) packed once. Null inputs may be missing.
  Plan prepack(std::span<const void* const> inputs) const;

  /// inputs and outputs in the operator's slot order; absent optional inputs are null.
  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const RunOptions& options = {}) const;

  /// For operators that are composed of others.
  const std::shared_ptr<const PlanImpl>& impl() const noexcept { return impl_; }

 private:
  std::shared_ptr<const PlanImpl> impl_;
};

}  // namespace swath
