// The layers of a gate in plain loops and in double.
#include <iterator>

#include "ops/channel_gate/problem.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

const MixProblem& as_mix(const void* p) { return *static_cast<const MixProblem*>(p); }

struct Reference {
  const MixProblem& p;
  const Buffers& b;
  DType acc;

  double weight(int64_t i) const { return load_scalar(p.dtype, b.read(p.w), i); }
  double mean(int64_t n, int64_t i) const { return load_scalar(acc, b.read(p.m), n * p.n_in + i); }
  double du(int64_t n, int64_t o) const { return load_scalar(acc, b.read(p.du), n * p.n_out + o); }
  /// f(index of the weight, input) for the inputs of output o.
  template <class F>
  void each_input(int64_t o, const F& f) const {
    if (!p.is_taps) {
      for (int64_t i = 0; i < p.n_in; ++i) f(o * p.n_in + i, i);
      return;
    }
    for (int64_t t = 0; t < p.n_taps; ++t) {
      const int64_t i = o + t - p.n_taps / 2;
      if (i >= 0 && i < p.n_in) f(t, i);
    }
  }

  void forward(int64_t n) const {
    for (int64_t o = 0; o < p.n_out; ++o) {
      ScalarSum sum;
      each_input(o, [&](int64_t w, int64_t i) { sum.add(weight(w) * mean(n, i)); });
      double v = sum.value();
      const int64_t at = n * p.n_out + o;
      if (p.keeps_raw) store_scalar(acc, b.write(p.raw), at, v);
      if (p.has_scale) v *= load_scalar(p.dtype, b.read(p.scale), o * p.scale_stride);
      if (p.has_shift) v += load_scalar(p.dtype, b.read(p.shift), o * p.shift_stride);
      store_scalar(acc, b.write(p.g), at, activate_scalar(v, p.activation, 0));
    }
  }

  void input_grad(int64_t n, int64_t i) const {
    ScalarSum sum;
    for (int64_t o = 0; o < p.n_out; ++o) {
      if (!p.is_taps) {
        sum.add(du(n, o) * weight(o * p.n_in + i));
        continue;
      }
      const int64_t t = i - o + p.n_taps / 2;
      if (t >= 0 && t < p.n_taps) sum.add(du(n, o) * weight(t));
    }
    store_scalar(acc, b.write(p.dm), n * p.n_in + i, sum.value());
  }

  void weight_grad(int64_t w) const {
    ScalarSum sum;
    for (int64_t n = 0; n < p.n_batch; ++n) {
      if (!p.is_taps) {
        sum.add(du(n, w / p.n_in) * mean(n, w % p.n_in));
        continue;
      }
      for (int64_t o = 0; o < p.n_out; ++o) {
        const int64_t i = o + w - p.n_taps / 2;
        if (i >= 0 && i < p.n_in) sum.add(du(n, o) * mean(n, i));
      }
    }
    store_scalar(p.dtype, b.write(p.dw), w, sum.value());
  }

  void backward() const {
    for (int64_t at = 0; p.has_dm && at < p.n_batch * p.n_in; ++at) {
      input_grad(at / p.n_in, at % p.n_in);
    }
    const int64_t n_weights = p.is_taps ? p.n_taps : p.n_out * p.n_in;
    for (int64_t w = 0; p.has_dw && w < n_weights; ++w) weight_grad(w);
  }
};

int64_t n_tasks(const void* problem) noexcept {
  return as_mix(problem).is_backward ? 1 : as_mix(problem).n_batch;
}

void run(const void* problem, const Buffers& buffers, const void*, void*, int64_t begin,
         int64_t end) noexcept {
  const MixProblem& p = as_mix(problem);
  const Reference reference{p, buffers, accumulator_of(p.dtype)};
  for (int64_t i = begin; i < end; ++i) {
    if (p.is_backward) {
      reference.backward();
    } else {
      reference.forward(i);
    }
  }
}

const char* reject(const void*) noexcept { return nullptr; }
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
const KernelFns kFns{reject, no_bytes, no_pack, no_bytes, n_tasks, run};

#define SWATH_REFERENCE(dtype)          \
  {"channel_gate_" #dtype "_reference", \
   "reference",                         \
   DType::dtype,                        \
   Cluster::reference,                  \
   DeviceType::cpu,                     \
   &kFns}
const KernelRecord kRecords[] = {SWATH_REFERENCE(f32), SWATH_REFERENCE(f64), SWATH_REFERENCE(f16),
                                 SWATH_REFERENCE(bf16)};
#undef SWATH_REFERENCE

}  // namespace

KernelTable channel_gate_reference_kernels() noexcept {
  return {kRecords, static_cast<int>(std::size(kRecords))};
}

}  // namespace swath
