// Plain loops over all pairs, in double: the last kernel of the table.
#include <cmath>
#include <iterator>

#include "core/operator.h"
#include "ops/attention/pairs.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

const AttentionProblem& as_attention(const void* problem) {
  return *static_cast<const AttentionProblem*>(problem);
}

struct Query : AttentionQuery {
  void run(double* o) const {
    double most = kHiddenLogit, sum = 0;
    const double sink = p.has_sink ? load(p.sink, head * p.sink_stride) : kHiddenLogit;
    for_keys([&](double s, const TokenArray&, int64_t, int64_t) {
      if (s > most || std::isnan(s)) most = s;
    });
    if (sink > most || std::isnan(sink)) most = sink;
    for (int64_t d = 0; d < p.d_v; ++d) o[d] = 0;
    const bool is_empty = most == kHiddenLogit;
    if (!is_empty) {
      if (p.has_sink) sum += std::exp(sink - most);
      for_keys([&](double s, const TokenArray& v, int64_t key, int64_t n) {
        if (s == kHiddenLogit) return;
        const double weight = std::exp(s - most);
        sum += weight;
        for (int64_t d = 0; d < p.d_v; ++d) {
          double mean = 0;
          for (int64_t i = 0; i < n; ++i) {
            mean += load(v.ref, kv_offset(v, key + i) + d * v.unit) / static_cast<double>(n);
          }
          o[d] += weight * mean;
        }
      });
    }
    const int64_t at = batch * p.o.batch + head * p.o.head + p.o.at(token);
    for (int64_t d = 0; d < p.d_v; ++d) {
      store_scalar(p.dtype, b.write(p.o.ref), at + d * p.o.unit, is_empty ? 0 : o[d] / sum);
    }
    if (!p.has_lse) return;
    store_scalar(accumulator_of(p.dtype), b.write(p.lse),
                 batch * p.lse_batch + head * p.lse_head + token * p.lse_token,
                 is_empty ? kHiddenLogit : most + std::log(sum));
  }
};

size_t scratch_bytes(const void* problem) noexcept {
  return sizeof(double) * static_cast<size_t>(as_attention(problem).d_v);
}
int64_t n_tasks(const void* problem) noexcept {
  const AttentionProblem& p = as_attention(problem);
  return p.n_batch * p.n_heads * p.n_q;
}
void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const AttentionProblem& p = as_attention(problem);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t bh = task / p.n_q;
    Query{{p, b, bh / p.n_heads, bh % p.n_heads, task % p.n_q}}.run(static_cast<double*>(scratch));
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, scratch_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)       \
  {"attention_" #dtype "_reference", \
   "reference",                      \
   DType::dtype,                     \
   Cluster::reference,               \
   DeviceType::cpu,                  \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable attention_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
