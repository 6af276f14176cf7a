// What the kernels that choose key blocks see.
#pragma once

#include <cstdint>

#include <swath/ops/select_blocks.h>

#include "core/kernel.h"

namespace swath {

inline constexpr int kMaxBlockLevels = 8;

struct SelectProblem {
  DType dtype = DType::f32;  // of q and k; means are accumulators [B][heads][blocks][D]
  ArrayRef q_means{}, k_means{};
  int64_t n_batch = 0, n_heads = 0, n_kv_heads = 0, n_d = 0;
  int64_t n_q = 0, n_k = 0;  // blocks
  double scale = 1;

  bool has_parents = false;
  int64_t q_ratio = 1, k_ratio = 1;  // blocks of a parent
  int64_t parent_stride[4] = {};     // of indices: batch, head, row, place
  int64_t count_stride[3] = {};      // batch, head, row
  int64_t max_parents = 0;           // of a row

  bool has_forced = false, forces_rows = false;
  int64_t n_forced = 0;  // listed for every row

  int64_t top_k = -1;
  double top_p = 2, threshold = 0;
  int32_t n_levels = 0;
  BlockLevel levels[kMaxBlockLevels];
  bool by_weight = false;
  int64_t max_candidates = 0, k_max = 0;

  static constexpr int64_t kTaskRows = 32;
  /// Rows that have the same candidates.
  __attribute__((always_inline)) int64_t rows_of_list() const {
    return has_parents ? q_ratio : n_q;
  }
  __attribute__((always_inline)) int64_t tasks_of_list() const {
    return (rows_of_list() + kTaskRows - 1) / kTaskRows;
  }
  __attribute__((always_inline)) int64_t n_lists() const {
    return n_q == 0 ? 0 : (n_q + rows_of_list() - 1) / rows_of_list();
  }
  __attribute__((always_inline)) int64_t n_tasks() const {
    return n_batch * n_heads * n_lists() * tasks_of_list();
  }
  /// Whether the order of the scores matters beyond who is among the best k.
  __attribute__((always_inline)) bool needs_order() const { return top_p < 1 || n_levels > 0; }
  __attribute__((always_inline)) bool needs_softmax() const {
    return top_p < 1 || threshold > 0 || by_weight;
  }
  /// The level of the candidate that `rank` of n are better than, `before` being the softmax that
  /// they hold and `own` its own; 0: not kept.
  __attribute__((always_inline)) int32_t level_of(int64_t rank, int64_t n, double before,
                                                  double own) const {
    if (top_k >= 0 && rank >= top_k) return 0;
    if (top_p < 1 && before >= top_p) return 0;
    if (threshold > 0 && !(own >= threshold)) return 0;
    if (n_levels == 0) return 1;
    for (int i = 0; i < n_levels; ++i) {
      const BlockLevel& level = levels[i];
      const double place = by_weight ? before : static_cast<double>(rank);
      const double unit = by_weight ? 1 : static_cast<double>(n);
      if (place >= level.low * unit && place < level.high * unit) {
        return static_cast<int32_t>(level.level);
      }
    }
    return 0;
  }
};

/// Writes one row of the result: kept candidates and forced blocks, ascending, each once.
struct SelectedRow {
  int32_t *indices, *levels;  // levels null: not wanted
  int32_t count = 0;

  __attribute__((always_inline)) void add(int32_t block, int32_t level) {
    indices[count] = block;
    if (levels != nullptr) levels[count] = level;
    ++count;
  }
  /// Candidates and their levels, 0 if one is not kept.
  __attribute__((always_inline)) void merge(const int32_t* candidates, const int32_t* level_of,
                                            int64_t n, const int32_t* forced, int64_t n_forced,
                                            int64_t k_max) {
    int64_t f = 0;
    for (int64_t i = 0; i < n; ++i) {
      for (; f < n_forced && forced[f] < candidates[i]; ++f) add(forced[f], 1);
      const bool is_forced = f < n_forced && forced[f] == candidates[i];
      if (is_forced) ++f;
      if (is_forced || level_of[i] > 0) add(candidates[i], is_forced ? 1 : level_of[i]);
    }
    for (; f < n_forced; ++f) add(forced[f], 1);
    for (int64_t i = count; i < k_max; ++i) {
      indices[i] = 0;
      if (levels != nullptr) levels[i] = 1;
    }
  }
};

/// Where a task is, and what is candidate there.
struct SelectTask {
  int64_t batch, head, first_row, n_rows, n_candidates = 0;

  __attribute__((always_inline)) SelectTask(const SelectProblem& p, int64_t task) {
    const int64_t part = task % p.tasks_of_list(), list = task / p.tasks_of_list() % p.n_lists();
    const int64_t place = task / p.tasks_of_list() / p.n_lists();
    batch = place / p.n_heads;
    head = place % p.n_heads;
    first_row = list * p.rows_of_list() + part * SelectProblem::kTaskRows;
    int64_t end = (list + 1) * p.rows_of_list();
    if (end > p.n_q) end = p.n_q;
    n_rows = end - first_row;
    if (n_rows > SelectProblem::kTaskRows) n_rows = SelectProblem::kTaskRows;
  }

  __attribute__((always_inline)) void list_candidates(const SelectProblem& p, const Buffers& b,
                                                      int32_t* to) {
    n_candidates = 0;
    if (!p.has_parents) {
      for (; n_candidates < p.n_k; ++n_candidates) {
        to[n_candidates] = static_cast<int32_t>(n_candidates);
      }
      return;
    }
    const int64_t row = first_row / p.q_ratio;
    const auto* parents = static_cast<const int32_t*>(b.in[2]) + batch * p.parent_stride[0] +
                          head * p.parent_stride[1] + row * p.parent_stride[2];
    const int64_t n = static_cast<const int32_t*>(
        b.in[3])[batch * p.count_stride[0] + head * p.count_stride[1] + row * p.count_stride[2]];
    int64_t last = -1;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t parent = parents[i * p.parent_stride[3]];
      if (parent == last) continue;  // kept at two levels
      last = parent;
      for (int64_t c = 0; c < p.k_ratio; ++c) {
        const int64_t child = parent * p.k_ratio + c;
        if (child < p.n_k) to[n_candidates++] = static_cast<int32_t>(child);
      }
    }
  }

  __attribute__((always_inline)) void write(const SelectProblem& p, const Buffers& b, int64_t row,
                                            const int32_t* candidates, const int32_t* level_of,
                                            int64_t n) const {
    const auto* forced = static_cast<const int32_t*>(b.in[4]);
    int64_t n_forced = p.has_forced ? p.n_forced : 0;
    if (p.forces_rows) {
      const auto* rows = static_cast<const int64_t*>(b.in[5]);
      forced += rows[row];
      n_forced = rows[row + 1] - rows[row];
    }
    const int64_t at = (batch * p.n_heads + head) * p.n_q + row;
    SelectedRow to{static_cast<int32_t*>(b.out[0]) + at * p.k_max,
                   p.n_levels > 0 ? static_cast<int32_t*>(b.out[2]) + at * p.k_max : nullptr};
    to.merge(candidates, level_of, n, forced, n_forced, p.k_max);
    static_cast<int32_t*>(b.out[1])[at] = to.count;
  }
};

}  // namespace swath
