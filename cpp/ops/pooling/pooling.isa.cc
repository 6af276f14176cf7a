// The kernels `rows` and `channels`: one source, the problem says where its vectors lie.
#include "core/kernel.h"
#include "ops/pooling/tasks.h"

namespace swath::SWATH_ISA {
namespace {

const PoolingProblem& as_pooling(const void* problem) {
  return *static_cast<const PoolingProblem*>(problem);
}

const char* reject_rows(const void* problem) noexcept {
  return as_pooling(problem).n_inner == 1 ? nullptr : "the contiguous axis of x is not pooled";
}
const char* reject_channels(const void* problem) noexcept {
  return as_pooling(problem).n_inner != 1 ? nullptr : "no axis of unit stride is left unpooled";
}
size_t no_packed_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}

template <class S>
size_t scratch_bytes(const void* problem) noexcept {
  Scratch<typename AccOf<S>::type> scratch;
  return static_cast<size_t>(scratch.carve(as_pooling(problem), nullptr));
}

int64_t n_tasks(const void* problem) noexcept {
  const PoolingProblem& p = as_pooling(problem);
  return p.n_outer_elements() * p.n_plane_blocks() * p.depth.n_blocks() * p.height.n_blocks() *
         p.width.n_blocks() * p.n_inner_blocks();
}

/// The tasks' mixed-radix counter: outer axes, then the five kinds of blocks, the last one fastest.
struct Counter {
  static constexpr int kMaxDigits = kMaxRank + 5;
  int64_t digit[kMaxDigits], n[kMaxDigits], x_step[kMaxDigits] = {}, y_step[kMaxDigits] = {};
  int n_digits = 0;
  int64_t x = 0, y = 0;  // offsets of the outer element

  __attribute__((noinline)) Counter(const PoolingProblem& p, int64_t index) {
    for (; n_digits < p.n_outer; ++n_digits) {
      n[n_digits] = p.outer[n_digits].n;
      x_step[n_digits] = p.outer[n_digits].x_stride;
      y_step[n_digits] = p.outer[n_digits].y_stride;
    }
    n[n_digits++] = p.n_plane_blocks();
    n[n_digits++] = p.depth.n_blocks();
    n[n_digits++] = p.height.n_blocks();
    n[n_digits++] = p.width.n_blocks();
    n[n_digits++] = p.n_inner_blocks();
    for (int i = n_digits - 1; i >= 0; --i) {
      digit[i] = index % n[i];
      index /= n[i];
      x += digit[i] * x_step[i];
      y += digit[i] * y_step[i];
    }
  }

  void advance() {
    for (int i = n_digits - 1; i >= 0; --i) {
      x += x_step[i];
      y += y_step[i];
      if (++digit[i] < n[i]) return;
      x -= n[i] * x_step[i];
      y -= n[i] * y_step[i];
      digit[i] = 0;
    }
  }

  Block block() const {
    const int64_t* d = digit + n_digits - 5;
    return {d[0], d[1], d[2], d[3], d[4]};
  }
};

template <class Op, class S>
void run_tasks(const PoolingProblem& p, const Buffers& buffers, void* scratch, int64_t begin,
               int64_t end) {
  const auto* x = static_cast<const S*>(buffers.read(p.x));
  auto* y = static_cast<S*>(buffers.write(p.y));
  const Worker<Op, S, UnitLoad<S>> worker(p, UnitLoad<S>{}, scratch);
  Counter at(p, begin);
  for (int64_t task = begin; task < end; ++task, at.advance()) {
    worker.run(x + at.x, y + at.y, at.block());
  }
}

template <class S>
void run(const void* problem, const Buffers& buffers, const void*, void* scratch, int64_t begin,
         int64_t end) noexcept {
  using A = typename AccOf<S>::type;
  const PoolingProblem& p = as_pooling(problem);
  switch (p.op) {
    case PoolOp::sum:
    case PoolOp::mean:
      return run_tasks<SumOp<A>, S>(p, buffers, scratch, begin, end);
    case PoolOp::max:
      return run_tasks<MaxOp<A>, S>(p, buffers, scratch, begin, end);
    case PoolOp::min:
      return run_tasks<MinOp<A>, S>(p, buffers, scratch, begin, end);
  }
}

using f32 = float;
using f64 = double;

}  // namespace

#define SWATH_KERNEL(variant, dtype, min_cluster)     \
  extern const KernelFns pooling_##variant##_##dtype; \
  const KernelFns pooling_##variant##_##dtype = {     \
      reject_##variant, no_packed_bytes, no_pack, scratch_bytes<dtype>, n_tasks, run<dtype>};
#include "ops/pooling/kernels.def"
#undef SWATH_KERNEL

}  // namespace swath::SWATH_ISA
