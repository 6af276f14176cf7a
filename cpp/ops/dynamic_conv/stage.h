// What the kernels of dynamic convolution share: their tasks, and copies of inputs and taps as
// accumulators. Included by *.isa.cc only.
#pragma once

#include "ops/common/carver.h"
#include "ops/dynamic_conv/lines.h"
#include "ops/dynamic_conv/micro.h"

namespace swath {
namespace SWATH_ISA {

// Compiled once per cluster for all dtypes (stage.isa.cc).

/// Copies the windows of members [m, m + n_members) into rows of `pitch`, `lines` of them for a row
/// of the input: a stride takes it apart, so that each tap's elements lie side by side.
void stage_window(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, int64_t m,
                  int64_t n_members, const Window& w, float* to, int64_t lines,
                  int64_t pitch) noexcept;
void stage_window(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, int64_t m,
                  int64_t n_members, const Window& w, double* to, int64_t lines,
                  int64_t pitch) noexcept;

/// tile[r][i] = tap r of output (row, w.col + i) as accumulators, in rows of `pitch`.
void stage_taps(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, const Window& w,
                int64_t row, float* tile, int64_t pitch) noexcept;
void stage_taps(const DynamicProblem& p, const Buffers& b, int64_t n, int64_t g, const Window& w,
                int64_t row, double* tile, int64_t pitch) noexcept;

/// One set of taps [tap] of a group for all positions, or [tap][group] where lanes are groups:
/// after the softmax.
void pack_taps(const void* problem, const Buffers& buffers, void* packed) noexcept;
size_t packed_bytes(const void* problem) noexcept;

namespace {

SWATH_ALWAYS_INLINE const DynamicProblem& as_dynamic(const void* problem) {
  return *static_cast<const DynamicProblem*>(problem);
}
/// Room for n elements in whole vectors of any cluster.
SWATH_ALWAYS_INLINE int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }
/// Of the longest phase.
SWATH_ALWAYS_INLINE int64_t out_length(const DynamicProblem& p, int axis) {
  return axis_phase(p, axis, 0).n;
}
SWATH_ALWAYS_INLINE int64_t count_blocks(int64_t n, int64_t block) {
  return (n + block - 1) / block;
}

/// Whether n rows `step` elements apart are too many for the sets of the first cache that they fall
/// into: 64 sets of lines of 64 bytes, half of the usual 8 ways. Read in place, 49 taps of a 64x64
/// plane took 1.6 times as long as those of 60x60.
template <class A>
SWATH_ALWAYS_INLINE bool crowds(int64_t step, int64_t n) {
  const int64_t bytes = step * static_cast<int64_t>(sizeof(A)), lines = bytes / 64;
  return lines != 0 && n > 4 * (64 / gcd(64, lines < 0 ? -lines : lines));
}

/// One task: a sample, a group and a block of outputs of every phase.
struct DynamicTask {
  int64_t n, g, row, col;
  __attribute__((always_inline)) DynamicTask(const DynamicProblem& p, int64_t index,
                                             int64_t n_groups) {
    const int64_t n_cols = count_blocks(out_length(p, 1), p.cols_block);
    col = index % n_cols * p.cols_block;
    index /= n_cols;
    const int64_t n_rows = count_blocks(out_length(p, 0), p.rows_block);
    row = index % n_rows * p.rows_block;
    index /= n_rows;
    g = index % n_groups;
    n = index / n_groups;
  }
};
SWATH_ALWAYS_INLINE int64_t count_tasks(const DynamicProblem& p, int64_t n_groups) {
  return p.n_batch * n_groups * count_blocks(out_length(p, 0), p.rows_block) *
         count_blocks(out_length(p, 1), p.cols_block);
}

/// f(window) for the part of each phase that a task covers.
template <class F>
SWATH_ALWAYS_INLINE void for_windows(const DynamicProblem& p, const DynamicTask& task, const F& f) {
  for (int64_t rh = 0; rh < n_phases(p, 0); ++rh) {
    for (int64_t rw = 0; rw < n_phases(p, 1); ++rw) {
      Window w{axis_phase(p, 0, rh), axis_phase(p, 1, rw), task.row, 0, task.col, 0};
      w.n_rows = smaller(p.rows_block, w.h.n - task.row);
      w.n_cols = smaller(p.cols_block, w.w.n - task.col);
      if (w.n_rows > 0 && w.n_cols > 0) f(w);
    }
  }
}

[[maybe_unused]] size_t no_bytes(const void*) noexcept { return 0; }
[[maybe_unused]] void no_pack(const void*, const Buffers&, void*) noexcept {}

}  // namespace
}  // namespace SWATH_ISA
}  // namespace swath
