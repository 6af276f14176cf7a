// How the module swath._jax runs recorded calls of swath._core: plain C types, no Python.
#pragma once

#include <cstddef>
#include <cstdint>

namespace swath::python {

/// A C-contiguous array.
struct RecordedArray {
  void* data;
  size_t n_bytes;
};

/// Runs a recorded call. Null, or what is wrong: text that the calling thread keeps until its next
/// run.
using RunRecorded = const char* (*)(int64_t id, const RecordedArray* inputs, size_t n_inputs,
                                    const RecordedArray* outputs, size_t n_outputs);

inline constexpr const char* kRunRecordedCapsule = "swath.run_recorded";

}  // namespace swath::python
