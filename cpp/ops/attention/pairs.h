// Every pair of query and key by plain loops, in double. The rules of the patterns are written here
// a second time, pair by pair. For reference kernels only.
#pragma once

#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/kernel.h"
#include "ops/attention/problem.h"
#include "ops/common/scalar.h"

namespace swath {

inline constexpr double kHiddenLogit = -std::numeric_limits<double>::infinity();

/// What a pair is to one pattern.
struct AttentionPair {
  bool is_seen = false, has_place = false;
  double add = 0;
  int64_t table = 0;  // offset in a relative table
};

/// One query against keys.
struct AttentionQuery {
  const AttentionProblem& p;
  const Buffers& b;
  int64_t batch, head, token;

  double load(const ArrayRef& ref, int64_t at) const {
    return load_scalar(p.dtype, b.read(ref), at);
  }

  AttentionPair on_grid(const KeyPattern& k, int64_t i, int64_t j) const {
    AttentionPair pair{.is_seen = true, .has_place = true};
    double distance = 0;
    bool is_across = false;
    for (int a = k.n_axes - 1; a >= 0; --a) {
      const KeyAxis& axis = k.axes[a];
      const int64_t query = i % k.query_extent[a], key = j % axis.n_k;
      i /= k.query_extent[a];
      j /= axis.n_k;
      const int64_t d = axis.dilation;
      const int64_t rolled_query = (query - axis.rotation + axis.n_k) % axis.n_k;
      const int64_t rolled = (key - axis.rotation + axis.n_k) % axis.n_k;
      int64_t unit = rolled / d;
      if (k.kind == KeyKind::disk) {
        distance += static_cast<double>((query - key) * (query - key));
      } else {
        pair.is_seen = pair.is_seen && query % d == key % d;
        const int64_t n = (axis.n_k - key % d + d - 1) / d;
        while (axis.wraps && unit < axis.lo[query]) unit += n;
        while (axis.wraps && unit >= axis.lo[query] + n) unit -= n;
        pair.is_seen = pair.is_seen && unit >= axis.lo[query] && unit < axis.hi[query];
        if (k.has_regions) {
          is_across = is_across || unit < axis.region_lo[query] || unit >= axis.region_hi[query];
        }
      }
      pair.table += (unit - rolled_query / d) * p.table_stride[a];
    }
    if (k.kind == KeyKind::disk) pair.is_seen = distance < k.radius * k.radius;
    if (is_across) pair.add = k.mask_value;
    return pair;
  }

  int64_t segment_of(const KeyPattern& k, int64_t at) const {
    int64_t s = 0;
    while (k.starts[s + 1] <= at) ++s;
    return s;
  }

  /// Blocks are walked by list instead.
  AttentionPair look(const KeyPattern& k, int64_t key) const {
    if (token < k.n_prefix || key < k.n_prefix) return {.is_seen = true};
    const int64_t i = token - k.n_prefix, j = key - k.n_prefix;
    AttentionPair pair;
    switch (k.kind) {
      case KeyKind::intervals:
      case KeyKind::disk:
        pair = on_grid(k, i, j);
        break;
      case KeyKind::segments:
        pair.is_seen = k.visible[segment_of(k, i) * k.n_segments + segment_of(k, j)] != 0;
        break;
      case KeyKind::mask: {
        const int64_t* s = k.list_stride;
        const auto* mask = static_cast<const uint8_t*>(b.read(k.list));
        pair.is_seen = mask[batch * s[0] + head * s[1] + i * s[2] + j * s[3]] != 0;
        break;
      }
      case KeyKind::blocks:
        pair.is_seen = lists_block(k, i / k.block_q, j / k.block_k);
    }
    if (k.is_causal && key > token + p.causal_shift) pair.is_seen = false;
    return pair;
  }

  int32_t entry(const ArrayRef& ref, const int64_t* s, int64_t row, int64_t i) const {
    return static_cast<const int32_t*>(b.read(ref))[batch * s[0] + head * s[1] + row * s[2] + i];
  }
  bool lists_block(const KeyPattern& k, int64_t row, int64_t block) const {
    const int64_t n = entry(k.counts, k.count_stride, row, 0);
    for (int64_t i = 0; i < n; ++i) {
      if (entry(k.list, k.list_stride, row, i * k.list_stride[3]) == block) return true;
    }
    return false;
  }

