// A matrix over the channels' means: forward by rows of it, backward by columns.
#include "ops/channel_gate/epilogue.h"

namespace swath::SWATH_ISA {
namespace {

constexpr int64_t kOutputs = 16;  // of a forward task: their rows of w stay in the first cache
constexpr int kRows = 4;          // of w at once: an addition waits for the last one
constexpr int kColumns = 4;       // vectors of a backward task

/// sums[k] = sum over i of w[k][i] m[i].
template <class S, class A>
SWATH_ALWAYS_INLINE void dot_rows(const S* const (&w)[kRows], const A* m, int64_t n,
                                  A (&sums)[kRows]) {
  constexpr int kLane = kLanes<A>;
  Vec<A> total[kRows];
  for (Vec<A>& t : total) t = zero<A>();
  for (int64_t first = 0; first < n; first += kSumRun * kLane) {
    Vec<A> part[kRows];
    for (Vec<A>& t : part) t = zero<A>();
    for_lanes<A>(least(n - first, kSumRun * kLane), [&](int64_t j, int lanes) {
      const Vec<A> x = load_part<A>(m + first + j, lanes);
#pragma GCC unroll 4
      for (int k = 0; k < kRows; ++k) {
        part[k] = mul_add(load_part<A>(w[k] + first + j, lanes), x, part[k]);
      }
    });
    for (int k = 0; k < kRows; ++k) total[k] += part[k];
  }
  for (int k = 0; k < kRows; ++k) sums[k] = reduce_add(total[k]);
}

template <class S>
void forward(const MixProblem& p, const Buffers& b, int64_t task) {
  using A = typename AccOf<S>::type;
  const S* w = static_cast<const S*>(b.read(p.w));
  const A* m = static_cast<const A*>(b.read(p.m));
  const int64_t first = task * kOutputs, n = least(kOutputs, p.n_out - first);
  for (int64_t sample = 0; sample < p.n_batch; ++sample) {
    A x[kOutputs] = {};
    for (int64_t i = 0; i < n; i += kRows) {
      const S* rows[kRows];
      for (int k = 0; k < kRows; ++k) rows[k] = w + (first + least(i + k, n - 1)) * p.n_in;
      A sums[kRows];
      dot_rows(rows, m + sample * p.n_in, p.n_in, sums);
      for (int k = 0; k < kRows; ++k) x[i + k] = sums[k];
    }
    finish_gates<S>(p, b, sample, first, x, n);
  }
}

/// acc[u] = sum over i < n of factor(i) times vector u of row i, a row after the other `step`
/// apart.
template <class A, class In, class F>
SWATH_ALWAYS_INLINE void sum_rows(const In* rows, int64_t step, int64_t n, int n_vectors,
                                  int n_last, const F& factor, Vec<A> (&acc)[kColumns]) {
  for (Vec<A>& v : acc) v = zero<A>();
  for (int64_t first = 0; first < n; first += kSumRun) {
    Vec<A> part[kColumns];
    for (Vec<A>& v : part) v = zero<A>();
    const int64_t end = least(n, first + kSumRun);
    for (int64_t i = first; i < end; ++i) {
      const Vec<A> f = set1(factor(i));
      const In* row = rows + i * step;
      if (n_vectors == kColumns && n_last == kLanes<A>) {
#pragma GCC unroll 4
        for (int u = 0; u < kColumns; ++u) {
          part[u] = mul_add(load_as<A>(row + u * kLanes<A>), f, part[u]);
        }
        continue;
      }
      for (int u = 0; u < n_vectors; ++u) {
        const int lanes = u + 1 == n_vectors ? n_last : kLanes<A>;
        part[u] = mul_add(load_part<A>(row + u * kLanes<A>, lanes), f, part[u]);
      }
    }
    for (int u = 0; u < kColumns; ++u) acc[u] += part[u];
  }
}

/// The columns of one task: dm[n, i] = sum over o of du[n, o] w[o, i], dw[o, i] = sum over n of
/// du[n, o] m[n, i].
template <class S>
void backward(const MixProblem& p, const Buffers& b, int64_t task) {
  using A = typename AccOf<S>::type;
  constexpr int kLane = kLanes<A>;
  const int64_t first = task * kColumns * kLane, n = least(kColumns * kLane, p.n_in - first);
  const int n_vectors = static_cast<int>((n + kLane - 1) / kLane);
  const int n_last = static_cast<int>(n - (n_vectors - 1) * kLane);
  const A* du = static_cast<const A*>(b.read(p.du));
  Vec<A> acc[kColumns];
  const auto store_all = [&](auto* to) {
    for (int u = 0; u < n_vectors; ++u) {
      store_part(to + u * kLane, acc[u], u + 1 == n_vectors ? n_last : kLane);
    }
  };
  if (p.has_dm) {
    const S* w = static_cast<const S*>(b.read(p.w)) + first;
    A* dm = static_cast<A*>(b.write(p.dm)) + first;
    for (int64_t sample = 0; sample < p.n_batch; ++sample) {
      const A* row = du + sample * p.n_out;
      sum_rows<A>(w, p.n_in, p.n_out, n_vectors, n_last, [&](int64_t o) { return row[o]; }, acc);
      store_all(dm + sample * p.n_in);
    }
  }
  if (!p.has_dw) return;
  const A* m = static_cast<const A*>(b.read(p.m)) + first;
  S* dw = static_cast<S*>(b.write(p.dw)) + first;
  for (int64_t o = 0; o < p.n_out; ++o) {
    const auto factor = [&](int64_t sample) { return du[sample * p.n_out + o]; };
    sum_rows<A>(m, p.n_in, p.n_batch, n_vectors, n_last, factor, acc);
    store_all(dw + o * p.n_in);
  }
}

const char* reject(const void* problem) noexcept {
  return as_mix(problem).is_taps ? "the gate is a filter along the channels" : nullptr;
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class S>
int64_t n_tasks(const void* problem) noexcept {
  const MixProblem& p = as_mix(problem);
  const int64_t block = p.is_backward ? kColumns * kLanes<typename AccOf<S>::type> : kOutputs;
  return ((p.is_backward ? p.n_in : p.n_out) + block - 1) / block;
}

template <class S>
void run(const void* problem, const Buffers& b, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const MixProblem& p = as_mix(problem);
  for (int64_t i = begin; i < end; ++i) {
    if (p.is_backward) {
      backward<S>(p, b, i);
    } else {
      forward<S>(p, b, i);
    }
  }
}

}  // namespace

#define SWATH_DENSE(name, S)                                               \
  extern const KernelFns channel_gate_dense_##name;                        \
  const KernelFns channel_gate_dense_##name{reject,   no_bytes,   no_pack, \
                                            no_bytes, n_tasks<S>, run<S>};
SWATH_DENSE(f32, float)
SWATH_DENSE(f64, double)
SWATH_DENSE(f16, f16)
SWATH_DENSE(bf16, bf16)
#undef SWATH_DENSE

}  // namespace swath::SWATH_ISA
