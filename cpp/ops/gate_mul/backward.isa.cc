// Gradients of phi(a) gate(b) in one pass: the kernels `lanes_grad` and `splat_grad`.
#include "ops/gate_mul/task.h"

namespace swath::SWATH_ISA {
namespace {

/// dy slope g; slope null: 1.
template <bool kIsSplat, class A, class S>
SWATH_ALWAYS_INLINE Vec<A> scaled(const S* dy, const A* slope, const A* g, int64_t j, int n) {
  Vec<A> v = load_part<A>(dy + j, n);
  if (slope != nullptr) v = v * load_part<A>(slope + j, n);
  if constexpr (kIsSplat) {
    return v * set1(*g);
  } else {
    return v * load_part<A>(g + j, n);
  }
}

template <class S>
class GradWorker {
 public:
  using A = typename AccOf<S>::type;

  GradWorker(const GateProblem& problem, const Buffers& b, void* memory) : p_(problem) {
    carve(memory);
    a_ = static_cast<const S*>(b.read(p_.a));
    b_ = b.read(p_.b);
    dy_ = static_cast<const S*>(b.read(p_.c));
    if (p_.has_da) da_ = static_cast<S*>(b.write(p_.y));
    if (p_.has_db) db_ = b.write(p_.db);
    if (p_.has_params) params_ = static_cast<A*>(b.write(p_.params));
  }
  static int64_t scratch_bytes(const GateProblem& p) { return GradWorker(p).carve(nullptr); }

  template <bool kIsSplat>
  void run(const GateTask& task, int64_t index) const {
    const int64_t n = task.n_gates(p_), stride = gate_axis(p_).stride[kGateB];
    load_gates<A, S>(b_, p_.b_is_acc, task.at[kGateB], stride, raw_b_, n);
    const bool has_slopes = p_.has_db && !p_.gate.is_asym_gauss;
    for (int64_t j = 0; j < n; j += kLanes<A>) {
      store(gates_ + j, load(raw_b_ + j));
      store(total_ + j, zero<A>());
      store(part_ + j, zero<A>());
    }
    if (has_slopes && p_.gate.kind != Activation::none) {
      // Both from one exponential.
      activate_with_slope(gates_, gate_slope_, n, p_.gate.kind, p_.gate.value);
      add_shift(p_.gate, gates_, n);
    } else {
      apply_gate(p_.gate, gates_, n);
    }
    if constexpr (kIsSplat) {
      for (int64_t i = 0; i < n; ++i) total_[i] = sum_of_row(task, i);
    } else {
      run_repeats(task);
    }
    finish(task, index, n);
  }

 private:
  explicit GradWorker(const GateProblem& problem) : p_(problem) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    for (A** row : {&raw_b_, &gates_, &gate_slope_, &total_, &part_})
      *row = carver.take<A>(gate_pitch(p_));
    for (A** row : {&phi_, &slope_}) *row = carver.take<A>(padded(p_.chunk));
    for (S** row : {&raw_a_, &raw_dy_, &raw_da_}) *row = carver.take<S>(p_.chunk);
    return carver.used;
  }

  bool needs_chunks() const {
    const GateAxis& run = p_.run;
    return p_.activation != Activation::none || run.stride[kGateA] != 1 ||
           run.stride[kGateC] != 1 || run.stride[kGateY] != 1;
  }

  /// n elements of the run, at most a chunk if it needs chunks: writes da and hands the products
  /// dy phi(a) to `products(dy, phi)`.
  template <bool kIsSplat, class Products>
  void run_chunk(const int64_t (&at)[kGateArrays], int64_t j, const A* g, int64_t n,
                 const Products& products) const {
    const GateAxis& run = p_.run;
    const S* a = a_ + at[kGateA] + j * run.stride[kGateA];
    const S* dy = dy_ + at[kGateC] + j * run.stride[kGateC];
    if (run.stride[kGateC] != 1) {
      gather_row(dy, run.stride[kGateC], raw_dy_, n);
      dy = raw_dy_;
    }
    const A* slope = nullptr;
    if (p_.activation != Activation::none) {
      widen_row(a, run.stride[kGateA], phi_, n);
      activate_with_slope(phi_, slope_, n, p_.activation, p_.activation_value);
      slope = slope_;
      if (p_.has_db || p_.has_params) products(dy, phi_);
    } else if (p_.has_db || p_.has_params) {
      if (run.stride[kGateA] != 1) {
        gather_row(a, run.stride[kGateA], raw_a_, n);
        a = raw_a_;
      }
      products(dy, a);
    }
    if (!p_.has_da) return;
    S* da = da_ + at[kGateY] + j * run.stride[kGateY];
    const bool stages = run.stride[kGateY] != 1;
    S* to = stages ? raw_da_ : da;
    for_lanes<A>(n, [&](int64_t i, int m) {
      store_part(to + i, scaled<kIsSplat, A>(dy, slope, g, i, m), m);
    });
    if (stages) scatter_row(raw_da_, da, run.stride[kGateY], n);
  }

