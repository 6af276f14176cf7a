// y = sum over terms of phi(a) gate(b) + offset + c: the kernels `lanes` and `splat`.
#include "ops/gate_mul/task.h"

namespace swath::SWATH_ISA {
namespace {

/// One row: all elements side by side. g, offset, centre and slope are at the row's first gate.
template <class In, class S>
struct Row {
  using A = typename AccOf<S>::type;
  const In* a;
  int64_t n_terms, a_step;
  const A* g;
  int64_t g_step;
  const A *offset, *centre, *slope;  // null where absent
  const S* c;
  S* y;
};

template <bool kIsSplat, class A>
SWATH_ALWAYS_INLINE Vec<A> gates_at(const A* g, int64_t j, int n) {
  if constexpr (kIsSplat) {
    return set1(*g);
  } else {
    return load_part<A>(g + j, n);
  }
}

/// The sum over terms [first, end), at most kSumRun of them.
template <bool kIsSplat, class In, class S>
SWATH_ALWAYS_INLINE auto sum_terms(const Row<In, S>& row, int64_t first, int64_t end, int64_t j,
                                   int n) {
  using A = typename AccOf<S>::type;
  Vec<A> sum = zero<A>();
  for (int64_t t = first; t < end; ++t) {
    const Vec<A> g = gates_at<kIsSplat>(row.g + t * row.g_step, j, n);
    sum += load_part<A>(row.a + t * row.a_step + j, n) * g;
  }
  return sum;
}

/// f(j, n) as for_lanes, the first one such that the others write whole cache lines: NumPy's large
/// arrays begin 16 bytes into one, and every 64-byte store would meet two (15 % of the time of a
/// map's gate).
template <class A, class S, class F>
SWATH_ALWAYS_INLINE void for_aligned_lanes(const S* y, int64_t n, const F& f) {
  constexpr int kLane = kLanes<A>;
  const auto past = static_cast<int64_t>(reinterpret_cast<uintptr_t>(y) / sizeof(S) % kLane);
  const int64_t head = past == 0 || n < 4 * kLane ? 0 : kLane - past;
  if (head > 0) f(0, static_cast<int>(head));
  for_lanes<A>(n - head, [&](int64_t j, int m) { f(head + j, m); });
}

template <bool kIsSplat, bool kIsPlain, class In, class S>
SWATH_ALWAYS_INLINE void multiply_row(const Row<In, S>& given, int64_t n) {
  using A = typename AccOf<S>::type;
  const Row<In, S> row = given;  // what no store can change
  for_aligned_lanes<A>(row.y, n, [&](int64_t j, int m) {
    Vec<A> v;
    if constexpr (kIsPlain) {
      v = load_part<A>(row.a + j, m) * gates_at<kIsSplat>(row.g, j, m);
    } else {
      v = sum_terms<kIsSplat>(row, 0, smaller(kSumRun, row.n_terms), j, m);
      for (int64_t t = kSumRun; t < row.n_terms; t += kSumRun) {
        v += sum_terms<kIsSplat>(row, t, smaller(t + kSumRun, row.n_terms), j, m);
      }
      if (row.offset != nullptr) v += gates_at<kIsSplat>(row.offset, j, m);
      if (row.c != nullptr) {
        Vec<A> c = load_part<A>(row.c + j, m);
        if (row.slope != nullptr) {
          c = (c - gates_at<kIsSplat>(row.centre, j, m)) * gates_at<kIsSplat>(row.slope, j, m);
        }
        v += c;
      }
    }
    store_part(row.y + j, v, m);
  });
}

template <bool kIsSplat, class In, class S>
__attribute__((noinline)) void multiply(const Row<In, S>& row, int64_t n) {
  if (row.n_terms == 1 && row.offset == nullptr && row.c == nullptr) {
    multiply_row<kIsSplat, true>(row, n);
  } else {
    multiply_row<kIsSplat, false>(row, n);
  }
}

template <class S>
class Worker {
 public:
  using A = typename AccOf<S>::type;

