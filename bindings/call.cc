#include "call.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/format.h"
#include "executor.h"
#include "explain.h"
#include "recorded.h"

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

const TensorDesc& Call::input(int slot, py::handle object, const char* arg, Accept accept) {
  ArrayArg& array = arrays_[slot];
  read_array(object, {op_, arg}, accept, array);
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
  for (size_t slot = 0; slot < arrays_.size(); ++slot) {
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

Result Call::make_result(const TensorDesc& needed, int index) const {
  const ArrayArg& x = arrays_[0];
  if (index > 0 || !has_out()) return allocate_result(needed, x, {op_, "out"});
  check_out(out_, x, {op_, "out"});
  return {out_.view, out_.object};
}

void Call::run_plan(const Plan& plan, std::span<void* const> outputs, int limit) const {
  const MaybeReleaseGil gil(plan.cost_seconds() > kReleaseAbove);
  plan.run(pointers_, outputs, {.max_threads = limit});
  if (is_recording()) note_run(plan, pointers_, outputs, limit);
}

py::object Call::run(const Plan& plan, int n_threads) {
  const int limit = combined_thread_limit(n_threads);
  if (is_explaining()) return explain(plan, limit);
  Result result = make_result(plan.outputs()[0], 0);
  void* const outputs[] = {result.view.data};
  run_plan(plan, outputs, limit);
  return has_out() ? std::move(result.object) : finish_result(std::move(result), arrays_[0]);
}

py::object Call::make(const Plan& shape, double seconds, const std::function<void(void*)>& fill) {
  if (is_recording()) refuse_recording();
  Result result = make_result(shape.outputs()[0], 0);
  {
    const MaybeReleaseGil gil(seconds > kReleaseAbove);
    fill(result.view.data);
  }
  return has_out() ? std::move(result.object) : finish_result(std::move(result), arrays_[0]);
}

std::vector<py::object> Call::run_all(const Plan& plan, int n_threads) {
  const int limit = combined_thread_limit(n_threads);
  std::vector<py::object> objects;
  if (is_explaining()) {
    objects.assign(plan.outputs().size(), explain(plan, limit));
    return objects;
  }
  std::vector<Result> results;
  std::vector<void*> outputs;
  for (const TensorDesc& needed : plan.outputs()) {
    results.push_back(make_result(needed, static_cast<int>(results.size())));
    outputs.push_back(results.back().view.data);
  }
  run_plan(plan, outputs, limit);
  for (Result& result : results) {
    const bool is_given = objects.empty() && has_out();
    objects.push_back(is_given ? std::move(result.object)
                               : finish_result(std::move(result), arrays_[0]));
  }
  return objects;
}

py::tuple Call::run_gradients(const Plan& plan, int n_threads, const std::vector<bool>& needed) {
  const bool any = std::find(needed.begin(), needed.end(), true) != needed.end();
  std::vector<py::object> found;
  if (any || is_explaining()) found = run_all(plan, n_threads);
  return spread(std::move(found), needed);
}

py::tuple spread(std::vector<py::object> found, const std::vector<bool>& is_given) {
  py::tuple all(is_given.size());
  size_t next = 0;
  for (size_t i = 0; i < is_given.size(); ++i) {
    all[i] = is_given[i] ? std::move(found[next++]) : py::object(py::none());
  }
  return all;
}

py::object Call::explain(const Plan& plan, int n_threads) const {
  if (has_out()) check_out(out_, arrays_[0], {op_, "out"});
  std::vector<std::string> copies;
  for (size_t slot = 0; slot < arrays_.size(); ++slot) {
    if (*arrays_[slot].copied != '\0') {
      copies.push_back(format("{}: {}", names_[slot], arrays_[slot].copied));
    }
  }
  record_explanation(op_, plan, std::move(copies), n_threads);
  return py::none();
}

}  // namespace swath::python
