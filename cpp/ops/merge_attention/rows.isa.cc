// Merging parts of an attention row by row, and its gradient.
#include "ops/common/rows.h"
#include "ops/common/carver.h"
#include "ops/merge_attention/problem.h"
#include "simd/math.h"

namespace swath::SWATH_ISA {
namespace {

const MergeProblem& as_merge(const void* p) { return *static_cast<const MergeProblem*>(p); }

/// ln x for 1 <= x < 2^20: n ln 2 + ln(1 + z) with z from 0 to 1.
template <class A>
SWATH_ALWAYS_INLINE A log_from_one(A x) {
  using B = Bits<A>;
  using T = MathTable<A>;
  constexpr int kShift = T::kMantissaBits;
  constexpr B kBias = static_cast<B>(T::kExponentBias);
  const B bits = __builtin_bit_cast(B, x);
  const B n = (bits >> kShift) - kBias;
  const A z = __builtin_bit_cast(A, static_cast<B>(bits - (n << kShift))) - 1;
  const Vec<A> v = set1(z);
  const Vec<A> tail = mul_add(-(v * v), polynomial(v, T::kLog1p), set1<A>(0));
  const A e = static_cast<A>(n);
  return (e * T::kLn2High + z) + (e * T::kLn2Low + tail[0]);
}

/// Scratch memory.
template <class S, class A>
struct Rows {
  A *weights_ = nullptr, *dots_ = nullptr, *sum_ = nullptr;
  S *raw_ = nullptr, *raw_do_ = nullptr;
};

template <class S>
class Worker : Rows<S, typename AccOf<S>::type> {
 public:
  using A = typename AccOf<S>::type;
  using Memory = Rows<S, A>;

  Worker(const MergeProblem& problem, const Buffers& buffers, void* memory)
      : p_(problem), b_(buffers) {
    carve(p_, memory, *this);
  }
  static int64_t scratch_bytes(const MergeProblem& p) {
    Memory counted;
    return carve(p, nullptr, counted);
  }

  void run(int64_t task) {
    const int64_t first = task * MergeProblem::kTaskRows, n = p_.rows.count();
    const int64_t end = n < first + MergeProblem::kTaskRows ? n : first + MergeProblem::kTaskRows;
    WalkPosition<kMergeArrays> at(p_.rows, first);
    for (int64_t row = first; row < end; ++row, at.advance()) {
      const A lse = weigh(at);
      if (p_.is_backward) {
        give(at, row);
      } else {
        merge(at);
        static_cast<A*>(b_.out[1])[at.at[1]] = lse;
      }
    }
  }

 private:
  static constexpr int kWeights = 16 + kLanes<A>;

  using Memory::dots_;
  using Memory::raw_;
  using Memory::raw_do_;
  using Memory::sum_;
  using Memory::weights_;

  static int64_t carve(const MergeProblem& p, void* memory, Memory& w) {
    Carver carver{static_cast<char*>(memory)};
    w.weights_ = carver.take<A>(kWeights);
    w.dots_ = carver.take<A>(kWeights);
    w.sum_ = carver.take<A>(p.n_channels + kLanes<A>);
    w.raw_ = carver.take<S>(p.n_channels + kLanes<A>);
    w.raw_do_ = carver.take<S>(p.n_channels + kLanes<A>);
    return carver.used;
  }

  const S* o_row(int part, const int64_t* at) const {
    const S* o = static_cast<const S*>(b_.in[p_.o_slot(part)]) + at[merge_o(part)];
    if (p_.o_step[part] == 1) return o;
    gather_row(o, p_.o_step[part], raw_, p_.n_channels);
    return raw_;
  }