  /// Gates along the run: sums of the repeats side by side, in runs of kSumRun.
  void run_repeats(const GateTask& task) const {
    const int64_t step = needs_chunks() ? p_.chunk : task.n_run;
    WalkPosition<kGateArrays> repeat(p_.repeat, 0);
    for (int64_t r = 0; r < task.n_repeats; ++r, repeat.advance()) {
      int64_t at[kGateArrays];
      for (int k = 0; k < kGateArrays; ++k) at[k] = task.at[k] + repeat.at[k];
      for (int64_t j = 0; j < task.n_run; j += step) {
        const int64_t n = smaller(step, task.n_run - j);
        A* sums = part_ + j;
        run_chunk<false>(at, j, gates_ + j, n, [&](const auto* dy, const auto* phi) {
          for_lanes<A>(n, [&](int64_t i, int m) {
            const Vec<A> product = load_part<A>(dy + i, m) * load_part<A>(phi + i, m);
            store_part(sums + i, load_part<A>(sums + i, m) + product, m);
          });
        });
      }
      if ((r + 1) % kSumRun == 0 || r + 1 == task.n_repeats) flush(task.n_run);
    }
  }
  void flush(int64_t n) const {
    for (int64_t j = 0; j < n; j += kLanes<A>) {
      store(total_ + j, load(total_ + j) + load(part_ + j));
      store(part_ + j, zero<A>());
    }
  }

  /// One gate for a run and all its repeats.
  A sum_of_row(const GateTask& task, int64_t i) const {
    const int64_t step = needs_chunks() ? p_.chunk : task.n_run;
    LongSum<A> sum;
    WalkPosition<kGateArrays> repeat(p_.repeat, 0);
    for (int64_t r = 0; r < task.n_repeats; ++r, repeat.advance()) {
      int64_t at[kGateArrays];
      for (int k = 0; k < kGateArrays; ++k) {
        at[k] = task.at[k] + repeat.at[k] + i * p_.rows.stride[k];
      }
      for (int64_t j = 0; j < task.n_run; j += step) {
        const int64_t n = smaller(step, task.n_run - j);
        run_chunk<true>(at, j, gates_ + i, n, [&](const auto* dy, const auto* phi) {
          sum.add(sum_lanes<A>(n, [&](int64_t at_lane, int m) {
            return load_part<A>(dy + at_lane, m) * load_part<A>(phi + at_lane, m);
          }));
        });
      }
    }
    return sum.value();
  }

  void finish(const GateTask& task, int64_t index, int64_t n) const {
    if (p_.has_params) {
      A* sums = params_ + 4 * index;
      for (int k = 0; k < 4; ++k) sums[k] = 0;
      add_param_sums(p_.gate, raw_b_, total_, n, sums);
    }
    if (!p_.has_db) return;
    if (p_.gate.is_asym_gauss) {
      multiply_by_slope(p_.gate, raw_b_, total_, n);
    } else if (p_.gate.kind != Activation::none) {
      for_lanes<A>(n, [&](int64_t j, int) {
        // As activation_grad: what is flat gives 0 whatever arrives.
        const Vec<A> slope = load(gate_slope_ + j);
        store(total_ + j, select(slope == zero<A>(), slope, load(total_ + j) * slope));
      });
    }
    const int64_t stride = gate_axis(p_).stride[kGateDb], at = task.at[kGateDb];
    if (p_.db_is_acc) {
      narrow_row(total_, static_cast<A*>(db_) + at, stride, n);
    } else {
      narrow_row(total_, static_cast<S*>(db_) + at, stride, n);
    }
  }

  const GateProblem& p_;
  const S* a_ = nullptr;
  const void* b_ = nullptr;
  const S* dy_ = nullptr;
  S* da_ = nullptr;
  void* db_ = nullptr;
  A* params_ = nullptr;
  A *raw_b_ = nullptr, *gates_ = nullptr, *gate_slope_ = nullptr;
  A *total_ = nullptr, *part_ = nullptr;
  A *phi_ = nullptr, *slope_ = nullptr;
  S *raw_a_ = nullptr, *raw_dy_ = nullptr, *raw_da_ = nullptr;
};

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(GradWorker<S>::scratch_bytes(as_gate(problem)));
}

template <bool kIsSplat>
const char* reject(const void* problem) noexcept {
  return no_reject(as_gate(problem), true, kIsSplat);
}

template <bool kIsSplat, class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const GateProblem& p = as_gate(problem);
  const GradWorker<S> worker(p, buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.template run<kIsSplat>(GateTask(p, i), i);
}

}  // namespace

#define SWATH_GATE(variant, is_splat, name, S)                                     \
  extern const KernelFns gate_mul_##variant##_##name;                              \
  const KernelFns gate_mul_##variant##_##name{reject<is_splat>, no_bytes, no_pack, \
                                              scratch_bytes<S>, n_tasks,  run<is_splat, S>};
#define SWATH_GATE_DTYPES(variant, is_splat) \
  SWATH_GATE(variant, is_splat, f32, float)  \
  SWATH_GATE(variant, is_splat, f64, double) \
  SWATH_GATE(variant, is_splat, f16, f16)    \
  SWATH_GATE(variant, is_splat, bf16, bf16)
SWATH_GATE_DTYPES(lanes_grad, false)
SWATH_GATE_DTYPES(splat_grad, true)
#undef SWATH_GATE_DTYPES
#undef SWATH_GATE

}  // namespace swath::SWATH_ISA