  Worker(const GateProblem& problem, const Buffers& b, void* memory) : p_(problem) {
    carve(memory);
    a_ = static_cast<const S*>(b.read(p_.a));
    b_ = b.read(p_.b);
    c_ = p_.has_c ? static_cast<const S*>(b.read(p_.c)) : nullptr;
    y_ = static_cast<S*>(b.write(p_.y));
    if (p_.has_offset) extra_[0] = static_cast<const A*>(b.read(p_.offset));
    if (p_.has_slope) {
      extra_[1] = static_cast<const A*>(b.read(p_.centre));
      extra_[2] = static_cast<const A*>(b.read(p_.slope));
    }
  }
  static int64_t scratch_bytes(const GateProblem& p) { return Worker(p).carve(nullptr); }

  template <bool kIsSplat>
  void run(const GateTask& task) const {
    const GateAxis& run = p_.run;
    const bool is_plain = p_.activation == Activation::none && p_.n_terms == 1 && !p_.has_c &&
                          !p_.has_offset && run.stride[kGateA] == 1 && run.stride[kGateY] == 1;
    if (is_plain && (kIsSplat ? p_.repeat.count() == 1 : p_.repeat.n_axes <= 1)) {
      return run_plain<kIsSplat>(task);
    }
    make_gates(task);
    WalkPosition<kGateArrays> repeat(p_.repeat, task.repeat_first);
    for (int64_t r = 0; r < task.n_repeats; ++r, repeat.advance()) {
      for (int64_t i = 0; i < task.n_rows; ++i) {
        int64_t at[kGateArrays];
        for (int k = 0; k < kGateArrays; ++k) {
          at[k] = task.at[k] + repeat.at[k] + i * p_.rows.stride[k];
        }
        run_row<kIsSplat>(at, kIsSplat ? i : 0, task.n_run);
      }
    }
  }

 private:
  explicit Worker(const GateProblem& problem) : p_(problem) {}

  int64_t carve(void* memory) {
    Carver carver{static_cast<char*>(memory)};
    gates_ = carver.take<A>((p_.n_terms + 3) * gate_pitch(p_));
    phi_ = carver.take<A>(padded(p_.chunk));
    raw_a_ = carver.take<S>(p_.n_terms * p_.chunk);
    raw_c_ = carver.take<S>(p_.chunk);
    raw_y_ = carver.take<S>(p_.chunk);
    return carver.used;
  }

  void make_gates(const GateTask& task) const {
    const int64_t n = task.n_gates(p_), pitch = gate_pitch(p_);
    const int64_t stride = gate_axis(p_).stride[kGateB];
    for (int64_t t = 0; t < p_.n_terms; ++t) {
      A* g = gates_ + t * pitch;
      load_gates<A, S>(b_, p_.b_is_acc, task.at[kGateB] + t * p_.b_term_stride, stride, g, n);
      apply_gate(p_.gate, g, n);
    }
    for (int k = 0; k < 3; ++k) {
      if (extra_[k] == nullptr) continue;
      widen_row(extra_[k] + task.at[kGateB], stride, gates_ + (p_.n_terms + k) * pitch, n);
    }
  }

  /// b itself where it is the gates already, else null.
  template <bool kIsSplat>
  const A* ready_gates(const GateTask& task) const {
    const bool is_identity = p_.gate.kind == Activation::none && !p_.gate.is_asym_gauss &&
                             p_.gate.shift == 0 && gate_axis(p_).stride[kGateB] == 1;
    if (!is_identity || !(p_.b_is_acc || std::is_same_v<A, S>)) return nullptr;
    return static_cast<const A*>(b_) + task.at[kGateB];
  }

