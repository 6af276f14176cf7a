// The module swath._jax: one XLA handler that runs every recorded call. Built where jaxlib's
// headers are; see recorded_abi.h for what it shares with swath._core.
#include <pybind11/pybind11.h>

#include <vector>

#include "recorded_abi.h"
#include "xla/ffi/api/ffi.h"

namespace swath::python {
namespace {

namespace ffi = xla::ffi;

RunRecorded g_run = nullptr;

template <class Arrays>
bool read_arrays(Arrays given, std::vector<RecordedArray>& into) {
  for (size_t i = 0; i < given.size(); ++i) {
    auto array = given.template get<ffi::AnyBuffer>(i);
    if (array.has_error()) return false;
    if constexpr (std::is_same_v<Arrays, ffi::RemainingArgs>) {
      into.push_back({array->untyped_data(), array->size_bytes()});
    } else {
      into.push_back({(*array)->untyped_data(), (*array)->size_bytes()});
    }
  }
  return true;
}

ffi::Error run(int64_t id, ffi::RemainingArgs args, ffi::RemainingRets results) {
  std::vector<RecordedArray> inputs, outputs;
  if (!read_arrays(args, inputs) || !read_arrays(results, outputs)) {
    return ffi::Error::InvalidArgument("swath: an argument is not an array");
  }
  const char* text = g_run(id, inputs.data(), inputs.size(), outputs.data(), outputs.size());
  return text == nullptr ? ffi::Error::Success() : ffi::Error::InvalidArgument(text);
}

XLA_FFI_DEFINE_HANDLER(kHandler, run,
                       ffi::Ffi::Bind().Attr<int64_t>("id").RemainingArgs().RemainingRets());

}  // namespace
}  // namespace swath::python

PYBIND11_MODULE(_jax, m, pybind11::mod_gil_not_used()) {
  using namespace swath::python;
  m.doc() = "Private: the XLA handler of swath.jax.";
  const pybind11::capsule run = pybind11::module_::import("swath._core").attr("run_recorded");
  if (std::string_view(run.name()) != kRunRecordedCapsule) {
    throw pybind11::import_error("swath._core and swath._jax are of different versions");
  }
  g_run = reinterpret_cast<RunRecorded>(run.get_pointer());
  m.attr("handler") =
      pybind11::capsule(reinterpret_cast<void*>(kHandler), "xla._CUSTOM_CALL_TARGET");
}
