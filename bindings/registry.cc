#include <swath/registry.h>

#include <pybind11/stl.h>

#include <swath/executor.h>

#include "bindings.h"
#include "core/cpu_features.h"
#include "registry.h"

namespace swath::python {
namespace {

thread_local bool t_is_forced = false;

std::string force(const std::string& pattern) {
  std::string previous = force_kernel(pattern);
  t_is_forced = !pattern.empty();
  return previous;
}

py::dict cpu() {
  py::dict facts;
  for (const auto& [name, value] : cpu_facts()) facts[py::str(name)] = value;
  facts["clusters"] = cluster_names();
  facts["threads"] = num_threads();
  return facts;
}

py::dict build() {
  using namespace py::literals;
#if defined(__clang__)
  constexpr const char* kCompiler = "Clang " __clang_version__;
#else
  constexpr const char* kCompiler = "GCC " __VERSION__;
#endif
  std::vector<std::string> clusters = {
#define SWATH_CLUSTER(name) #name,
#include "clusters.def"
#undef SWATH_CLUSTER
  };
  return py::dict("version"_a = version(), "compiler"_a = kCompiler, "clusters"_a = clusters,
                  "cuda"_a = false);
}

}  // namespace

bool is_kernel_forced() noexcept { return t_is_forced; }

void bind_registry(py::module_& m) {
  m.def("operators", &operator_names);
  m.def("kernels", &kernel_names, py::arg("op"));
  m.def("force_kernel", &force, py::arg("name"));
  m.def("cpu", &cpu);
  m.def("build", &build);
}

}  // namespace swath::python
