// Plain loops over all pairs, in double: the last kernel of the table. All sums of a head go into
// its first part, the others stay empty.
#include <cmath>
#include <iterator>

#include "core/operator.h"
#include "ops/attention/pairs.h"
#include "ops/attention_backward/problem.h"

namespace swath {
namespace {

const AttentionGradProblem& as_backward(const void* problem) {
  return *static_cast<const AttentionGradProblem*>(problem);
}

struct Unit {
  const AttentionGradProblem& g;
  const AttentionProblem& p;  // with its softcap
  const Buffers& b;
  double* dq;
  int64_t group, head_group, unit;

  DType sum_type() const { return accumulator_of(p.dtype); }
  void add(const ArrayRef& to, int64_t at, double value) const {
    store_scalar(sum_type(), b.write(to), at, load_scalar(sum_type(), b.write(to), at) + value);
  }
  void add(const BroadcastSum& to, int64_t i0, int64_t i1, int64_t i2, int64_t i3,
           double value) const {
    const int64_t copy = group * to.copy_group + head_group * to.copy_head;
    const int64_t* s = to.stride;
    add(to.ref, copy * to.n + i0 * s[0] + i1 * s[1] + i2 * s[2] + i3 * s[3], value);
  }

  void clear(const KeySums& keys, bool is_filled) const {
    auto* range = static_cast<int64_t*>(b.write(keys.range)) + 2 * unit;
    range[0] = 0;
    range[1] = is_filled ? keys.n : 0;
    if (!is_filled) return;
    const int64_t n_k = keys.n * g.k_width, n_v = keys.n * g.v_width;
    for (int64_t i = 0; i < n_k; ++i) store_scalar(sum_type(), b.write(keys.dk), unit * n_k + i, 0);
    for (int64_t i = 0; i < n_v; ++i) store_scalar(sum_type(), b.write(keys.dv), unit * n_v + i, 0);
  }

  double statistic(const TokenArray& x, const AttentionQuery& at) const {
    return load_scalar(sum_type(), b.read(x.ref),
                       at.batch * x.batch + at.head * x.head + x.at(at.token));
  }
  int64_t row(const TokenArray& x, const AttentionQuery& at) const {
    return at.batch * x.batch + at.head * x.head + x.at(at.token);
  }

  void query(const AttentionQuery& at) const {
    for (int64_t d = 0; d < p.d; ++d) dq[d] = 0;
    const double lse = statistic(g.lse, at);
    double delta = g.has_dlse ? -statistic(g.dlse, at) : 0;
    for (int64_t d = 0; d < p.d_v; ++d) {
      delta += at.load(g.grad.ref, row(g.grad, at) + d * g.grad.unit) *
               at.load(g.o.ref, row(g.o, at) + d * g.o.unit);
    }
    if (lse != kHiddenLogit) {
      at.for_keys([&](double s, const TokenArray& v, int64_t key, int64_t n) {
        if (s == kHiddenLogit) return;
        pair(at, std::exp(s - lse), delta, v, key, n);
      });
      if (g.sink.is_wanted) {
        const double z = at.load(p.sink, at.head * p.sink_stride);
        add(g.sink, 0, at.head, 0, 0, -std::exp(z - lse) * delta);
      }
    }
    if (!g.needs_q) return;
    for (int64_t d = 0; d < p.d; ++d) {
      store_scalar(p.dtype, b.write(g.dq.ref), row(g.dq, at) + d * g.dq.unit, dq[d] * p.scale);
    }
  }

