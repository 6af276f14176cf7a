// Gradients of linear attention: the kernel `state_grad`.
//
// With S_i the sum of k v^T that query i sees and R_j the sum of scale q do^T of the queries that
// see key j: dq_i = scale S_i do_i, dk'_j = R_j v_j, dv_j = R_j^T k'_j. Behind the softmax
// dk = k' (dk' - c), c = sum_j k'_j dk'_j, which per channel is sum_i q_i dq_i too.
#include "ops/linear_attention/memory.h"

namespace swath::SWATH_ISA {
namespace {

const LinearAttentionProblem& as_linear(const void* p) {
  return *static_cast<const LinearAttentionProblem*>(p);
}

template <class S>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const LinearAttentionProblem& problem, Carver& carver)
      : p_(problem), norm_(problem, carver), d_(whole<A>(problem.n_d)), e_(whole<A>(problem.n_e)) {
    by_e_.take(carver, p_.n_e * d_);
    by_d_.take(carver, p_.n_d * e_);
    for (A** m : {&k_, &q_, &dq_}) *m = carver.take<A>(kChunk * d_);
    for (A** m : {&v_, &g_, &dv_}) *m = carver.take<A>(kChunk * e_);
    k_columns_ = carver.take<A>(p_.n_d * kChunk);
    v_columns_ = carver.take<A>(p_.n_e * kChunk);
    for (A** m : {&by_keys_, &by_values_}) *m = carver.take<A>(kChunk * kChunk);
    mean_.take(carver, d_);
  }
  static int64_t scratch_bytes(const LinearAttentionProblem& p) {
    Carver carver{nullptr};
    Worker counted(p, carver);
    return carver.used;
  }

  void run(const Buffers& b, int64_t task) {
    batch_ = task / p_.n_kv_heads;
    kv_head_ = task % p_.n_kv_heads;
    q_base_ = static_cast<const S*>(b.read(p_.q.ref));
    g_base_ = static_cast<const S*>(b.read(p_.o.ref));
    if (p_.has_dq) dq_base_ = static_cast<S*>(b.write(p_.dq.ref));
    key_ = static_cast<const S*>(b.read(p_.k.ref)) + p_.k.at(batch_, kv_head_);
    value_ = static_cast<const S*>(b.read(p_.v.ref)) + p_.v.at(batch_, kv_head_);
    if (p_.has_dk) dk_base_ = static_cast<S*>(b.write(p_.dk.ref)) + p_.dk.at(batch_, kv_head_);
    if (p_.has_dv) dv_base_ = static_cast<S*>(b.write(p_.dv.ref)) + p_.dv.at(batch_, kv_head_);
    norm_.prepare(key_);
    const bool needs_mean = p_.has_dk && p_.has_softmax;
    if (p_.has_dq || needs_mean) walk_keys();
    if (p_.has_dk || p_.has_dv) walk_back();
  }

 private:
  static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
  static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
  A scale() const { return static_cast<A>(p_.scale); }

  void load_chunk(int64_t j, int64_t n) {
    norm_.load_keys(key_, j, n, k_);
    load_rows<A>(p_.v, value_, j, n, 0, p_.n_e, A{1}, v_, e_);
  }
  int64_t first_query(int64_t key) const { return larger(key - (p_.n_k - p_.n_q), 0); }

  /// dq and the means of k' dk', with by_e_ = S^T.
  void walk_keys() {
    mean_.reset();
    by_e_.reset();
    if (p_.is_causal) make_dq(0, smaller(p_.n_q, larger(p_.n_q - p_.n_k, 0)), nullptr, 0, 0);
    for (int64_t j = 0; j < p_.n_k; j += kChunk) {
      const int64_t n = smaller(kChunk, p_.n_k - j);
      load_chunk(j, n);
      if (p_.is_causal) {
        const int64_t first = first_query(j), end = j + n - (p_.n_k - p_.n_q);
        if (end > first) {
          transpose(v_, e_, n, p_.n_e, v_columns_, kChunk);
          make_dq(first, end, by_e_.value(), j, n);
        }
      }
      add_product<A>({v_, 1, e_}, k_, d_, by_e_.part, d_, p_.n_e, d_, n);
      by_e_.added(n);
    }
    if (!p_.is_causal) make_dq(0, p_.n_q, by_e_.value(), 0, 0);
  }

