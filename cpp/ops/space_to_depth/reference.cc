// The copy as plain loops over single elements.
#include <cstdint>
#include <cstring>
#include <iterator>

#include "core/kernel.h"
#include "ops/space_to_depth/problem.h"

namespace swath {
namespace {

const SpaceToDepthProblem& as_blocks(const void* problem) {
  return *static_cast<const SpaceToDepthProblem*>(problem);
}

int64_t n_tasks(const void* problem) noexcept { return as_blocks(problem).n_outer_elements(); }

template <int kItemBytes>
void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const SpaceToDepthProblem& p = as_blocks(problem);
  for (int64_t task = begin; task < end; ++task) {
    int64_t rest = task, x_at = 0, y_at = 0;
    for (int i = p.n_outer - 1; i >= 0; --i) {
      const int64_t index = rest % p.outer[i].n;
      rest /= p.outer[i].n;
      x_at += index * p.outer[i].x_stride;
      y_at += index * p.outer[i].y_stride;
    }
    for (int64_t j = 0; j < p.across.n; ++j) {
      for (int64_t i = 0; i < p.run.n; ++i) {
        const int64_t from = x_at + j * p.across.x_stride + i * p.run.x_stride;
        const int64_t to = y_at + j * p.across.y_stride + i * p.run.y_stride;
        std::memcpy(static_cast<char*>(buffers.out[0]) + to * kItemBytes,
                    static_cast<const char*>(buffers.in[0]) + from * kItemBytes, kItemBytes);
      }
    }
  }
}

const char* no_reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <int kItemBytes>
constexpr KernelFns kFns{no_reject, no_bytes, no_pack, no_bytes, n_tasks, run<kItemBytes>};

constexpr KernelRecord kRecords[] = {
#define SWATH_DTYPE(name, bytes)         \
  {"space_to_depth_" #name "_reference", \
   "reference",                          \
   DType::name,                          \
   Cluster::reference,                   \
   DeviceType::cpu,                      \
   &kFns<bytes>},
#include <swath/dtypes.def>
#undef SWATH_DTYPE
};

}  // namespace

KernelTable space_to_depth_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
