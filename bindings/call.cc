#include "call.h"

#include <chrono>
#include <thread>

#include "core/format.h"
#include "executor.h"
#include "explain.h"

namespace swath::python {
namespace {

/// Getting the GIL back beside a busy thread can take milliseconds: short runs keep it.
constexpr double kReleaseAbove = 20e-6;

class MaybeReleaseGil {
 public:
  explicit MaybeReleaseGil(bool is_long) : state_(is_long ? PyEval_SaveThread() : nullptr) {}
  MaybeReleaseGil(const MaybeReleaseGil&) = delete;
  ~MaybeReleaseGil() {
    if (state_ == nullptr) return;
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      // The interpreter is shutting down and ends this daemon thread by unwinding its stack, which
      // would release Python objects without the GIL. Waiting for the process to end is what
      // CPython itself does from 3.14 on.
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

 private:
  PyThreadState* state_;
};

}  // namespace

const TensorDesc& Call::input(int slot, py::handle object, const char* arg) {
  ArrayArg& array = arrays_[slot];
  read_array(object, {op_, arg}, accept_, array);
  names_[slot] = arg;
  pointers_[slot] = array.view.data;
  return array.view.desc;
}

const TensorDesc* Call::optional_input(int slot, py::handle object, const char* arg) {
  return object.is_none() ? nullptr : &input(slot, object, arg);
}

void Call::out(py::handle object, OutMayBeX rule) {
  if (object.is_none()) return;
  read_output(object, {op_, "out"}, accept_, out_);
  for (int slot = 0; slot < kMaxArrays; ++slot) {
    if (names_[slot] == nullptr) continue;
    const TensorView& input = arrays_[slot].view;
    if (slot == 0 && rule == OutMayBeX::yes && is_same_array(out_.view, input)) {
      is_in_place_ = true;
    } else if (overlaps(out_.view, input)) {
      refuse(ErrorCode::param, {op_, "out"},
             format("out shares memory with {}, needed is an array of its own", names_[slot]));
    }
  }
}

PlanOptions Call::options() const noexcept {
  return {.explain = is_explaining(),
          .in_place = is_in_place_,
          .out = has_out() ? &out_.view.desc : nullptr};
}

py::object Call::run(const Plan& plan, int n_threads) {
  const int limit = combined_thread_limit(n_threads);
  if (is_explaining()) return explain(plan, limit);
  const TensorDesc& needed = plan.outputs()[0];
  const ArrayArg& x = arrays_[0];
  Result result;
  if (has_out()) {
    check_out(out_, x, {op_, "out"});
    result = {out_.view, out_.object};
  } else {
    result = allocate_result(needed, x, {op_, "out"});
  }
  void* const outputs[] = {result.view.data};
  {
    const MaybeReleaseGil gil(plan.cost_seconds() > kReleaseAbove);
    plan.run(pointers_, outputs, {.max_threads = limit});
  }
  return has_out() ? std::move(result.object) : finish_result(std::move(result), x);
}

py::object Call::explain(const Plan& plan, int n_threads) const {
  if (has_out()) check_out(out_, arrays_[0], {op_, "out"});
  std::vector<std::string> copies;
  for (int slot = 0; slot < kMaxArrays; ++slot) {
    if (*arrays_[slot].copied != '\0') {
      copies.push_back(format("{}: {}", names_[slot], arrays_[slot].copied));
    }
  }
  record_explanation(op_, plan, std::move(copies), n_threads);
  return py::none();
}

}  // namespace swath::python