  void make_dq(int64_t first, int64_t end, const A* state, int64_t first_key, int64_t n_keys) {
    for (int64_t h = kv_head_ * p_.n_group(); h < (kv_head_ + 1) * p_.n_group(); ++h) {
      const S* q = q_base_ + p_.q.at(batch_, h);
      const S* g = g_base_ + p_.o.at(batch_, h);
      for (int64_t i = first; i < end; i += kChunk) {
        const int64_t n = smaller(kChunk, end - i);
        clear(dq_, n * d_);
        load_rows<A>(p_.o, g, i, n, 0, p_.n_e, scale(), g_, e_);
        if (state != nullptr) add_product<A>({g_, e_, 1}, state, d_, dq_, d_, n, d_, p_.n_e);
        if (n_keys > 0) {
          clear(by_values_, n * kChunk);
          add_product<A>({g_, e_, 1}, v_columns_, kChunk, by_values_, kChunk, n, whole<A>(n_keys),
                         p_.n_e);
          const Band seen{0, p_.key_end(i) - first_key, n_keys, false, true};
          add_band_product<A>({by_values_, kChunk, 1}, k_, d_, dq_, d_, n, d_, seen);
        }
        add_means(q, i, n);
        if (p_.has_dq) {
          store_rows(dq_, d_, p_.dq, dq_base_ + p_.dq.at(batch_, h), i, n, 0, p_.n_d);
        }
      }
    }
  }

  void add_means(const S* q, int64_t i, int64_t n) {
    if (!p_.has_dk || !p_.has_softmax) return;
    load_rows<A>(p_.q, q, i, n, 0, p_.n_d, A{1}, q_, d_);
    for (int64_t c = 0; c < d_; c += kLanes<A>) {
      Vec<A> sum = zero<A>();
      for (int64_t r = 0; r < n; ++r) sum += load(q_ + r * d_ + c) * load(dq_ + r * d_ + c);
      store(mean_.part + c, load(mean_.part + c) + sum);
    }
    mean_.added(n);
  }

  /// dk and dv, with by_e_ = R^T and by_d_ = R.
  void walk_back() {
    by_e_.reset();
    by_d_.reset();
    if (!p_.is_causal) add_queries(0, p_.n_q);
    for (int64_t j = (p_.n_k - 1) / kChunk * kChunk; j >= 0 && p_.n_k > 0; j -= kChunk) {
      const int64_t n = smaller(kChunk, p_.n_k - j);
      const int64_t first = first_query(j), end = j + n - (p_.n_k - p_.n_q);
      load_chunk(j, n);
      clear(dq_, n * d_);  // dk'
      clear(dv_, n * e_);
      if (p_.has_dk) {
        add_product<A>({v_, e_, 1}, by_e_.value(), d_, dq_, d_, n, d_, p_.n_e);
      }
      if (p_.has_dv) {
        add_product<A>({k_, d_, 1}, by_d_.value(), e_, dv_, e_, n, e_, p_.n_d);
      }
      if (p_.is_causal && end > first) {
        add_seen(first, end, j, n);
        add_queries(first, end);
      }
      if (p_.has_dv) store_rows(dv_, e_, p_.dv, dv_base_, j, n, 0, p_.n_e);
      if (p_.has_dk) store_dk(j, n);
    }
  }

  void store_dk(int64_t j, int64_t n) {
    if (p_.has_softmax) {
      const A* mean = mean_.value();
      for (int64_t c = 0; c < n * d_; c += kLanes<A>) {
        store(dq_ + c, load(k_ + c) * (load(dq_ + c) - load(mean + c % d_)));
      }
    }
    store_rows(dq_, d_, p_.dk, dk_base_, j, n, 0, p_.n_d);
  }

