#include <swath/plan.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include <swath/error.h>

#include "core/float_mode.h"
#include "core/format.h"
#include "core/operator.h"

namespace swath {
namespace {

/// Below this a second thread costs more than it brings (waking one takes 5 to 50 microseconds).
constexpr double kSecondsPerThread = 30e-6;
/// Several ranges per worker, so that an uneven machine still balances.
constexpr int64_t kRangesPerWorker = 4;

struct FreeAligned {
  void operator()(std::byte* p) const noexcept {
    ::operator delete[](p, std::align_val_t{kMemoryAlign});
  }
};

std::byte* allocate(size_t n, const std::string& op) {
  auto* p =
      static_cast<std::byte*>(::operator new[](n, std::align_val_t{kMemoryAlign}, std::nothrow));
  if (p == nullptr) {
    throw Error(ErrorCode::out_of_memory, op, "workspace",
                format("cannot allocate a workspace of {} bytes", n));
  }
  return p;
}

/// The calling thread's own workspace: grown when a plan needs more, kept for the next call.
std::byte* thread_workspace(size_t n, const std::string& op) {
  thread_local std::unique_ptr<std::byte[], FreeAligned> memory;
  thread_local size_t size = 0;
  if (n > size) {
    memory.reset();
    size = 0;
    memory.reset(allocate(n, op));
    size = n;
  }
  return memory.get();
}

Buffers to_buffers(std::span<const void* const> inputs, std::span<void* const> outputs) {
  if (inputs.size() > kMaxInputs || outputs.size() > kMaxOutputs) {
    throw Error(ErrorCode::internal, "run", "buffers", "more arrays than the operator has");
  }
  Buffers b{};
  std::copy(inputs.begin(), inputs.end(), b.in);
  std::copy(outputs.begin(), outputs.end(), b.out);
  return b;
}

void pack_weights(const PlanImpl& plan, const Buffers& buffers, std::byte* packed) noexcept {
  for (const Step& s : plan.steps) {
    if (s.packed_bytes == 0) continue;
    s.kernel->fns->pack(s.problem.get(), buffers, packed + s.packed_offset);
  }
}

int workers_for(const Step& step, int limit) noexcept {
  const double by_cost = step.cost_seconds / kSecondsPerThread;
  int n = by_cost < limit ? static_cast<int>(by_cost) : limit;
  if (step.n_tasks < n) n = static_cast<int>(step.n_tasks);
  return n < 1 ? 1 : n;
}

void run_step(const Step& step, const Buffers& buffers, const std::byte* packed, std::byte* scratch,
              Executor& executor, int limit) noexcept {
  const KernelFns& fns = *step.kernel->fns;
  const void* problem = step.problem.get();
  const int n_workers = workers_for(step, limit);
  if (n_workers == 1) {
    fns.run(problem, buffers, packed, scratch, 0, step.n_tasks);
    return;
  }
  const size_t slice = aligned(step.scratch_bytes);
  const int64_t grain = std::max<int64_t>(1, step.n_tasks / (n_workers * kRangesPerWorker));
  const auto body = [&](int64_t begin, int64_t end, int worker) {
    const DefaultFloatMode mode;  // of this worker's thread
    fns.run(problem, buffers, packed, scratch + slice * worker, begin, end);
  };
  executor.parallel_for(step.n_tasks, grain, n_workers, RangeFn(body));
}

}  // namespace

ArrayRef reserve_temp(PlanImpl& plan, int64_t n_bytes) {
  const ArrayRef ref{ArrayRef::Space::temp, 0, static_cast<int64_t>(aligned(plan.temp_bytes))};
  plan.temp_bytes = static_cast<size_t>(ref.temp_byte + n_bytes);
  return ref;
}

std::span<const TensorDesc> Plan::outputs() const noexcept { return impl_->outputs; }
const std::string& Plan::kernel() const noexcept { return impl_->kernel; }
const std::vector<Candidate>& Plan::candidates() const noexcept { return impl_->candidates; }
int64_t Plan::flops() const noexcept { return impl_->flops; }
int64_t Plan::bytes() const noexcept { return impl_->bytes; }
size_t Plan::packed_bytes() const noexcept { return impl_->packed_bytes; }

size_t Plan::workspace_bytes(int n_threads) const noexcept {
  size_t scratch = 0;
  for (const Step& s : impl_->steps) {
    scratch = std::max(scratch, aligned(s.scratch_bytes) * workers_for(s, n_threads));
  }
  return scratch + aligned(impl_->temp_bytes) + (impl_->packed ? 0 : impl_->packed_bytes);
}

double Plan::cost_seconds() const noexcept {
  double sum = 0;
  for (const Step& s : impl_->steps) sum += s.cost_seconds;
  return sum;
}

Plan Plan::prepack(std::span<const void* const> inputs) const {
  auto copy = std::make_shared<PlanImpl>(*impl_);
  const size_t n = copy->packed_bytes;
  if (n == 0) return *this;
  copy->packed = std::shared_ptr<std::byte[]>(allocate(n, copy->op), FreeAligned{});
  const Buffers buffers = to_buffers(inputs, {});
  const DefaultFloatMode mode;
  pack_weights(*copy, buffers, copy->packed.get());
  return Plan(std::move(copy));
}

void Plan::run(std::span<const void* const> inputs, std::span<void* const> outputs,
               const RunOptions& options) const {
  Executor& executor = options.executor != nullptr ? *options.executor : default_executor();
  int limit = executor.concurrency();
  if (options.max_threads > 0) limit = std::min(limit, options.max_threads);
  const size_t needed = workspace_bytes(limit);
  auto* workspace = static_cast<std::byte*>(options.workspace);
  if (workspace == nullptr) {
    workspace = thread_workspace(needed, impl_->op);
  } else if (options.workspace_bytes < needed) {
    throw Error(ErrorCode::param, impl_->op, "workspace",
                format("workspace has {} bytes, needed are {}", options.workspace_bytes, needed));
  } else if (reinterpret_cast<uintptr_t>(workspace) % kMemoryAlign != 0) {
    throw Error(ErrorCode::param, impl_->op, "workspace",
                format("workspace is not aligned to {} bytes", kMemoryAlign));
  }
  Buffers buffers = to_buffers(inputs, outputs);
  buffers.temp = workspace;
  for (const auto& check : impl_->checks) check(buffers);
  const DefaultFloatMode mode;
  const bool is_packed = impl_->packed != nullptr;
  std::byte* scratch = workspace + aligned(impl_->temp_bytes);
  std::byte* packed = is_packed ? impl_->packed.get() : scratch;
  if (!is_packed) scratch += impl_->packed_bytes;
  for (const Step& s : impl_->steps) {
    // Not before the earlier steps have run: the weights may be what one of them computes.
    if (!is_packed && s.packed_bytes > 0) {
      s.kernel->fns->pack(s.problem.get(), buffers, packed + s.packed_offset);
    }
    run_step(s, buffers, packed + s.packed_offset, scratch, executor, limit);
  }
}

}  // namespace swath