  /// Rows of one pattern, short ones too: the bookkeeping of run_row takes as long as 200 elements.
  template <bool kIsSplat>
  void run_plain(const GateTask& task) const {
    const GateAxis axis = kIsSplat                ? p_.rows
                          : p_.repeat.n_axes == 1 ? p_.repeat.axes[0]
                                                  : GateAxis{};
    const int64_t first = kIsSplat ? 0 : task.repeat_first;
    const int64_t n_rows = kIsSplat ? task.n_rows : task.n_repeats;
    const S* a = a_ + task.at[kGateA] + first * axis.stride[kGateA];
    S* y = y_ + task.at[kGateY] + first * axis.stride[kGateY];
    const A* gates = ready_gates<kIsSplat>(task);
    if (gates == nullptr) {
      make_gates(task);
      gates = gates_;
    }
    for (int64_t i = 0; i < n_rows; ++i) {
      const A* g = gates + (kIsSplat ? i : 0);
      multiply_row<kIsSplat, true>(Row<S, S>{a, 1, 0, g, 0, nullptr, nullptr, nullptr, nullptr, y},
                                   task.n_run);
      a += axis.stride[kGateA];
      y += axis.stride[kGateY];
    }
  }

  template <bool kIsSplat>
  void run_row(const int64_t (&at)[kGateArrays], int64_t gate, int64_t n) const {
    const GateAxis& run = p_.run;
    const bool has_phi = p_.activation != Activation::none;
    const bool stages_a = run.stride[kGateA] != 1, stages_y = run.stride[kGateY] != 1;
    const bool stages_c = c_ != nullptr && run.stride[kGateC] != 1;
    const int64_t step = has_phi || stages_a || stages_y || stages_c ? p_.chunk : n;
    for (int64_t j = 0; j < n; j += step) {
      const int64_t m = smaller(step, n - j);
      const S* a = a_ + at[kGateA] + j * run.stride[kGateA];
      const S* c = c_ == nullptr ? nullptr : c_ + at[kGateC] + j * run.stride[kGateC];
      S* y = y_ + at[kGateY] + j * run.stride[kGateY];
      if (stages_c) gather_row(c, run.stride[kGateC], raw_c_, m);
      Row<S, S> row{a,
                    p_.n_terms,
                    p_.a_term_stride,
                    gates_ + gate + (kIsSplat ? 0 : j),
                    gate_pitch(p_),
                    nullptr,
                    nullptr,
                    nullptr,
                    stages_c ? raw_c_ : c,
                    stages_y ? raw_y_ : y};
      const A* extra = row.g + p_.n_terms * row.g_step;
      if (p_.has_offset) row.offset = extra;
      if (p_.has_slope) {
        row.centre = extra + row.g_step;
        row.slope = extra + 2 * row.g_step;
      }
      if (has_phi) {
        widen_row(a, run.stride[kGateA], phi_, m);
        activate(phi_, m, p_.activation, p_.activation_value);
        multiply<kIsSplat>(Row<A, S>{phi_, 1, 0, row.g, row.g_step, row.offset, row.centre,
                                     row.slope, row.c, row.y},
                           m);
      } else {
        if (stages_a) {
          for (int64_t t = 0; t < p_.n_terms; ++t) {
            gather_row(a + t * p_.a_term_stride, run.stride[kGateA], raw_a_ + t * p_.chunk, m);
          }
          row.a = raw_a_;
          row.a_step = p_.chunk;
        }
        multiply<kIsSplat>(row, m);
      }
      if (stages_y) scatter_row(raw_y_, y, run.stride[kGateY], m);
    }
  }

  const GateProblem& p_;
  const S* a_ = nullptr;
  const void* b_ = nullptr;
  const S* c_ = nullptr;
  S* y_ = nullptr;
  const A* extra_[3] = {};  // offset, centre, slope
  A *gates_ = nullptr, *phi_ = nullptr;
  S *raw_a_ = nullptr, *raw_c_ = nullptr, *raw_y_ = nullptr;
};

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Worker<S>::scratch_bytes(as_gate(problem)));
}

template <bool kIsSplat>
const char* reject(const void* problem) noexcept {
  return no_reject(as_gate(problem), false, kIsSplat);
}

template <bool kIsSplat, class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  const GateProblem& p = as_gate(problem);
  const Worker<S> worker(p, buffers, scratch);
  for (int64_t i = begin; i < end; ++i) worker.template run<kIsSplat>(GateTask(p, i));
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
SWATH_GATE_DTYPES(lanes, false)
SWATH_GATE_DTYPES(splat, true)
#undef SWATH_GATE_DTYPES
#undef SWATH_GATE

}  // namespace swath::SWATH_ISA
