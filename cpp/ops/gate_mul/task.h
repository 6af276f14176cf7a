// What the forward and the backward kernels share: the tasks and the pointers of one. Included by
// *.isa.cc only.
#pragma once

#include "ops/common/carver.h"
#include "ops/gate_mul/gates.h"

namespace swath {
namespace SWATH_ISA {
namespace {

SWATH_ALWAYS_INLINE const GateProblem& as_gate(const void* problem) {
  return *static_cast<const GateProblem*>(problem);
}

SWATH_ALWAYS_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/// Room for n elements in whole vectors of any cluster.
SWATH_ALWAYS_INLINE int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// The part of the problem that one task works on: ranges of the run, of the rows and of the
/// repeats, and where the outer element is in each array.
struct GateTask {
  int64_t run_first, n_run, row_first, n_rows, repeat_first, n_repeats;
  int64_t at[kGateArrays];

  __attribute__((always_inline)) GateTask(const GateProblem& p, int64_t index) {
    const int64_t run = index % p.n_run_blocks();
    index /= p.n_run_blocks();
    const int64_t repeat = index % p.n_repeat_blocks();
    index /= p.n_repeat_blocks();
    const int64_t row = index % p.n_rows_blocks();
    const WalkPosition<kGateArrays> outer(p.outer, index / p.n_rows_blocks());
    run_first = run * p.run_block;
    n_run = smaller(p.run_block, p.run.n - run_first);
    row_first = row * p.rows_block;
    n_rows = smaller(p.rows_block, p.rows.n - row_first);
    repeat_first = repeat * p.repeat_block;
    n_repeats = smaller(p.repeat_block, p.repeat.count() - repeat_first);
    for (int k = 0; k < kGateArrays; ++k) {
      at[k] = outer.at[k] + run_first * p.run.stride[k] + row_first * p.rows.stride[k];
    }
  }

  /// Gates of the task: along the rows if they are the same for a whole run.
  __attribute__((always_inline)) int64_t n_gates(const GateProblem& p) const {
    return p.is_splat ? n_rows : n_run;
  }
};

SWATH_ALWAYS_INLINE const GateAxis& gate_axis(const GateProblem& p) {
  return p.is_splat ? p.rows : p.run;
}
/// Gates that one task makes at most, padded.
SWATH_ALWAYS_INLINE int64_t gate_pitch(const GateProblem& p) {
  return padded(p.is_splat ? p.rows_block : p.run_block);
}

/// n elements of b (or of an array that lies like b) as accumulators.
template <class A, class S>
SWATH_ALWAYS_INLINE void load_gates(const void* b, bool is_acc, int64_t at, int64_t stride, A* to,
                                    int64_t n) {
  if (is_acc) {
    widen_row(static_cast<const A*>(b) + at, stride, to, n);
  } else {
    widen_row(static_cast<const S*>(b) + at, stride, to, n);
  }
}

const char* no_reject(const GateProblem& p, bool is_backward, bool is_splat) noexcept {
  if (p.is_backward != is_backward) return "made for the other direction";
  if (p.is_splat == is_splat) return nullptr;
  return is_splat ? "gates vary along the contiguous axis"
                  : "gates are the same along the contiguous axis";
}
size_t no_bytes(const void*) noexcept { return 0; }
void no_pack(const void*, const Buffers&, void*) noexcept {}
int64_t n_tasks(const void* problem) noexcept { return as_gate(problem).n_tasks(); }

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
