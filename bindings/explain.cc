#include "explain.h"

#include <pybind11/stl.h>

#include <swath/error.h>
#include <swath/executor.h>

#include <optional>

#include "bindings.h"

namespace swath::python {
namespace {

struct Explanation {
  std::string op, kernel;
  std::vector<Candidate> candidates;
  std::vector<std::string> copies;
  int64_t flops, bytes;
  size_t workspace_bytes;
};

using Slot = std::optional<Explanation>;
thread_local Slot* t_slot = nullptr;  // null: calls run as usual

class Explaining {
 public:
  explicit Explaining(Slot& slot) noexcept : previous_(t_slot) { t_slot = &slot; }
  Explaining(const Explaining&) = delete;
  ~Explaining() { t_slot = previous_; }

 private:
  Slot* previous_;
};

py::dict explain(const py::object& fn, const py::tuple& args, const py::dict& keywords) {
  Slot slot;
  {
    const Explaining scope(slot);
    fn(*args, **keywords);
  }
  if (!slot) {
    throw Error(ErrorCode::param, "explain", "fn", "fn did not call an operator of swath");
  }
  py::list candidates;
  for (const Candidate& c : slot->candidates) {
    candidates.append(py::make_tuple(c.kernel, c.reason));
  }
  using namespace py::literals;
  return py::dict("op"_a = slot->op, "kernel"_a = slot->kernel, "candidates"_a = candidates,
                  "copies"_a = slot->copies, "flops"_a = slot->flops, "bytes"_a = slot->bytes,
                  "workspace_bytes"_a = slot->workspace_bytes);
}

}  // namespace

bool is_explaining() noexcept { return t_slot != nullptr; }

void record_explanation(const char* op, const Plan& plan, std::vector<std::string> copies,
                        int n_threads) {
  if (t_slot->has_value()) return;  // the first call counts
  const int n = n_threads > 0 ? std::min(n_threads, num_threads()) : num_threads();
  *t_slot = Explanation{op,           plan.kernel(), plan.candidates(),      std::move(copies),
                        plan.flops(), plan.bytes(),  plan.workspace_bytes(n)};
}

void bind_explain(py::module_& m) {
  m.def("explain", &explain, py::arg("fn"), py::arg("args"), py::arg("kwargs"));
}

}  // namespace swath::python
