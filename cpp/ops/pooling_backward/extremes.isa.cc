// The backward of max and min pooling: one task is one block of dx, whatever windows it shares with
// its neighbours, so that nothing is added by two tasks.
#include "core/kernel.h"
#include "ops/pooling_backward/give.h"

namespace swath::SWATH_ISA {
namespace {

const ExtremeProblem& as_extreme(const void* problem) {
  return *static_cast<const ExtremeProblem*>(problem);
}

/// Codes of taps are as wide as the elements.
const char* reject(const void* problem) noexcept {
  const ExtremeProblem& p = as_extreme(problem);
  double n = static_cast<double>(p.inner_block);
  for (const ExtremeAxis& a : p.axis) {
    n *= static_cast<double>(most_positions(a)) * static_cast<double>(a.stride);
  }
  return n < 2147483647.0 ? nullptr : "the windows of one task span 2^31 elements";
}
size_t no_packed_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  return static_cast<size_t>(
      Scratch<typename AccOf<S>::type>(as_extreme(problem), nullptr).n_bytes);
}

int64_t n_tasks(const void* problem) noexcept {
  const ExtremeProblem& p = as_extreme(problem);
  return p.n_outer_elements() * p.axis[0].n_blocks() * p.axis[1].n_blocks() * p.axis[2].n_blocks() *
         p.n_inner_blocks();
}

template <class Rule, class S>
void run_task(const ExtremeProblem& p, const Box& b, const S* dy, const S* x, S* dx,
              const Scratch<typename AccOf<S>::type>& scratch) {
  using A = typename AccOf<S>::type;
  if (!b.has_windows) return write_dx(p, b, static_cast<const A*>(nullptr), dx);
  stage_box(p, b, x, scratch.box, Rule::kOutside);
  A* grads = scratch.dy + b.margin;
  if (is_tiled(p, b)) {
    stage_dy(p, b, dy, grads);
    give_tiles<Rule>(p, b, scratch, grads);
    return write_dx(p, b, static_cast<const A*>(scratch.box), dx);
  }
  Bits<A>* code = scratch.code + b.margin;
  find_winners<Rule>(p, b, scratch, code);
  stage_dy(p, b, dy, grads);
  write_dx(p, b, give_gradients(p, b, scratch, code, grads), dx);
}

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* memory, int64_t begin,
         int64_t end) noexcept {
  using A = typename AccOf<S>::type;
  const ExtremeProblem& p = as_extreme(problem);
  const Scratch<A> scratch(p, memory);
  for (int64_t task = begin; task < end; ++task) {
    int64_t index[4], rest = task;
    index[3] = rest % p.n_inner_blocks();
    rest /= p.n_inner_blocks();
    for (int i = 2; i >= 0; --i) {
      index[i] = rest % p.axis[i].n_blocks();
      rest /= p.axis[i].n_blocks();
    }
    const S* dy = static_cast<const S*>(buffers.read(p.dy));
    const S* x = static_cast<const S*>(buffers.read(p.x));
    S* dx = static_cast<S*>(buffers.write(p.dx));
    for (int i = p.n_outer - 1; i >= 0; --i) {
      const int64_t at = rest % p.outer[i].n;
      rest /= p.outer[i].n;
      dy += at * p.outer[i].dy_stride;
      x += at * p.outer[i].x_stride;
      dx += at * p.outer[i].dx_stride;
    }
    const Box box = make_box(p, index);
    if (p.is_min) {
      run_task<MinRule<A>>(p, box, dy, x, dx, scratch);
    } else {
      run_task<MaxRule<A>>(p, box, dy, x, dx, scratch);
    }
  }
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)              \
  extern const KernelFns pooling_backward_##variant##_##dtype; \
  const KernelFns pooling_backward_##variant##_##dtype = {     \
      reject, no_packed_bytes, no_pack, scratch_bytes<dtype>, n_tasks, run<dtype>};
#include "ops/pooling_backward/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
