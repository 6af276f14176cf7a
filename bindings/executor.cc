#include "executor.h"

#include <swath/executor.h>

#include <algorithm>

#include "arguments.h"
#include "bindings.h"

namespace swath::python {
namespace {

thread_local int t_limit = 0;  // set by swath.num_threads; 0: none

/// Returns the limit that was in force before.
int set_thread_limit(int n) noexcept {
  const int previous = t_limit;
  t_limit = n;
  return previous;
}

}  // namespace

int combined_thread_limit(int n_threads) noexcept {
  if (t_limit == 0 || n_threads == 0) return std::max(t_limit, n_threads);
  return std::min(t_limit, n_threads);
}

void bind_executor(py::module_& m) {
  m.def(
      "set_num_threads",
      [](py::handle n) {
        set_num_threads(static_cast<int>(read_int(n, {"set_num_threads", "n"})));
      },
      py::arg("n"));
  m.def("get_num_threads", &num_threads);
  m.def(
      "check_threads", [](py::handle n) { return read_threads(n, {"num_threads", "n"}); },
      py::arg("n"));
  m.def("set_thread_limit", &set_thread_limit, py::arg("n"));
}

}  // namespace swath::python
