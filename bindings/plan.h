// The plan object behind Conv1d, Conv2d and Conv3d.
#pragma once

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "buffer.h"
#include "ops/sliding_conv.h"

namespace swath::python {

/// Plans already made by one ConvPlan, by what their calls' arrays look like. Safe from many
/// threads.
class PlanCache {
 public:
  /// Null descriptions are absent arrays.
  struct Key {
    const TensorDesc* x;
    const TensorDesc* residual;
    const TensorDesc* out;
    bool is_in_place;
  };

  std::optional<Plan> find(const Key& key) const;
  void insert(const Key& key, const Plan& plan);

 private:
  static constexpr size_t kCapacity = 8;
  struct Entry {
    TensorDesc x;
    std::optional<TensorDesc> residual, out;
    bool is_in_place;
    Plan plan;
  };

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  size_t next_ = 0;  // the entry to replace once full
};

/// A convolution with constant weights. Immutable but for its cache.
class ConvPlan {
 public:
  ConvPlan(int ndim, py::handle weight, py::handle bias, const ConvOptions& options,
           py::handle scale, py::handle shift);

  /// pybind11 hands methods raw memory from here when no constructor has finished (an object of
  /// Conv2d.__new__): zeros, so that `checked` can tell.
  __attribute__((noinline)) static void* operator new(size_t n);
  __attribute__((noinline)) static void operator delete(void* p) noexcept;
  /// Throws TypeError if no constructor has finished.
  const ConvPlan& checked() const;

  py::object run(py::handle x, py::handle residual, py::handle out, py::handle threads) const;

  /// Scratch memory of one call; the weights are packed already.
  size_t workspace_bytes(const std::vector<int64_t>& shape) const;

  /// A plan for a contiguous x of this shape and the weights' dtype, for counting work.
  Plan plan_for(const std::vector<int64_t>& shape) const;

  /// The constant arrays by argument name; None where absent.
  py::dict arrays() const;

 private:
  using Constant = std::optional<Buffer>;
  Constant copy_constant(py::handle object, const char* arg) const;
  Plan make_plan(const TensorDesc& x, const TensorDesc* residual, const PlanOptions& options) const;
  /// Refuses at once what no x could fit, such as a bias of the wrong length.
  void check_constants() const;
  void set_constants(Call& call) const;
  /// From the cache, or new with packed weights.
  Plan packed_plan(Call& call, const TensorDesc& x, const TensorDesc* residual) const;

  bool is_made_ = false;
  const char* op_;
  ConvSettings settings_;
  Constant weight_, bias_, scale_, shift_;
  mutable PlanCache cache_;
};

}  // namespace swath::python
