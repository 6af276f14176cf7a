// Softmax along the positions of a map or over the branches, and its gradient.
#include "ops/common/carver.h"
#include "ops/common/rows.h"
#include "ops/spatial_gate/problem.h"
#include "simd/math.h"

namespace swath::SWATH_ISA {
namespace {

const SoftmaxProblem& as_softmax(const void* problem) {
  return *static_cast<const SoftmaxProblem*>(problem);
}

/// One task: an outer element and a block of lanes.
struct Task {
  int64_t logits, grad;  // offsets
  int64_t p;             // of element (0, first lane) in the arrays of accumulators
  int64_t n_lanes;

  __attribute__((always_inline)) Task(const SoftmaxProblem& s, int64_t index) {
    const int64_t block = index % s.n_lanes_blocks(), outer = index / s.n_lanes_blocks();
    const WalkPosition<kSoftmaxArrays> at(s.outer, outer);
    const int64_t first = block * s.lanes_block;
    n_lanes = s.lanes.n - first < s.lanes_block ? s.lanes.n - first : s.lanes_block;
    logits = at.at[kSoftmaxLogits] + first * s.lanes.stride[kSoftmaxLogits];
    grad = at.at[kSoftmaxGrad] + first * s.lanes.stride[kSoftmaxGrad];
    p = outer * s.axis.count() * s.lanes.n + first;
  }
};

/// Runs f(offset of the logits, of the gradient, index, length) over the axis, whose last axis is a
/// run.
template <class F>
SWATH_ALWAYS_INLINE void for_runs(const SoftmaxProblem& s, const F& f) {
  SoftmaxWalk outer = s.axis;
  SoftmaxAxis run;
  if (outer.n_axes > 0) run = outer.axes[--outer.n_axes];
  const int64_t n_runs = outer.count();
  WalkPosition<kSoftmaxArrays> at(outer, 0);
  for (int64_t i = 0; i < n_runs; ++i, at.advance()) {
    f(at.at[kSoftmaxLogits], at.at[kSoftmaxGrad], i * run.n, run);
  }
}

template <class S, class A>
void softmax_row(const SoftmaxProblem& s, const S* logits, A* p) {
  const int64_t n = s.axis.count();
  for_runs(s, [&](int64_t at, int64_t, int64_t i, const SoftmaxAxis& run) {
    const int64_t stride = run.stride[kSoftmaxLogits];
    // Not widen_row, which may write whole vectors: another task owns what follows the row.
    if (stride == 1) {
      for_lanes<A>(run.n, [&](int64_t j, int m) {
        store_part(p + i + j, load_part<A>(logits + at + j, m), m);
      });
    } else {
      for (int64_t j = 0; j < run.n; ++j) p[i + j] = to_acc(logits[at + j * stride]);
    }
  });
  Vec<A> most = set1(p[0]);
  for_lanes<A>(n, [&](int64_t j, int m) {
    const Vec<A> v = load_part<A>(p + j, m);
    const auto is_inside = iota<Bits<A>>() < set1(static_cast<Bits<A>>(m));
    most = max_nan(most, select(is_inside, v, most));
  });
  const Vec<A> max = set1(reduce_max_nan(most));
  const A sum = sum_lanes<A>(n, [&](int64_t j, int m) {
    const Vec<A> e = exp(load_part<A>(p + j, m) - max);
    store_part(p + j, e, m);
    const auto is_inside = iota<Bits<A>>() < set1(static_cast<Bits<A>>(m));
    return select(is_inside, e, zero<A>());
  });
  const Vec<A> divisor = set1(sum);
  for_lanes<A>(n,
               [&](int64_t j, int m) { store_part(p + j, load_part<A>(p + j, m) / divisor, m); });
}

template <class S, class A>
void softmax_row_grad(const SoftmaxProblem& s, const A* p, const A* dp, S* dlogits, A* scratch) {
  const A dot = sum_lanes<A>(s.axis.count(), [&](int64_t j, int m) {
    return load_part<A>(p + j, m) * load_part<A>(dp + j, m);
  });
  const Vec<A> mean = set1(dot);
  for_runs(s, [&](int64_t, int64_t at, int64_t i, const SoftmaxAxis& run) {
    const int64_t stride = run.stride[kSoftmaxGrad];
    for (int64_t first = 0; first < run.n; first += kSumRun) {
      const int64_t n = run.n - first < kSumRun ? run.n - first : kSumRun;
      const int64_t row = i + first;
      for_lanes<A>(n, [&](int64_t j, int m) {
        const Vec<A> excess = load_part<A>(dp + row + j, m) - mean;
        store(scratch + j, load_part<A>(p + row + j, m) * excess);
      });
      narrow_row(scratch, dlogits + at + first * stride, stride, n);
    }
  });
}

/// Sums of f(i, j, m) over the axis, side by side for the lanes [j, j + m).
template <class A, class F>
SWATH_ALWAYS_INLINE Vec<A> sum_axis(int64_t n, const F& f) {
  Vec<A> total = zero<A>();
  for (int64_t first = 0; first < n; first += kSumRun) {
    Vec<A> part = zero<A>();
    const int64_t end = n - first < kSumRun ? n : first + kSumRun;
    for (int64_t i = first; i < end; ++i) part += f(i);
    total += part;
  }
  return total;
}

template <class S, class A>
void softmax_lanes(const SoftmaxProblem& s, const S* logits, A* p, int64_t n_lanes, A* scratch) {
  const SoftmaxAxis axis = s.axis.n_axes > 0 ? s.axis.axes[0] : SoftmaxAxis{};
  const int64_t pitch = s.lanes.n, stride = s.lanes.stride[kSoftmaxLogits];
  for (int64_t i = 0; i < axis.n; ++i) {
    widen_row(logits + i * axis.stride[kSoftmaxLogits], stride, scratch, n_lanes);
    for_lanes<A>(n_lanes, [&](int64_t j, int m) {
      store_part(p + i * pitch + j, load_part<A>(scratch + j, m), m);
    });
  }
  for_lanes<A>(n_lanes, [&](int64_t j, int m) {
    Vec<A> max = load_part<A>(p + j, m);
    for (int64_t i = 1; i < axis.n; ++i) max = max_nan(max, load_part<A>(p + i * pitch + j, m));
    const Vec<A> sum = sum_axis<A>(axis.n, [&](int64_t i) {
      const Vec<A> e = exp(load_part<A>(p + i * pitch + j, m) - max);
      store_part(p + i * pitch + j, e, m);
      return e;
    });
    for (int64_t i = 0; i < axis.n; ++i) {
      store_part(p + i * pitch + j, load_part<A>(p + i * pitch + j, m) / sum, m);
    }
  });
}

template <class S, class A>
void softmax_lanes_grad(const SoftmaxProblem& s, const A* p, const A* dp, S* dlogits,
                        int64_t n_lanes, A* scratch) {
  const SoftmaxAxis axis = s.axis.n_axes > 0 ? s.axis.axes[0] : SoftmaxAxis{};
  const int64_t pitch = s.lanes.n;
  for_lanes<A>(n_lanes, [&](int64_t j, int m) {
    const Vec<A> mean = sum_axis<A>(axis.n, [&](int64_t i) {
      return load_part<A>(p + i * pitch + j, m) * load_part<A>(dp + i * pitch + j, m);
    });
    const int64_t stride = s.lanes.stride[kSoftmaxGrad];
    for (int64_t i = 0; i < axis.n; ++i) {
      const Vec<A> excess = load_part<A>(dp + i * pitch + j, m) - mean;
      store(scratch, load_part<A>(p + i * pitch + j, m) * excess);
      narrow_row(scratch, dlogits + i * axis.stride[kSoftmaxGrad] + j * stride, stride, m);
    }
  });
}

const char* reject_rows(const void* problem) noexcept {
  return as_softmax(problem).lanes.n == 1 ? nullptr : "vectors lie across the softmaxes";
}
const char* reject_lanes(const void* problem) noexcept {
  return as_softmax(problem).lanes.n != 1 ? nullptr : "vectors lie along the softmax";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_softmax(problem).n_tasks(); }

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  const SoftmaxProblem& s = as_softmax(problem);
  Carver carver{nullptr};
  const int64_t n = s.lanes_block < kSumRun ? kSumRun : s.lanes_block;
  carver.take<typename AccOf<S>::type>(n + 16);
  return static_cast<size_t>(carver.used);
}

template <class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  using A = typename AccOf<S>::type;
  const SoftmaxProblem& s = as_softmax(problem);
  A* scratch = static_cast<A*>(memory);
  const bool by_rows = s.lanes.n == 1;
  for (int64_t i = begin; i < end; ++i) {
    const Task task(s, i);
    if (s.is_backward) {
      const A* p = static_cast<const A*>(b.read(s.p)) + task.p;
      const A* dp = static_cast<const A*>(b.read(s.dp)) + task.p;
      S* dlogits = static_cast<S*>(b.write(s.dlogits)) + task.grad;
      if (by_rows) {
        softmax_row_grad(s, p, dp, dlogits, scratch);
      } else {
        softmax_lanes_grad(s, p, dp, dlogits, task.n_lanes, scratch);
      }
      continue;
    }
    const S* logits = static_cast<const S*>(b.read(s.logits)) + task.logits;
    A* p = static_cast<A*>(b.write(s.p)) + task.p;
    if (by_rows) {
      softmax_row(s, logits, p);
    } else {
      softmax_lanes(s, logits, p, task.n_lanes, scratch);
    }
  }
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)                                           \
  extern const KernelFns spatial_gate_##variant##_##dtype;                                  \
  const KernelFns spatial_gate_##variant##_##dtype{reject_##variant,     no_bytes, no_pack, \
                                                   scratch_bytes<dtype>, n_tasks,  run<dtype>};
#include "ops/spatial_gate/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
