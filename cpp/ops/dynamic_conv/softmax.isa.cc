// The taps after their softmax, as accumulators, for a step that reads each of them at a position
// of its own: the input's gradient.
#include "ops/dynamic_conv/stage.h"

namespace swath::SWATH_ISA {
namespace {

template <class A>
struct Scratch {
  A *tile, *scale;
  int64_t used;
  __attribute__((always_inline)) Scratch(const DynamicProblem& p, void* memory) {
    Carver carver{static_cast<char*>(memory)};
    tile = carver.take<A>(p.n_taps() * padded(p.cols_block) + kSlack);
    scale = carver.take<A>(padded(p.cols_block));
    used = carver.used;
  }
};

template <class S>
void run(const void* problem, const Buffers& b, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  using A = typename AccOf<S>::type;
  const DynamicProblem& p = as_dynamic(problem);
  const Scratch<A> scratch(p, memory);
  const int64_t pitch = padded(p.cols_block);
  for (int64_t index = begin; index < end; ++index) {
    const DynamicTask task(p, index, p.n_groups);
    for_windows(p, task, [&](const Window& w) {
      for (int64_t row = w.row; row < w.row + w.n_rows; ++row) {
        stage_taps(p, b, task.n, task.g, w, row, scratch.tile, pitch);
        exponentiate(scratch.tile, w.n_terms(), pitch, w.n_cols, scratch.scale, p.renormalize);
        for (int64_t k = 0; k < w.n_terms(); ++k) {
          const A* from = scratch.tile + k * pitch;
          A* to = static_cast<A*>(b.write(p.out.ref)) + p.out.at(task.n, task.g, k, row, w.col);
          for_lanes<A>(w.n_cols, [&](int64_t i, int n) {
            store_part(to + i, load(from + i) * load(scratch.scale + i), n);
          });
        }
      }
    });
  }
}

const char* reject(const void* problem) noexcept {
  return as_dynamic(problem).role == DynamicRole::softmax ? nullptr : "made for the softmax alone";
}
template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(Scratch<typename AccOf<S>::type>(as_dynamic(problem), nullptr).used);
}
int64_t n_tasks(const void* problem) noexcept {
  return count_tasks(as_dynamic(problem), as_dynamic(problem).n_groups);
}

}  // namespace

#define SWATH_SOFTMAX(name, S)                                                     \
  extern const KernelFns dynamic_conv_softmax_##name;                              \
  const KernelFns dynamic_conv_softmax_##name{reject,           no_bytes, no_pack, \
                                              scratch_bytes<S>, n_tasks,  run<S>};
SWATH_SOFTMAX(f32, float)
SWATH_SOFTMAX(f64, double)
SWATH_SOFTMAX(f16, f16)
SWATH_SOFTMAX(bf16, bf16)
#undef SWATH_SOFTMAX

}  // namespace swath::SWATH_ISA
