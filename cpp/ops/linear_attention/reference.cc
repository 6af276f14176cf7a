// Linear attention and its gradient query by query and key by key, in double.
#include <cmath>
#include <iterator>

#include "ops/common/scalar.h"
#include "ops/linear_attention/problem.h"

namespace swath {
namespace {

const LinearAttentionProblem& as_linear(const void* p) {
  return *static_cast<const LinearAttentionProblem*>(p);
}

/// One task is one head of k and v.
int64_t n_tasks(const void* problem) noexcept {
  return as_linear(problem).n_batch * as_linear(problem).n_kv_heads;
}
size_t scratch_bytes(const void* problem) noexcept {
  const LinearAttentionProblem& p = as_linear(problem);
  return static_cast<size_t>(4 * p.n_d + p.n_e) * sizeof(double);
}

struct Reference {
  const LinearAttentionProblem& p;
  const Buffers& b;
  int64_t batch, kv_head;
  double *most, *sum, *mean, *row_d, *row_e;

  double load(const HeadArray& a, int64_t head, int64_t i, int64_t c) const {
    return load_scalar(p.dtype, b.read(a.ref), a.at(batch, head) + a.rows.at(i) + c * a.step);
  }
  void put(const HeadArray& a, int64_t head, int64_t i, const double* row, int64_t n) const {
    for (int64_t c = 0; c < n; ++c) {
      store_scalar(p.dtype, b.write(a.ref), a.at(batch, head) + a.rows.at(i) + c * a.step, row[c]);
    }
  }
  double key(int64_t j, int64_t c) const {
    const double k = load(p.k, kv_head, j, c);
    return p.has_softmax ? std::exp(k - most[c]) / sum[c] : k;
  }
  double value(int64_t j, int64_t c) const { return load(p.v, kv_head, j, c); }

  void norm() const {
    for (int64_t c = 0; c < p.n_d && p.n_k > 0 && p.has_softmax; ++c) {
      most[c] = load(p.k, kv_head, 0, c);
      for (int64_t j = 1; j < p.n_k; ++j) {
        const double k = load(p.k, kv_head, j, c);
        if (k > most[c] || std::isnan(k)) most[c] = k;
      }
      ScalarSum total;
      for (int64_t j = 0; j < p.n_k; ++j) total.add(std::exp(load(p.k, kv_head, j, c) - most[c]));
      sum[c] = total.value();
    }
  }
  /// scale <q_i, k'_j>
  double score(int64_t h, int64_t i, int64_t j) const {
    double dot = 0;
    for (int64_t c = 0; c < p.n_d; ++c) dot += load(p.q, h, i, c) * key(j, c);
    return p.scale * dot;
  }
  /// scale <do_i, v_j>
  double slope(int64_t h, int64_t i, int64_t j) const {
    double dot = 0;
    for (int64_t c = 0; c < p.n_e; ++c) dot += load(p.o, h, i, c) * value(j, c);
    return p.scale * dot;
  }
  int64_t first_head() const { return kv_head * p.n_group(); }

  void forward() const {
    for (int64_t h = first_head(); h < first_head() + p.n_group(); ++h) {
      for (int64_t i = 0; i < p.n_q; ++i) {
        for (int64_t c = 0; c < p.n_e; ++c) row_e[c] = 0;
        for (int64_t j = 0; j < p.key_end(i); ++j) {
          const double s = score(h, i, j);
          for (int64_t c = 0; c < p.n_e; ++c) row_e[c] += s * value(j, c);
        }
        put(p.o, h, i, row_e, p.n_e);
      }
    }
  }

  void backward_q() const {
    for (int64_t c = 0; c < p.n_d; ++c) mean[c] = 0;
    for (int64_t h = first_head(); h < first_head() + p.n_group(); ++h) {
      for (int64_t i = 0; i < p.n_q; ++i) {
        for (int64_t c = 0; c < p.n_d; ++c) row_d[c] = 0;
        for (int64_t j = 0; j < p.key_end(i); ++j) {
          const double s = slope(h, i, j);
          for (int64_t c = 0; c < p.n_d; ++c) row_d[c] += s * key(j, c);
        }
        for (int64_t c = 0; c < p.n_d; ++c) mean[c] += row_d[c] * load(p.q, h, i, c);
        if (p.has_dq) put(p.dq, h, i, row_d, p.n_d);
      }
    }
  }

  void backward_kv() const {
    for (int64_t j = 0; j < p.n_k; ++j) {
      for (int64_t c = 0; c < p.n_d; ++c) row_d[c] = 0;
      for (int64_t c = 0; c < p.n_e; ++c) row_e[c] = 0;
      for (int64_t h = first_head(); h < first_head() + p.n_group(); ++h) {
        for (int64_t i = 0; i < p.n_q; ++i) {
          if (j >= p.key_end(i)) continue;
          const double of_k = slope(h, i, j), of_v = score(h, i, j);
          for (int64_t c = 0; c < p.n_d; ++c) row_d[c] += of_k * load(p.q, h, i, c);
          for (int64_t c = 0; c < p.n_e; ++c) row_e[c] += of_v * load(p.o, h, i, c);
        }
      }
      for (int64_t c = 0; c < p.n_d && p.has_softmax; ++c) {
        row_d[c] = key(j, c) * (row_d[c] - mean[c]);
      }
      if (p.has_dk) put(p.dk, kv_head, j, row_d, p.n_d);
      if (p.has_dv) put(p.dv, kv_head, j, row_e, p.n_e);
    }
  }
};

void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const LinearAttentionProblem& p = as_linear(problem);
  auto* m = static_cast<double*>(scratch);
  for (int64_t task = begin; task < end; ++task) {
    const Reference r{p,
                      b,
                      task / p.n_kv_heads,
                      task % p.n_kv_heads,
                      m,
                      m + p.n_d,
                      m + 2 * p.n_d,
                      m + 3 * p.n_d,
                      m + 4 * p.n_d};
    r.norm();
    if (p.is_backward) {
      r.backward_q();
      r.backward_kv();
    } else {
      r.forward();
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, scratch_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)              \
  {"linear_attention_" #dtype "_reference", \
   "reference",                             \
   DType::dtype,                            \
   Cluster::reference,                      \
   DeviceType::cpu,                         \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable linear_attention_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
