// Linear attention: the kernel `state`.
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
      : p_(problem),
        norm_(problem, carver),
        d_(whole<A>(problem.n_d)),
        e_(whole<A>(smaller(problem.n_e, LinearAttentionProblem::kTaskChannels))) {
    state_.take(carver, p_.n_d * e_);
    k_ = carver.take<A>(kChunk * d_);
    q_ = carver.take<A>(kChunk * d_);
    v_ = carver.take<A>(kChunk * e_);
    o_ = carver.take<A>(kChunk * e_);
    if (!p_.is_causal) return;
    k_columns_ = carver.take<A>(p_.n_d * kChunk);
    scores_ = carver.take<A>(kChunk * kChunk);
  }
  static int64_t scratch_bytes(const LinearAttentionProblem& p) {
    Carver carver{nullptr};
    Worker counted(p, carver);
    return carver.used;
  }

  void run(const Buffers& b, int64_t task) {
    const int64_t block = task % p_.n_blocks(), place = task / p_.n_blocks();
    batch_ = place / p_.n_kv_heads;
    kv_head_ = place % p_.n_kv_heads;
    channel_ = block * LinearAttentionProblem::kTaskChannels;
    n_channels_ = smaller(p_.n_e - channel_, LinearAttentionProblem::kTaskChannels);
    q_base_ = static_cast<const S*>(b.read(p_.q.ref));
    o_base_ = static_cast<S*>(b.write(p_.o.ref));
    const S* k = static_cast<const S*>(b.read(p_.k.ref)) + p_.k.at(batch_, kv_head_);
    const S* v = static_cast<const S*>(b.read(p_.v.ref)) + p_.v.at(batch_, kv_head_);
    norm_.prepare(k);
    state_.reset();
    if (p_.is_causal) answer(0, smaller(p_.n_q, larger(p_.n_q - p_.n_k, 0)), nullptr, 0, 0);
    for (int64_t j = 0; j < p_.n_k; j += kChunk) {
      const int64_t n = smaller(kChunk, p_.n_k - j);
      norm_.load_keys(k, j, n, k_);
      load_rows<A>(p_.v, v, j, n, channel_, n_channels_, A{1}, v_, e_);
      if (p_.is_causal) answer_chunk(j, n);
      add_product<A>({k_, 1, d_}, v_, e_, state_.part, e_, p_.n_d, e_, n);
      state_.added(n);
    }
    if (!p_.is_causal) answer(0, p_.n_q, state_.value(), 0, 0);
  }

 private:
  static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
  static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

  /// The queries whose last key is in the chunk.
  void answer_chunk(int64_t first_key, int64_t n_keys) {
    const int64_t ahead = p_.n_k - p_.n_q;
    const int64_t first = larger(first_key - ahead, 0), end = first_key + n_keys - ahead;
    if (end <= first) return;
    transpose(k_, d_, n_keys, p_.n_d, k_columns_, kChunk);
    answer(first, end, state_.value(), first_key, n_keys);
  }

  /// Rows first .. end of o for every head of the group: the state's part and, of n_keys > 0 in
  /// k_ and v_, that of the keys that each query sees.
  void answer(int64_t first, int64_t end, const A* state, int64_t first_key, int64_t n_keys) {
    for (int64_t h = kv_head_ * p_.n_group(); h < (kv_head_ + 1) * p_.n_group(); ++h) {
      const S* q = q_base_ + p_.q.at(batch_, h);
      S* o = o_base_ + p_.o.at(batch_, h);
      for (int64_t i = first; i < end; i += kChunk) {
        const int64_t n = smaller(kChunk, end - i);
        clear(o_, n * e_);
        load_rows<A>(p_.q, q, i, n, 0, p_.n_d, static_cast<A>(p_.scale), q_, d_);
        if (state != nullptr) {
          add_product<A>({q_, d_, 1}, state, e_, o_, e_, n, e_, p_.n_d);
        }
        if (n_keys > 0) {
          clear(scores_, n * kChunk);
          add_product<A>({q_, d_, 1}, k_columns_, kChunk, scores_, kChunk, n, whole<A>(n_keys),
                         p_.n_d);
          const Band seen{0, p_.key_end(i) - first_key, n_keys, false, true};
          add_band_product<A>({scores_, kChunk, 1}, v_, e_, o_, e_, n, e_, seen);
        }
        store_rows(o_, e_, p_.o, o, i, n, channel_, n_channels_);
      }
    }
  }

  const LinearAttentionProblem& p_;
  KeyNorm<A, S> norm_;
  State<A> state_;
  const int64_t d_, e_;  // whole vectors of channels of k and of the task's channels of v
  A *k_ = nullptr, *q_ = nullptr, *v_ = nullptr, *o_ = nullptr;
  A *k_columns_ = nullptr, *scores_ = nullptr;
  int64_t batch_ = 0, kv_head_ = 0, channel_ = 0, n_channels_ = 0;
  const S* q_base_ = nullptr;
  S* o_base_ = nullptr;
};

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<S>::scratch_bytes(as_linear(problem)));
}
const char* reject(const void* problem) noexcept {
  return as_linear(problem).is_backward ? "is for the forward pass" : nullptr;
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

#define SWATH_STATE(name, S)                                                            \
  extern const KernelFns linear_attention_state_##name;                                 \
  const KernelFns linear_attention_state_##name = {reject,           no_bytes, no_pack, \
                                                   scratch_bytes<S>, n_tasks,  run<S>};
SWATH_STATE(f32, float)
SWATH_STATE(f64, double)
SWATH_STATE(f16, f16)
SWATH_STATE(bf16, bf16)
#undef SWATH_STATE

}  // namespace swath::SWATH_ISA