  void pair(const AttentionQuery& at, double weight, double delta, const TokenArray& v, int64_t key,
            int64_t n) const {
    int32_t source = 0;
    for (int32_t e = 0; e < p.n_extras; ++e) source = &v == &p.extras[e].v ? e + 1 : source;
    const TokenArray& k = source == 0 ? p.k : p.extras[source - 1].k;
    const double share = 1 / static_cast<double>(n);
    double slope = -delta;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t d = 0; d < p.d_v; ++d) {
        slope += share * at.load(g.grad.ref, row(g.grad, at) + d * g.grad.unit) *
                 at.load(v.ref, at.kv_offset(v, key + i) + d * v.unit);
      }
    }
    slope *= weight;
    add_biases(at, source, key, slope);
    if (p.softcap > 0) {
      const double t = at.product(k, key, n) / p.softcap;
      slope *= 1 - t * t;
    }
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t d = 0; d < p.d; ++d) {
        dq[d] += share * slope * at.load(k.ref, at.kv_offset(k, key + i) + d * k.unit);
      }
    }
    if (!g.needs_kv) return;
    const KeySums& keys = g.keys[source];
    for (int64_t i = 0; i < n; ++i) {
      const int64_t to = unit * keys.n + key + i;
      for (int64_t d = 0; d < p.d; ++d) {
        add(keys.dk, to * g.k_width + d,
            p.scale * share * slope * at.load(p.q.ref, row(p.q, at) + d * p.q.unit));
      }
      for (int64_t d = 0; d < p.d_v; ++d) {
        add(keys.dv, to * g.v_width + d,
            share * weight * at.load(g.grad.ref, row(g.grad, at) + d * g.grad.unit));
      }
    }
  }

  void add_biases(const AttentionQuery& at, int32_t source, int64_t key, double slope) const {
    if (source > 0) {
      const BroadcastSum& to = g.weights[source - 1];
      if (to.is_wanted) add(to, at.batch, 0, key, 0, slope);
      return;
    }
    if (g.bias.is_wanted) add(g.bias, at.batch, at.head, at.token, key, slope);
    if (g.key_bias.is_wanted) add(g.key_bias, at.batch, 0, key, 0, slope);
    if (g.table.is_wanted) add_table(at, key, slope);
    for (int64_t r = 0; r < p.rank; ++r) {
      const int64_t *x = p.low_a_stride, *y = p.low_b_stride;
      if (g.low_a.is_wanted) {
        const int64_t from = at.batch * y[0] + at.head * y[1] + key * y[2] + r * y[3];
        add(g.low_a, at.batch, at.head, at.token, r, slope * at.load(p.low_b, from));
      }
      if (g.low_b.is_wanted) {
        const int64_t from = at.batch * x[0] + at.head * x[1] + at.token * x[2] + r * x[3];
        add(g.low_b, at.batch, at.head, key, r, slope * at.load(p.low_a, from));
      }
    }
  }

  void add_table(const AttentionQuery& at, int64_t key, double slope) const {
    AttentionProblem own = p;  // with the strides of the sums
    for (int a = 0; a < kMaxTokenAxes; ++a) own.table_stride[a] = g.table_stride[a];
    const AttentionQuery query{own, b, at.batch, at.head, at.token};
    const AttentionPair pair = query.look(p.patterns[0], key);
    if (!pair.has_place) return;
    const int64_t copy = group * g.table.copy_group + head_group * g.table.copy_head;
    add(g.table.ref, copy * g.table.n + at.head * g.table.stride[1] + g.table_centre + pair.table,
        slope);
  }
};

size_t scratch_bytes(const void* problem) noexcept {
  return sizeof(double) * static_cast<size_t>(as_backward(problem).walk.d);
}
int64_t n_tasks(const void* problem) noexcept { return as_backward(problem).n_tasks(); }

void write_keys(const AttentionProblem& p, const Buffers& b, const KeyGrad& out,
                const ArrayRef& sums, int64_t first, int64_t n, int64_t width, int64_t batch,
                int64_t head) {
  if (!out.is_wanted) return;
  const DType accumulator = accumulator_of(p.dtype);
  const int64_t base = out.offset + batch * out.to.batch + head * out.to.head;
  for (int64_t i = 0; i < n * out.n_d; ++i) {
    const int64_t key = i / out.n_d, d = i % out.n_d;
    store_scalar(p.dtype, b.write(out.to.ref), base + out.to.at(key) + d * out.to.unit,
                 load_scalar(accumulator, b.read(sums), (first + key) * width + d));
  }
}

void run_unit(const AttentionGradProblem& g, const AttentionProblem& p, const Buffers& b,
              double* dq, int64_t group, int64_t head_group, int64_t part, int64_t batch,
              int64_t kv_head) {
  const int64_t unit = (batch * g.n_kv_heads + kv_head) * g.n_parts + part;
  const Unit u{g, p, b, dq, group, head_group, unit};
  for (int s = 0; g.needs_kv && s <= p.n_extras; ++s) u.clear(g.keys[s], part == 0);
  if (part != 0) return;
  for (int64_t i = 0; i < p.heads_per_kv; ++i) {
    for (int64_t token = 0; token < p.n_q; ++token) {
      u.query({p, b, batch, kv_head * p.heads_per_kv + i, token});
    }
  }
  for (int s = 0; g.needs_kv && s <= p.n_extras; ++s) {
    const KeySums& k = g.keys[s];
    write_keys(p, b, k.k_grad, k.dk, unit * k.n, k.n, g.k_width, batch, kv_head);
    write_keys(p, b, k.v_grad, k.dv, unit * k.n, k.n, g.v_width, batch, kv_head);
  }
}

void run(const void* problem, const Buffers& b, const void*, void* scratch, int64_t task,
         int64_t end) noexcept {
  const AttentionGradProblem& g = as_backward(problem);
  AttentionProblem p = g.walk;
  p.softcap = g.softcap;
  for (; task < end; ++task) {
    const int64_t part = task % g.n_parts, rest = task / g.n_parts;
    const int64_t head_group = rest % g.n_head_groups, group = rest / g.n_head_groups;
    const int64_t b_end = cut_at(p.n_batch, g.n_groups, group + 1);
    const int64_t h_end = cut_at(g.n_kv_heads, g.n_head_groups, head_group + 1);
    for (int64_t i = cut_at(p.n_batch, g.n_groups, group); i < b_end; ++i) {
      for (int64_t h = cut_at(g.n_kv_heads, g.n_head_groups, head_group); h < h_end; ++h) {
        run_unit(g, p, b, static_cast<double*>(scratch), group, head_group, part, i, h);
      }
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, scratch_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)                \
  {"attention_backward_" #dtype "_reference", \
   "reference",                               \
   DType::dtype,                              \
   Cluster::reference,                        \
   DeviceType::cpu,                           \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable attention_backward_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