  /// weights_ = exp(lse_t - lse), 0 for all parts if all are -inf; returns lse.
  A weigh(const WalkPosition<kMergeArrays>& at) const {
    const int n = p_.n_parts;
    const A none = -__builtin_inff();
    A most = none;
    for (int t = 0; t < kWeights; ++t) {
      A lse = none;
      if (t < n) {
        lse = static_cast<const A*>(b_.in[p_.o_slot(t) + 1])[at.at[merge_lse(t)]];
        most = lse > most || lse != lse ? lse : most;
      }
      weights_[t] = lse;
    }
    A sum = 0;
    const Vec<A> top = set1(most);
    for (int t = 0; t < n; t += kLanes<A>) {
      const Vec<A> lse = load(weights_ + t);
      // Equal first: neither inf - inf nor -inf - -inf is computed into a weight.
      Vec<A> e = select(lse == top, set1<A>(1), exp(lse - top));
      e = select(lse == set1(none), zero<A>(), e);
      store(weights_ + t, e);
      sum += reduce_add(e);
    }
    if (most == none) return none;
    if (most != most) {
      for (int t = 0; t < n; ++t) weights_[t] = most;
      return most;
    }
    for (int t = 0; t < n; ++t) weights_[t] /= sum;
    return most + log_from_one(sum);
  }

  void merge(const WalkPosition<kMergeArrays>& at) const {
    const int64_t n_channels = p_.n_channels;
    for_lanes<A>(n_channels, [&](int64_t j, int) { store(sum_ + j, zero<A>()); });
    for (int t = 0; t < p_.n_parts; ++t) {
      if (weights_[t] == 0 && is_empty(t, at)) continue;
      const S* o = o_row(t, at.at);
      const Vec<A> w = set1(weights_[t]);
      for_lanes<A>(n_channels, [&](int64_t j, int m) {
        store(sum_ + j, mul_add(w, load_part<A>(o + j, m), load(sum_ + j)));
      });
    }
    S* o = static_cast<S*>(b_.out[0]) + at.at[0];
    narrow_row(sum_, o, p_.o_step[kMaxMergeParts], n_channels);
  }

  /// A part of no keys: whatever its o holds does not count.
  bool is_empty(int t, const WalkPosition<kMergeArrays>& at) const {
    return static_cast<const A*>(b_.in[p_.o_slot(t) + 1])[at.at[merge_lse(t)]] == -__builtin_inff();
  }

  /// do_t = w_t do, dlse_t = w_t (<do, o_t> - sum_s w_s <do, o_s> + dlse).
  void give(const WalkPosition<kMergeArrays>& at, int64_t row) const {
    const int64_t n_channels = p_.n_channels;
    const S* g = static_cast<const S*>(b_.in[0]) + at.at[0];
    if (p_.o_step[kMaxMergeParts] != 1) {
      gather_row(g, p_.o_step[kMaxMergeParts], raw_do_, n_channels);
      g = raw_do_;
    }
    A mean = 0;
    for (int t = 0; t < p_.n_parts; ++t) {
      dots_[t] = 0;
      if (weights_[t] == 0 && is_empty(t, at)) continue;
      const S* o = o_row(t, at.at);
      dots_[t] = sum_lanes<A>(n_channels, [&](int64_t j, int m) {
        return load_part<A>(g + j, m) * load_part<A>(o + j, m);
      });
      mean += weights_[t] * dots_[t];
    }
    if (p_.has_dlse) mean -= static_cast<const A*>(b_.in[1])[at.at[1]];
    for (int t = 0; t < p_.n_parts; ++t) {
      const bool is_none = weights_[t] == 0 && is_empty(t, at);
      static_cast<A*>(b_.out[2 * t + 1])[row] = is_none ? 0 : weights_[t] * (dots_[t] - mean);
      S* to = static_cast<S*>(b_.out[2 * t]) + row * n_channels;
      const Vec<A> w = set1(weights_[t]);
      for_lanes<A>(n_channels, [&](int64_t j, int m) {
        store_part(to + j, is_none ? zero<A>() : w * load_part<A>(g + j, m), m);
      });
    }
  }

  const MergeProblem& p_;
  const Buffers& b_;
};

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<S>::scratch_bytes(as_merge(problem)));
}
const char* no_reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_merge(problem).n_tasks(); }

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  Worker<S> worker(as_merge(problem), buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.run(i);
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)             \
  extern const KernelFns merge_attention_##variant##_##dtype; \
  const KernelFns merge_attention_##variant##_##dtype = {     \
      no_reject, no_bytes, no_pack, scratch_bytes<dtype>, n_tasks, run<dtype>};
#include "ops/merge_attention/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
