// The sums in plain loops and in double.
#include <iterator>

#include "ops/channel_stats/problem.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

const StatsProblem& as_stats(const void* p) { return *static_cast<const StatsProblem*>(p); }

/// One task is one part of one channel of one sample.
int64_t n_tasks(const void* problem) noexcept {
  const StatsProblem& p = as_stats(problem);
  return p.batch.n * p.channels.n * p.n_parts;
}

struct Reference {
  const StatsProblem& p;
  const Buffers& b;
  int64_t sample, channel;

  /// f(x, c) for the positions of a part.
  template <class F>
  void each(int64_t part, const F& f) const {
    const bool is_one_row = p.rows.count() == 1;
    const int64_t begin = p.part_begin(part), end = p.part_begin(part + 1);
    for (int64_t row = is_one_row ? 0 : begin; row < (is_one_row ? 1 : end); ++row) {
      const WalkPosition<kStatsArrays> at(p.rows, row);
      for (int64_t j = is_one_row ? begin : 0; j < (is_one_row ? end : p.run.n); ++j) {
        const auto value = [&](StatsArray k, const ArrayRef& array) {
          const int64_t offset = sample * p.batch.stride[k] + channel * p.channels.stride[k] +
                                 at.at[k] + j * p.run.stride[k];
          return load_scalar(p.dtype, b.read(array), offset);
        };
        f(value(kStatsX, p.x), p.has_product ? value(kStatsC, p.c) : 0);
      }
    }
  }

  void run(int64_t part) const {
    const DType acc = accumulator_of(p.dtype);
    ScalarSum sum, square, product;
    each(part, [&](double x, double c) {
      sum.add(x);
      product.add(c * x);
    });
    const double mean = sum.value() / static_cast<double>(p.part_count(part));
    each(part, [&](double x, double) { square.add((x - mean) * (x - mean)); });
    const auto put = [&](int64_t value, double v) {
      store_scalar(acc, b.write(p.sums), p.result(part, value, sample, channel), v);
    };
    put(0, p.has_moments ? mean : sum.value());
    if (p.has_moments) put(1, square.value());
    if (p.has_product) put(p.n_values() - 1, product.value());
  }
};

void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const StatsProblem& p = as_stats(problem);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t at = i / p.n_parts;
    Reference{p, buffers, at / p.channels.n, at % p.channels.n}.run(i % p.n_parts);
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)           \
  {"channel_stats_" #dtype "_reference", \
   "reference",                          \
   DType::dtype,                         \
   Cluster::reference,                   \
   DeviceType::cpu,                      \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable channel_stats_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
