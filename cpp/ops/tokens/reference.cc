// Rows of tokens combined in plain loops and in double.
#include <cmath>
#include <iterator>

#include "ops/common/scalar.h"
#include "ops/tokens/problem.h"

namespace swath {
namespace {

const TokensProblem& as_tokens(const void* p) { return *static_cast<const TokensProblem*>(p); }

/// One task is one row of one place.
int64_t n_tasks(const void* problem) noexcept {
  return as_tokens(problem).lead.count() * as_tokens(problem).n_rows;
}

struct Reference {
  const TokensProblem& p;
  const Buffers& b;
  const WalkPosition<kTokenArrays>& place;
  const int64_t* sources;
  int64_t n, row;

  double x(int64_t token, int64_t j) const {
    return load_scalar(p.dtype, b.read(p.x), place.at[kTokenX] + p.x_rows.at(token) + j * p.x_step);
  }
  double g(int64_t token, int64_t j) const {
    return load_scalar(p.dtype, b.read(p.g), place.at[kTokenG] + p.g_rows.at(token) + j * p.g_step);
  }
  double w(int64_t token) const {
    return load_scalar(p.w_is_acc ? accumulator_of(p.dtype) : p.dtype, b.read(p.w),
                       place.at[kTokenW] + p.w_rows.at(token));
  }
  void put(int64_t token, int64_t j, double value) const {
    store_scalar(p.y_is_acc ? accumulator_of(p.dtype) : p.dtype, b.write(p.y),
                 place.at[kTokenY] + p.y_rows.at(token) + j, value);
  }
  bool exceeds(double v, double most) const { return v > most || (std::isnan(v) && most == most); }

  double sum(int64_t j) const {
    ScalarSum total;
    for (int64_t i = 0; i < n; ++i) {
      total.add(x(sources[i], j) * (p.weight == TokenWeight::source ? w(sources[i]) : 1));
    }
    if (p.mode == TokenMode::mean) return total.value() / static_cast<double>(n);
    return p.weight == TokenWeight::row ? w(row) * total.value() : total.value();
  }
  int64_t first_max(int64_t j) const {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i) {
      if (exceeds(x(sources[i], j), x(sources[best], j))) best = i;
    }
    return best;
  }
  void dot() const {
    ScalarSum total;
    for (int64_t j = 0; j < p.n_channels; ++j) total.add(x(row, j) * g(sources[0], j));
    put(row, 0, total.value());
  }
  void channel(int64_t j) const {
    if (p.mode == TokenMode::max) return put(row, j, x(sources[first_max(j)], j));
    if (p.mode != TokenMode::max_grad) return put(row, j, sum(j));
    const int64_t best = first_max(j);
    for (int64_t i = 0; i < n; ++i) put(sources[i], j, i == best ? g(row, j) : 0);
  }
};

void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const TokensProblem& p = as_tokens(problem);
  const auto* offsets = p.has_offsets ? static_cast<const int64_t*>(b.read(p.offsets)) : nullptr;
  const auto* sources = static_cast<const int64_t*>(b.read(p.sources));
  for (int64_t task = begin; task < end; ++task) {
    const int64_t row = task % p.n_rows;
    const WalkPosition<kTokenArrays> place(p.lead, task / p.n_rows);
    const int64_t table = place.at[kTokenTable];
    const int64_t first = p.first_source(offsets, table, row);
    const Reference r{p, b, place, sources + first, p.end_source(offsets, table, row) - first, row};
    if (p.mode == TokenMode::dot) {
      r.dot();
      continue;
    }
    for (int64_t j = 0; j < p.n_channels; ++j) r.channel(j);
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)    \
  {"tokens_" #dtype "_reference", \
   "reference",                   \
   DType::dtype,                  \
   Cluster::reference,            \
   DeviceType::cpu,               \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable tokens_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
