// Attention over runs of keys: the forward pass.
#include "ops/attention/attend.h"

namespace swath::SWATH_ISA {
namespace {

const AttentionProblem& as_attention(const void* problem) {
  return *static_cast<const AttentionProblem*>(problem);
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_attention(problem).n_tasks(); }

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(AttendMemory<S>(as_attention(problem), nullptr).used);
}

template <class S>
void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const AttentionProblem& p = as_attention(problem);
  const AttendMemory<S> memory(p, scratch);
  for (int64_t task = begin; task < end; ++task) {
    Attend<S> attend(p, b, memory, task);
    attend.run();
  }
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)                                                  \
  extern const KernelFns attention_##variant##_##dtype;                                            \
  const KernelFns attention_##variant##_##dtype{reject,  no_bytes,  no_pack, scratch_bytes<dtype>, \
                                                n_tasks, run<dtype>};
#include "ops/attention/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
