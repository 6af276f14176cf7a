// What the attention kernels see. Plain data: also included by files compiled with ISA flags.
//
// A pattern is no list of pairs. For a tile of up to 16 queries, whose tokens lie close together,
// it is walked as runs of keys (walk.h): a first key, a step, a count, and for every query of the
// tile the interval of the run that it sees. Nothing here grows faster than the number of tokens,
// but what the caller passes as lists or masks.
#pragma once

#include <cstdint>

#include "core/kernel.h"

namespace swath {

inline constexpr int kMaxTokenAxes = 3;
inline constexpr int kMaxPatterns = 4;
inline constexpr int kMaxExtras = 6;
inline constexpr int kMaxTile = 16;  // queries of a tile; 8 for float64

/// q, k, v or o: where element (b, h, token, d) is. `unit` is the stride of d.
struct TokenArray {
  ArrayRef ref{};
  int64_t batch = 0, head = 0, unit = 1;
  int32_t n_axes = 1;  // token axes that are not one run
  int64_t extent[kMaxTokenAxes] = {}, stride[kMaxTokenAxes] = {};

  __attribute__((always_inline)) int64_t at(int64_t token) const {
    if (n_axes == 1) return token * stride[0];
    int64_t offset = 0;
    for (int i = n_axes - 1; i > 0; --i) {
      offset += token % extent[i] * stride[i];
      token /= extent[i];
    }
    return offset + token * stride[0];
  }
  /// How many tokens from `token` on, `step` apart, lie at one stride.
  __attribute__((always_inline)) int64_t run_length(int64_t token, int64_t step) const {
    if (n_axes == 1) return int64_t{1} << 62;
    const int64_t row = extent[n_axes - 1];
    return (row - token % row + step - 1) / step;
  }
};

/// One axis of queries, cut into tiles: tile t has the places order[first[t], first[t + 1]).
struct QueryAxis {
  const int64_t* order = nullptr;
  const int64_t* first = nullptr;
  int64_t n_tiles = 1, length = 1;
};

/// Keys on one axis. Inside the class `place mod dilation` keys are counted by units u, and query
/// place i sees u in [lo[i], hi[i]). Unit u is the place (u * dilation + class + rotation) mod n_k.
struct KeyAxis {
  int64_t n_k = 0, dilation = 1, rotation = 0;
  bool wraps = false;  // u counts around the end
  const int64_t *lo = nullptr, *hi = nullptr;
  // Window with a finite mask_value: what is seen without it.
  const int64_t *region_lo = nullptr, *region_hi = nullptr;
};

enum class KeyKind : uint8_t { intervals, disk, segments, blocks, mask };

/// One pattern, or one member of a union. Its axes and lists count tokens after the prefix.
struct KeyPattern {
  KeyKind kind = KeyKind::intervals;
  bool shares_tiles = true;  // its places are those of the query tiles
  bool is_causal = false;    // key token <= query token + causal_shift, but for prefix tokens
  int64_t n_prefix = 0;
  int32_t n_axes = 1;
  int64_t query_extent[kMaxTokenAxes] = {1, 1, 1};
  KeyAxis axes[kMaxTokenAxes];
  bool has_regions = false;
  double mask_value = 0;
  // disk: widths[|dz| (reach + 1) + |dy|] is how far the inner axis reaches, -1: not at all
  const int64_t* widths = nullptr;
  int64_t reach = 0;
  double radius = 0;
  // segments: starts[n + 1], visible[n][n]
  int64_t n_segments = 0;
  const int64_t* starts = nullptr;
  const uint8_t* visible = nullptr;
  // blocks: int32 lists; mask: bytes
  ArrayRef list{}, counts{}, levels{};
  int64_t list_stride[4] = {}, count_stride[3] = {}, level_stride[4] = {};
  bool has_levels = false;
  int64_t block_q = 1, block_k = 1;
};

/// More keys, for all queries or for those after the prefix.
struct ExtraKeys {
  TokenArray k, v;
  int64_t n = 0;
  double log_weight = 0;
  bool has_weights = false, grid_only = false;
  ArrayRef weights{};
  int64_t weights_batch = 0, weights_key = 0;
};

struct AttentionProblem {
  DType dtype = DType::f32;
  int64_t n_batch = 0, n_heads = 0, heads_per_kv = 1;
  int64_t n_q = 0, n_k = 0, d = 0, d_v = 0;
  TokenArray q, k, v, o;
  bool has_lse = false;
  ArrayRef lse{};
  int64_t lse_batch = 0, lse_head = 0, lse_token = 0;
  double scale = 1, softcap = 0;  // softcap 0: none

  bool has_bias = false, has_table = false, has_key_bias = false, has_key_mask = false;
  bool has_sink = false, has_low_rank = false;
  ArrayRef bias{}, low_a{}, low_b{}, key_bias{}, key_mask{}, sink{};
  int64_t bias_stride[4] = {};  // b, h, query, key
  // table: element of key unit u and query unit p of an axis: (u - p) stride + centre
  int64_t table_head = 0, table_stride[kMaxTokenAxes] = {}, table_centre = 0;
  int64_t rank = 0;
  int64_t low_a_stride[4] = {}, low_b_stride[4] = {};  // b, h, token, r
  int64_t key_bias_batch = 0, key_bias_key = 0, key_mask_batch = 0, key_mask_key = 0;
  int64_t sink_stride = 0;
  int32_t n_extras = 0;
  ExtraKeys extras[kMaxExtras];

  int64_t causal_shift = 0;  // of patterns that are causal
  int32_t n_patterns = 1;
  KeyPattern patterns[kMaxPatterns];

  // Tiles: those of prefix tokens, then the product of the axes'.
  int64_t tile = kMaxTile, n_prefix = 0;
  int32_t n_axes = 1;
  QueryAxis axes[kMaxTokenAxes];

  __attribute__((always_inline)) int64_t n_prefix_tiles() const {
    return (n_prefix + tile - 1) / tile;
  }
  __attribute__((always_inline)) int64_t n_tiles() const {
    return n_prefix_tiles() + axes[0].n_tiles * axes[1].n_tiles * axes[2].n_tiles;
  }
  __attribute__((always_inline)) int64_t n_tasks() const { return n_batch * n_heads * n_tiles(); }
};

}  // namespace swath
