// What the kernels of linear attention see.
#pragma once

#include <cstdint>

#include <swath/ops/linear_attention.h>

#include "core/kernel.h"
#include "ops/tokens/problem.h"

namespace swath {

/// One array (B, H, tokens, channels) of any strides.
struct HeadArray {
  ArrayRef ref{};
  int64_t batch = 0, head = 0, step = 1;
  TokenRows rows{};

  __attribute__((always_inline)) int64_t at(int64_t b, int64_t h) const {
    return b * batch + h * head;
  }
};

/// Forward: o from q, k, v. Backward: `o` is do, and dq, dk, dv are written where needed.
struct LinearAttentionProblem {
  DType dtype = DType::f32;
  bool is_backward = false, is_causal = false, has_softmax = true;
  bool has_dq = false, has_dk = false, has_dv = false;
  double scale = 1;
  int64_t n_batch = 0, n_heads = 0, n_kv_heads = 0;
  int64_t n_q = 0, n_k = 0, n_d = 0, n_e = 0;  // tokens of q and k, channels of k and v
  HeadArray q, k, v, o, dq, dk, dv;

  /// Channels of v that one task of the forward makes: the state of 64 of them stays in the cache.
  static constexpr int64_t kTaskChannels = 64;
  __attribute__((always_inline)) int64_t n_blocks() const {
    return is_backward ? 1 : (n_e + kTaskChannels - 1) / kTaskChannels;
  }
  __attribute__((always_inline)) int64_t n_tasks() const {
    return n_batch * n_kv_heads * n_blocks();
  }
  __attribute__((always_inline)) int64_t n_group() const { return n_heads / n_kv_heads; }
  /// Keys that query i sees: all before this one. The last query sees all keys.
  __attribute__((always_inline)) int64_t key_end(int64_t i) const {
    if (!is_causal) return n_k;
    const int64_t end = i + 1 + n_k - n_q;
    return end < 0 ? 0 : end;
  }
};

}  // namespace swath