  void load_queries(int64_t h, int64_t i, int64_t n) {
    load_rows<A>(p_.q, q_base_ + p_.q.at(batch_, h), i, n, 0, p_.n_d, scale(), q_, d_);
    load_rows<A>(p_.o, g_base_ + p_.o.at(batch_, h), i, n, 0, p_.n_e, A{1}, g_, e_);
  }

  void add_queries(int64_t first, int64_t end) {
    for (int64_t h = kv_head_ * p_.n_group(); h < (kv_head_ + 1) * p_.n_group(); ++h) {
      for (int64_t i = first; i < end; i += kChunk) {
        const int64_t n = smaller(kChunk, end - i);
        load_queries(h, i, n);
        if (p_.has_dk) add_product<A>({g_, 1, e_}, q_, d_, by_e_.part, d_, p_.n_e, d_, n);
        if (p_.has_dv) add_product<A>({q_, 1, d_}, g_, e_, by_d_.part, e_, p_.n_d, e_, n);
        by_e_.added(n);
        by_d_.added(n);
      }
    }
  }

  /// What the queries of the chunk give to its keys: key j is seen from query first_query(j) on.
  void add_seen(int64_t first, int64_t end, int64_t key, int64_t n_keys) {
    const int64_t n = end - first;  // at most a chunk
    const Band seen{key - (p_.n_k - p_.n_q) - first, n, n, true, false};
    transpose(k_, d_, n_keys, p_.n_d, k_columns_, kChunk);
    transpose(v_, e_, n_keys, p_.n_e, v_columns_, kChunk);
    for (int64_t h = kv_head_ * p_.n_group(); h < (kv_head_ + 1) * p_.n_group(); ++h) {
      load_queries(h, first, n);
      if (p_.has_dk) {
        clear(by_values_, n * kChunk);
        add_product<A>({g_, e_, 1}, v_columns_, kChunk, by_values_, kChunk, n, whole<A>(n_keys),
                       p_.n_e);
        add_band_product<A>({by_values_, 1, kChunk}, q_, d_, dq_, d_, n_keys, d_, seen);
      }
      if (p_.has_dv) {
        clear(by_keys_, n * kChunk);
        add_product<A>({q_, d_, 1}, k_columns_, kChunk, by_keys_, kChunk, n, whole<A>(n_keys),
                       p_.n_d);
        add_band_product<A>({by_keys_, 1, kChunk}, g_, e_, dv_, e_, n_keys, e_, seen);
      }
    }
  }

  const LinearAttentionProblem& p_;
  KeyNorm<A, S> norm_;
  State<A> by_e_, by_d_, mean_;
  const int64_t d_, e_;
  A *k_ = nullptr, *q_ = nullptr, *dq_ = nullptr, *v_ = nullptr, *g_ = nullptr, *dv_ = nullptr;
  A *k_columns_ = nullptr, *v_columns_ = nullptr, *by_keys_ = nullptr, *by_values_ = nullptr;
  int64_t batch_ = 0, kv_head_ = 0;
  const S *q_base_ = nullptr, *g_base_ = nullptr, *key_ = nullptr, *value_ = nullptr;
  S *dq_base_ = nullptr, *dk_base_ = nullptr, *dv_base_ = nullptr;
};

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<S>::scratch_bytes(as_linear(problem)));
}
const char* reject(const void* problem) noexcept {
  return as_linear(problem).is_backward ? nullptr : "is for the backward pass";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_linear(problem).n_tasks(); }

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  Carver carver{static_cast<char*>(scratch)};
  Worker<S> worker(as_linear(problem), carver);
  for (int64_t i = begin; i < end; ++i) worker.run(buffers, i);
}

}  // namespace

#define SWATH_STATE(name, S)                                                                 \
  extern const KernelFns linear_attention_state_grad_##name;                                 \
  const KernelFns linear_attention_state_grad_##name = {reject,           no_bytes, no_pack, \
                                                        scratch_bytes<S>, n_tasks,  run<S>};
SWATH_STATE(f32, float)
SWATH_STATE(f64, double)
SWATH_STATE(f16, f16)
SWATH_STATE(bf16, bf16)
#undef SWATH_STATE

}  // namespace swath::SWATH_ISA
