// One call of an operator from Python: arrays in, plan, run, array out. The operators' bindings
// fill one of these and hand it a plan; all rules that hold for every operator are here.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include <swath/ops/common.h>
#include <swath/plan.h>

#include "buffer.h"
#include "result.h"
#include "tensor_caster.h"

namespace swath::python {

/// As many as any call has, and as most calls have at most.
inline constexpr int kMaxArrays = 32, kUsualArrays = 10;

enum class OutMayBeX : bool { no, yes };

class Call {
 public:
  /// `op` is the public function's name, a string literal.
  explicit Call(const char* op, Accept accept = Accept::floats, int n_arrays = kUsualArrays)
      : op_(op), accept_(accept), arrays_(n_arrays), names_(n_arrays), pointers_(n_arrays) {}

  /// Slot 0 must be read first: results follow its library.
  const TensorDesc& input(int slot, py::handle object, const char* arg) {
    return input(slot, object, arg, accept_);
  }
  const TensorDesc& input(int slot, py::handle object, const char* arg, Accept accept);
  /// None gives null.
  const TensorDesc* optional_input(int slot, py::handle object, const char* arg);
  /// An array that a plan holds.
  void constant(int slot, const Buffer& buffer) { pointers_[slot] = buffer.memory.get(); }

  /// By slot; absent arrays are null.
  std::span<const void* const> pointers() const noexcept { return pointers_; }

  /// Reads `out`, None for a new array. After all inputs. With OutMayBeX::yes an `out` that is
  /// exactly x asks for the in-place mode; any other overlap is refused.
  void out(py::handle object, OutMayBeX rule = OutMayBeX::no);
  bool has_out() const noexcept { return static_cast<bool>(out_.object); }
  PlanOptions options() const noexcept;

  /// Runs on at most `n_threads` (0: no limit) and returns the result; under info.explain records
  /// what would run and returns None.
  py::object run(const Plan& plan, int n_threads);
  /// A new array for the first output of `shape`, or `out`, that `fill` writes into; `seconds` is
  /// an estimate of its time.
  py::object make(const Plan& shape, double seconds, const std::function<void(void*)>& fill);
  /// The same for a plan of several outputs: one array for each, in the library of slot 0. `out` is
  /// the first output. An output of x's dtype shares its kind, another is of a plain dtype.
  std::vector<py::object> run_all(const Plan& plan, int n_threads);
  /// The same for a backward whose plan gives the gradients that are `needed`: None for the others.
  py::tuple run_gradients(const Plan& plan, int n_threads, const std::vector<bool>& needed);

 private:
  py::object explain(const Plan& plan, int n_threads) const;
  Result make_result(const TensorDesc& needed, int index) const;
  void run_plan(const Plan& plan, std::span<void* const> outputs, int limit) const;

  const char* op_;
  Accept accept_;
  bool is_in_place_ = false;
  std::vector<ArrayArg> arrays_;
  std::vector<const char*> names_;
  std::vector<const void*> pointers_;
  ArrayArg out_;
};

/// Objects in order where `is_given`, None elsewhere.
py::tuple spread(std::vector<py::object> found, const std::vector<bool>& is_given);

}  // namespace swath::python
