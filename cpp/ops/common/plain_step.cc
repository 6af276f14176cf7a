#include "ops/common/plain_step.h"

#include <cstring>

namespace swath {
namespace {

const PlainStep& as_plain(const void* p) { return *static_cast<const PlainStep*>(p); }

void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  as_plain(problem).run(buffers, begin, end);
}
int64_t n_tasks(const void* problem) noexcept { return as_plain(problem).n_tasks; }
const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};
const KernelRecord kPlain{"plain", "plain", DType::f32, Cluster::baseline, DeviceType::cpu, &kFns};

}  // namespace

void add_plain_step(PlanImpl& plan, PlainStep step, double cost_seconds) {
  if (step.n_tasks == 0) return;
  add_step(plan, kPlain, std::make_shared<PlainStep>(std::move(step)), cost_seconds);
}

void add_zero_step(PlanImpl& plan, const ArrayRef& to, int64_t n_bytes) {
  const auto fill = [to, n_bytes](const Buffers& b, int64_t, int64_t) {
    std::memset(b.write(to), 0, static_cast<size_t>(n_bytes));
  };
  add_plain_step(plan, {fill}, static_cast<double>(n_bytes) / 10e9);
}

}  // namespace swath
