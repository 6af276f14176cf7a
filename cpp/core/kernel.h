// What a kernel is to the core. Plain data: also included by files compiled with ISA flags.
#pragma once

#include <cstddef>
#include <cstdint>

#include <swath/tensor.h>

namespace swath {

/// Instruction-set clusters, worst first: a machine that runs one runs all before it of its family.
enum class Cluster : uint8_t { reference, baseline, neon, avx2, avx512 };

// Fifteen parts of an attention with their lse are the most (merge_attention).
inline constexpr int kMaxInputs = 32;
inline constexpr int kMaxOutputs = 32;

/// Where a step finds an array: an input or output slot of the plan, or temporary memory that an
/// earlier step of the same run has filled.
struct ArrayRef {
  enum class Space : uint8_t { input, output, temp };
  Space space = Space::input;
  int32_t slot = 0;       // of an input or output
  int64_t temp_byte = 0;  // where it starts in Buffers::temp
};
constexpr ArrayRef input_ref(int slot) { return {ArrayRef::Space::input, slot, 0}; }
constexpr ArrayRef output_ref(int slot) { return {ArrayRef::Space::output, slot, 0}; }

/// Pointers to element (0, 0, ...) of each array, in the operator's slot order; absent ones null.
struct Buffers {
  const void* in[kMaxInputs];
  void* out[kMaxOutputs];
  void* temp;  // PlanImpl::temp_bytes of memory shared by the steps of one run

  __attribute__((always_inline)) const void* read(const ArrayRef& a) const {
    return a.space == ArrayRef::Space::input ? in[a.slot] : write(a);
  }
  __attribute__((always_inline)) void* write(const ArrayRef& a) const {
    return a.space == ArrayRef::Space::output ? out[a.slot]
                                              : static_cast<char*>(temp) + a.temp_byte;
  }
};

/// What one variant compiled for one cluster offers. All functions are noexcept, take a legal
/// problem, and never allocate. Work is cut into tasks by the problem alone, so results do not
/// depend on the number of threads.
struct KernelFns {
  /// Why this kernel cannot serve the problem; null if it can.
  const char* (*reject)(const void* problem) noexcept;
  /// Bytes of weights in the kernel's own order, and the function that fills them (0: none).
  size_t (*packed_bytes)(const void* problem) noexcept;
  void (*pack)(const void* problem, const Buffers& buffers, void* packed) noexcept;
  /// Bytes of scratch memory for one worker.
  size_t (*scratch_bytes)(const void* problem) noexcept;
  int64_t (*n_tasks)(const void* problem) noexcept;
  void (*run)(const void* problem, const Buffers& buffers, const void* packed, void* scratch,
              int64_t begin, int64_t end) noexcept;
};

struct KernelRecord {
  const char* name;  // <op>_<dtype>_<cluster>_<variant>
  const char* variant;
  DType dtype;
  Cluster cluster;
  DeviceType device;
  const KernelFns* fns;
};

struct KernelTable {
  const KernelRecord* records;
  int count;
};

}  // namespace swath
