// Writes the bias (or zero) to every output: what a transposed convolution gives where no tap
// reaches.
#include <cstring>

#include "ops/sliding_conv/describe.h"

namespace swath {
namespace {

const FillProblem& as_fill(const void* p) { return *static_cast<const FillProblem*>(p); }

/// One task is one channel of one sample.
int64_t n_tasks(const void* p) noexcept { return as_fill(p).n_batch * as_fill(p).n_channels; }

template <class T>
void fill_channel(const FillProblem& p, const Buffers& b, int64_t task) {
  const int64_t channel = task % p.n_channels;
  T value{0};
  if (p.has_bias)
    value = static_cast<const T*>(b.read(p.bias))[p.bias_offset + channel * p.bias_stride];
  T* y = static_cast<T*>(b.write(p.y)) + p.y_offset + task / p.n_channels * p.batch_stride +
         channel * p.channel_stride;
  for (int64_t i = 0; i < p.shape[0]; ++i) {
    for (int64_t j = 0; j < p.shape[1]; ++j) {
      T* row = y + i * p.strides[0] + j * p.strides[1];
      for (int64_t k = 0; k < p.shape[2]; ++k) row[k * p.strides[2]] = value;
    }
  }
}

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const FillProblem& p = as_fill(problem);
  for (int64_t task = begin; task < end; ++task) {
    switch (p.item_bytes) {
      case 2:
        fill_channel<uint16_t>(p, b, task);
        break;
      case 4:
        fill_channel<uint32_t>(p, b, task);
        break;
      case 8:
        fill_channel<uint64_t>(p, b, task);
        break;
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kFillFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};
const KernelRecord kFill{"fill", "fill", DType::f32, Cluster::baseline, DeviceType::cpu, &kFillFns};

}  // namespace

void add_fill_step(PlanImpl& plan, const FillProblem& problem) {
  const double n = static_cast<double>(problem.n_batch * problem.n_channels) * problem.shape[0] *
                   problem.shape[1] * problem.shape[2];
  add_step(plan, kFill, std::make_shared<FillProblem>(problem), n * problem.item_bytes / 10e9);
}

}  // namespace swath
