// A filter along the channels' means, the same for all of them.
#include "ops/channel_gate/epilogue.h"
#include "ops/common/carver.h"

namespace swath::SWATH_ISA {
namespace {

int64_t padded_channels(const MixProblem& p) { return (p.n_in + 2 * p.n_taps + 31) / 16 * 16; }

/// A row of channels with n_taps / 2 zeros on each side, and one of gates.
template <class A>
struct Scratch {
  A *row, *gates;

  __attribute__((always_inline)) int64_t carve(const MixProblem& p, void* memory) {
    Carver carver{static_cast<char*>(memory)};
    row = carver.take<A>(padded_channels(p));
    gates = carver.take<A>(padded_channels(p));
    return carver.used;
  }
};

template <class A>
SWATH_ALWAYS_INLINE void pad_row(const MixProblem& p, const A* from, A* row) {
  const int64_t before = p.n_taps / 2, n = padded_channels(p);
  for (int64_t i = 0; i < before; ++i) row[i] = 0;
  for (int64_t i = 0; i < p.n_in; ++i) row[before + i] = from[i];
  for (int64_t i = before + p.n_in; i < n; ++i) row[i] = 0;
}

/// y[c] = sum over t of weight(t) row[c + t], in runs.
template <class A, class F>
SWATH_ALWAYS_INLINE void filter(const A* row, int64_t n, int64_t n_taps, const F& weight, A* y) {
  for (int64_t j = 0; j < n; j += kLanes<A>) {
    Vec<A> total = zero<A>();
    for (int64_t first = 0; first < n_taps; first += kSumRun) {
      Vec<A> part = zero<A>();
      const int64_t end = least(n_taps, first + kSumRun);
      for (int64_t t = first; t < end; ++t)
        part = mul_add(load(row + j + t), set1(weight(t)), part);
      total += part;
    }
    store(y + j, total);
  }
}

template <class S>
void forward(const MixProblem& p, const Buffers& b, int64_t sample, void* memory) {
  using A = typename AccOf<S>::type;
  Scratch<A> scratch;
  scratch.carve(p, memory);
  const S* w = static_cast<const S*>(b.read(p.w));
  pad_row(p, static_cast<const A*>(b.read(p.m)) + sample * p.n_in, scratch.row);
  filter(scratch.row, p.n_in, p.n_taps, [&](int64_t t) { return A{to_acc(w[t])}; }, scratch.gates);
  finish_gates<S>(p, b, sample, 0, scratch.gates, p.n_in);
}

/// One task does all: the sums over samples and channels have a handful of terms a tap.
template <class S>
void backward(const MixProblem& p, const Buffers& b, void* memory) {
  using A = typename AccOf<S>::type;
  Scratch<A> scratch;
  scratch.carve(p, memory);
  const A* du = static_cast<const A*>(b.read(p.du));
  if (p.has_dm) {
    const S* w = static_cast<const S*>(b.read(p.w));
    A* dm = static_cast<A*>(b.write(p.dm));
    for (int64_t n = 0; n < p.n_batch; ++n) {
      pad_row(p, du + n * p.n_in, scratch.row);
      const auto flipped = [&](int64_t t) { return A{to_acc(w[p.n_taps - 1 - t])}; };
      filter(scratch.row, p.n_in, p.n_taps, flipped, scratch.gates);
      narrow_row(scratch.gates, dm + n * p.n_in, 1, p.n_in);
    }
  }
  if (!p.has_dw) return;
  const A* m = static_cast<const A*>(b.read(p.m));
  S* dw = static_cast<S*>(b.write(p.dw));
  for (int64_t t = 0; t < p.n_taps; ++t) {
    const int64_t shift = t - p.n_taps / 2;  // of m against du
    const int64_t first = shift < 0 ? -shift : 0;
    const int64_t n = p.n_in - (shift < 0 ? -shift : shift);
    LongSum<A> sum;
    for (int64_t sample = 0; n > 0 && sample < p.n_batch; ++sample) {
      const A* from = du + sample * p.n_in + first;
      const A* with = m + sample * p.n_in + first + shift;
      sum.add(sum_lanes<A>(n, [&](int64_t j, int lanes) {
        return load_part<A>(from + j, lanes) * load_part<A>(with + j, lanes);
      }));
    }
    dw[t] = from_acc<S>(sum.value());
  }
}

const char* reject(const void* problem) noexcept {
  return as_mix(problem).is_taps ? nullptr : "the gate is a matrix over the channels";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept {
  return as_mix(problem).is_backward ? 1 : as_mix(problem).n_batch;
}

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  Scratch<typename AccOf<S>::type> scratch;
  return static_cast<size_t>(scratch.carve(as_mix(problem), nullptr));
}

template <class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  const MixProblem& p = as_mix(problem);
  for (int64_t i = begin; i < end; ++i) {
    if (p.is_backward) {
      backward<S>(p, b, memory);
    } else {
      forward<S>(p, b, i, memory);
    }
  }
}

}  // namespace

#define SWATH_TAPS(name, S)                                                     \
  extern const KernelFns channel_gate_taps_##name;                              \
  const KernelFns channel_gate_taps_##name{reject,           no_bytes, no_pack, \
                                           scratch_bytes<S>, n_tasks,  run<S>};
SWATH_TAPS(f32, float)
SWATH_TAPS(f64, double)
SWATH_TAPS(f16, f16)
SWATH_TAPS(bf16, bf16)
#undef SWATH_TAPS

}  // namespace swath::SWATH_ISA
