// What the kernels of attention's backward see. Plain data: also included by files compiled with
// ISA flags.
//
// One walk over the forward's tiles gives everything. The tiles of a head of k and v are cut into
// `n_parts` ranges; each part keeps sums of dk and dv of its own, in rows that it touches only, and
// a second step adds the parts in order, if there are several. A bias that is one for several
// samples, heads or queries is summed in copies, at most 16, one for every part of the work that
// could touch the same element. Neither depends on the number of threads, and parts not on the
// batch.
#pragma once

#include "ops/attention/problem.h"

namespace swath {

inline constexpr int kMaxPartialSums = 16;
inline constexpr int64_t kMaxOwn = 16384;  // accumulators of a head that are kept in scratch memory

/// Where a gradient of keys goes at once, because one part has the whole sum: no second step.
struct KeyGrad {
  bool is_wanted = false;
  TokenArray to;
  int64_t offset = 0, n_d = 0;
};

/// Keys whose dk and dv are summed: the main ones (source 0) or those of an extra array.
/// Unit u = ((b * n_kv_heads) + head) * n_parts + part has n rows of `k_width` and `v_width`
/// accumulators, of which [range[2u], range[2u + 1]) are filled.
struct KeySums {
  ArrayRef dk{}, dv{}, range{};
  int64_t n = 0;
  KeyGrad k_grad, v_grad;
};

/// Sums of dS into an array of accumulators that has `n` elements and a number of copies.
struct BroadcastSum {
  bool is_wanted = false;
  ArrayRef ref{};
  int64_t n = 0, n_copies = 1;
  int64_t copy_group = 0, copy_head = 0, copy_part = 0;  // strides, in copies
  int64_t stride[4] = {};                                // b, h, query or key, key or r
};

struct AttentionGradProblem {
  AttentionProblem walk;  // without a softcap: that is done here
  double softcap = 0;
  int64_t n_kv_heads = 1;
  int64_t n_parts = 1;        // ranges of tiles
  int64_t n_groups = 1;       // of samples
  int64_t n_head_groups = 1;  // of heads of k and v
  TokenArray grad, o, lse, dlse, dq;
  bool has_dlse = false, needs_q = false, needs_kv = false;
  int64_t k_width = 0, v_width = 0;  // of a row of sums
  KeySums keys[kMaxExtras + 1];
  BroadcastSum bias, table, low_a, low_b, key_bias, sink, weights[kMaxExtras];
  int64_t table_stride[kMaxTokenAxes] = {}, table_centre = 0;  // of the sums

  /// Accumulators of dk and dv of one head.
  __attribute__((always_inline)) int64_t own_elements() const {
    int64_t n = 0;
    for (int s = 0; needs_kv && s <= walk.n_extras; ++s) n += keys[s].n * (k_width + v_width);
    return n;
  }
  /// One part that writes its sums itself may keep those of each head at one place: for windows of
  /// an image that is a cache line touched once instead of a copy of dk and dv in memory.
  __attribute__((always_inline)) bool own_in_scratch() const {
    return n_parts == 1 && own_elements() <= kMaxOwn;
  }
  __attribute__((always_inline)) int64_t n_tasks() const {
    return n_groups * n_head_groups * n_parts;
  }
};

/// Where part `i` of `n` things cut into `parts` begins.
__attribute__((always_inline)) inline int64_t cut_at(int64_t n, int64_t parts, int64_t i) {
  return n * i / parts;
}

}  // namespace swath
