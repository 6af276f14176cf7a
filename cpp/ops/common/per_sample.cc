#include "ops/common/per_sample.h"

#include <algorithm>

namespace swath {
namespace {

// An order of magnitude, for deciding about threads.
constexpr double kPackedBytesPerSecond = 2e9;
/// Samples from which on a sample is one task.
constexpr int64_t kFusedSamples = 8;

/// What the steps of all samples share.
struct Samples {
  std::shared_ptr<const PlanImpl> one;
  int64_t n;
  SampleArrays arrays;
  ArrayRef temp, packed;
  int64_t temp_bytes, packed_bytes;  // of one sample

  /// The one plan's view of sample i.
  Buffers view(const Buffers& all, int64_t i) const {
    Buffers b{};
    const auto at = [i](const void* base, int64_t step) {
      return base == nullptr ? nullptr : static_cast<const char*>(base) + i * step;
    };
    for (size_t k = 0; k < arrays.inputs.size(); ++k) {
      b.in[k] = at(all.read(arrays.inputs[k].ref), arrays.inputs[k].step_bytes);
    }
    for (size_t k = 0; k < arrays.outputs.size(); ++k) {
      char* base = static_cast<char*>(all.write(arrays.outputs[k].ref));
      b.out[k] = base == nullptr ? nullptr : base + i * arrays.outputs[k].step_bytes;
    }
    b.temp = static_cast<char*>(all.write(temp)) + i * temp_bytes;
    return b;
  }
  char* packed_of(const Buffers& all, int64_t i) const {
    return static_cast<char*>(all.write(packed)) + i * packed_bytes;
  }
};

/// One step of the one plan, for all samples.
struct SampleStep {
  std::shared_ptr<const Samples> samples;
  const Step* step;
};

const SampleStep& as_step(const void* p) { return *static_cast<const SampleStep*>(p); }

int64_t n_tasks(const void* problem) noexcept {
  const SampleStep& s = as_step(problem);
  return s.samples->n * s.step->n_tasks;
}
size_t scratch_bytes(const void* problem) noexcept { return as_step(problem).step->scratch_bytes; }

void run(const void* problem, const Buffers& all, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const SampleStep& s = as_step(problem);
  const int64_t each = s.step->n_tasks;
  for (int64_t task = begin; task < end;) {
    const int64_t i = task / each, first = task % each;
    const int64_t last = std::min(each, first + end - task);
    const Buffers one = s.samples->view(all, i);
    s.step->kernel->fns->run(s.step->problem.get(), one,
                             s.samples->packed_of(all, i) + s.step->packed_offset, scratch, first,
                             last);
    task += last - first;
  }
}

int64_t n_samples(const void* problem) noexcept { return as_step(problem).samples->n; }

void pack_samples(const void* problem, const Buffers& all, const void*, void*, int64_t begin,
                  int64_t end) noexcept {
  const SampleStep& s = as_step(problem);
  for (int64_t i = begin; i < end; ++i) {
    s.step->kernel->fns->pack(s.step->problem.get(), s.samples->view(all, i),
                              s.samples->packed_of(all, i) + s.step->packed_offset);
  }
}

size_t fused_scratch_bytes(const void* problem) noexcept {
  const Step& step = *as_step(problem).step;
  return aligned(step.packed_bytes) + step.scratch_bytes;
}
/// Packs a sample's weights and runs all of its tasks while they are in the cache.
void run_fused(const void* problem, const Buffers& all, const void*, void* scratch, int64_t begin,
               int64_t end) noexcept {
  const SampleStep& s = as_step(problem);
  const KernelFns& fns = *s.step->kernel->fns;
  char* rest = static_cast<char*>(scratch) + aligned(s.step->packed_bytes);
  for (int64_t i = begin; i < end; ++i) {
    const Buffers one = s.samples->view(all, i);
    fns.pack(s.step->problem.get(), one, scratch);
    fns.run(s.step->problem.get(), one, scratch, rest, 0, s.step->n_tasks);
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

const KernelFns kRunFns{reject, no_bytes, no_pack, scratch_bytes, n_tasks, run};
const KernelRecord kRun{"per_sample",      "per_sample",    DType::f32,
                        Cluster::baseline, DeviceType::cpu, &kRunFns};
const KernelFns kFusedFns{reject, no_bytes, no_pack, fused_scratch_bytes, n_samples, run_fused};
const KernelRecord kFused{"per_sample",      "per_sample",    DType::f32,
                          Cluster::baseline, DeviceType::cpu, &kFusedFns};
const KernelFns kPackFns{reject, no_bytes, no_pack, no_bytes, n_samples, pack_samples};
const KernelRecord kPack{"pack_samples",    "pack_samples",  DType::f32,
                         Cluster::baseline, DeviceType::cpu, &kPackFns};

}  // namespace

void add_per_sample(PlanImpl& plan, const Plan& one, int64_t n_samples,
                    const SampleArrays& arrays) {
  const auto shared = std::make_shared<Samples>();
  shared->one = one.impl();
  const PlanImpl& each = *shared->one;
  shared->n = n_samples;
  shared->arrays = arrays;
  shared->temp_bytes = static_cast<int64_t>(aligned(each.temp_bytes));
  shared->packed_bytes = static_cast<int64_t>(aligned(each.packed_bytes));
  shared->temp = reserve_temp(plan, n_samples * shared->temp_bytes);
  // Enough samples to share among threads. Steps that follow may share the packed weights.
  const bool is_fused = n_samples >= kFusedSamples && each.steps.size() == 1;
  shared->packed = reserve_temp(plan, is_fused ? 0 : n_samples * shared->packed_bytes);
  const auto n = static_cast<double>(n_samples);
  for (const Step& step : each.steps) {
    const auto problem = std::make_shared<SampleStep>(SampleStep{shared, &step});
    if (is_fused) {
      add_step(plan, kFused, problem, n * step.cost_seconds);
      continue;
    }
    if (step.packed_bytes > 0) {
      add_step(plan, kPack, problem,
               n * static_cast<double>(step.packed_bytes) / kPackedBytesPerSecond);
    }
    add_step(plan, kRun, problem, n * step.cost_seconds);
  }
  plan.kernel = each.kernel;
  plan.candidates = each.candidates;
  plan.flops += n_samples * each.flops;
}

}  // namespace swath
