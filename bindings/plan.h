// The plan objects behind Conv1d, GatedConv1d, PartialConv1d and their kin.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "buffer.h"
#include "made.h"
#include "ops/gated_conv.h"
#include "ops/partial_conv.h"
#include "ops/sliding_conv.h"
#include "plan_cache.h"

namespace swath::python {

/// The constant arrays of a plan as Python objects.
struct ConvConstants {
  py::handle weight, bias, scale, shift;
};

/// A convolution with constant weights. Immutable but for its cache. `op` is the class's name in
/// Python, a string literal.
class ConvPlan : public Made {
 public:
  ConvPlan(const char* op, ConvSettings settings, const ConvConstants& constants);
  virtual ~ConvPlan() = default;

  /// A finished object of a subclass; refuses at once what no x could fit.
  template <class P, class... Args>
  static std::unique_ptr<P> make(Args&&... args) {
    auto plan = std::make_unique<P>(std::forward<Args>(args)...);
    plan->check_constants();
    plan->set_made();
    return plan;
  }

  py::object run(py::handle x, py::handle residual, py::handle out, py::handle threads) const;

  /// Scratch memory of one call; the weights are packed already.
  size_t workspace_bytes(const std::vector<int64_t>& shape) const;

  /// A plan for a contiguous x of this shape and the weights' dtype, for counting work.
  Plan plan_for(const std::vector<int64_t>& shape) const;

  /// The constant arrays by argument name; None where absent.
  py::dict arrays() const;

 protected:
  using Constant = std::optional<Buffer>;
  /// extra: the residual, or the mask of a partial convolution.
  virtual Plan make_plan(const TensorDesc& x, const TensorDesc* extra,
                         const PlanOptions& options) const;
  static const TensorDesc* desc_of(const Constant& b) { return b ? &b->desc : nullptr; }
  void set_constants(Call& call) const;
  /// From the cache, or new with packed weights.
  Plan packed_plan(Call& call, const TensorDesc& x, const TensorDesc* extra) const;
  int threads_of_call(py::handle threads) const;

  const char* op_;
  ConvSettings settings_;
  Constant weight_, bias_, scale_, shift_;

 private:
  Constant copy_constant(py::handle object, const char* arg) const;
  /// Refuses at once what no x could fit, such as a bias of the wrong length.
  void check_constants() const;

  mutable PlanCache cache_;
};

class GatedConvPlan : public ConvPlan {
 public:
  GatedConvPlan(const char* op, ConvSettings settings, const ConvConstants& constants,
                const ConvGate& gate)
      : ConvPlan(op, std::move(settings), constants), gate_(gate) {}

 protected:
  Plan make_plan(const TensorDesc& x, const TensorDesc* extra,
                 const PlanOptions& options) const override;

 private:
  ConvGate gate_;
};

class PartialConvPlan : public ConvPlan {
 public:
  PartialConvPlan(const char* op, ConvSettings settings, const ConvConstants& constants,
                  const PartialOptions& options)
      : ConvPlan(op, std::move(settings), constants), options_(options) {}

  py::object run(py::handle x, py::handle mask, py::handle out, py::handle threads) const;

 protected:
  Plan make_plan(const TensorDesc& x, const TensorDesc* extra,
                 const PlanOptions& options) const override;

 private:
  PartialOptions options_;
};

}  // namespace swath::python