  double product(const TokenArray& k, int64_t key, int64_t n) const {
    const int64_t q_at = batch * p.q.batch + head * p.q.head + p.q.at(token);
    double sum = 0;
    for (int64_t d = 0; d < p.d; ++d) {
      double mean = 0;
      for (int64_t i = 0; i < n; ++i) {
        mean += load(k.ref, kv_offset(k, key + i) + d * k.unit) / static_cast<double>(n);
      }
      sum += load(p.q.ref, q_at + d * p.q.unit) * mean;
    }
    const double z = p.scale * sum;
    return p.softcap > 0 ? p.softcap * std::tanh(z / p.softcap) : z;
  }
  int64_t kv_offset(const TokenArray& k, int64_t key) const {
    return batch * k.batch + head / p.heads_per_kv * k.head + k.at(key);
  }

  double main_logit(int64_t key, const AttentionPair& pair) const {
    double s = product(p.k, key, 1) + pair.add;
    const auto at = [&](const int64_t* t) { return batch * t[0] + head * t[1]; };
    if (p.has_bias) {
      s += load(p.bias, at(p.bias_stride) + token * p.bias_stride[2] + key * p.bias_stride[3]);
    }
    if (p.has_table && pair.has_place) {
      s += load(p.bias, head * p.table_head + p.table_centre + pair.table);
    }
    for (int64_t r = 0; r < p.rank; ++r) {
      const int64_t *x = p.low_a_stride, *y = p.low_b_stride;
      s += load(p.low_a, at(x) + token * x[2] + r * x[3]) *
           load(p.low_b, at(y) + key * y[2] + r * y[3]);
    }
    if (p.has_key_bias) s += load(p.key_bias, batch * p.key_bias_batch + key * p.key_bias_key);
    return s;
  }

  bool is_masked(int64_t key) const {
    if (!p.has_key_mask) return false;
    const auto* mask = static_cast<const uint8_t*>(b.read(p.key_mask));
    return mask[batch * p.key_mask_batch + key * p.key_mask_key] == 0;
  }

  /// f(logit, values, first token, tokens) over all keys that are seen.
  template <class F>
  void for_keys(const F& f) const {
    const KeyPattern& first = p.patterns[0];
    if (first.has_levels && token >= first.n_prefix) {
      for_levels(first, f);
    } else {
      for (int64_t key = 0; key < p.n_k; ++key) {
        AttentionPair pair;
        for (int m = 0; m < p.n_patterns && !pair.is_seen; ++m) pair = look(p.patterns[m], key);
        if (pair.is_seen && !is_masked(key)) f(main_logit(key, pair), p.v, key, 1);
      }
    }
    for (int e = 0; e < p.n_extras; ++e) {
      const ExtraKeys& x = p.extras[e];
      if (x.grid_only && token < p.n_prefix) continue;
      for (int64_t key = 0; key < x.n; ++key) {
        double s = product(x.k, key, 1) + x.log_weight;
        if (x.has_weights) s += load(x.weights, batch * x.weights_batch + key * x.weights_key);
        f(s, x.v, key, 1);
      }
    }
  }

  template <class F>
  void for_levels(const KeyPattern& k, const F& f) const {
    for (int64_t key = 0; key < k.n_prefix; ++key) f(main_logit(key, {}), p.v, key, 1);
    const int64_t row = (token - k.n_prefix) / k.block_q;
    const int64_t n = entry(k.counts, k.count_stride, row, 0);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t index = entry(k.list, k.list_stride, row, i * k.list_stride[3]);
      const int64_t level = entry(k.levels, k.level_stride, row, i * k.level_stride[3]);
      const int64_t begin = k.n_prefix + index * k.block_k;
      const int64_t end = begin + k.block_k < p.n_k ? begin + k.block_k : p.n_k;
      for (int64_t at = begin; at < end; at += level) {
        const int64_t m = end - at < level ? end - at : level;
        f(product(p.k, at, m) + std::log(static_cast<double>(m)), p.v, at, m);
      }
    }
  }
};

}  // namespace swath
