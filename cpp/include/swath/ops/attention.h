#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <swath/ops/common.h>

namespace swath {

enum class PatternKind : uint8_t {
  dense,
  causal,
  window1d,
  neighborhood,
  disk,
  window,
  halo,
  segments,
  grouped,
  varlen,
  blocks,
  mask
};
enum class NeighborhoodBorder : uint8_t { shift, clip, wrap };

/// Which keys each query sees; python/swath/patterns documents every kind. Numbers per axis are
/// vectors of one number for all axes, or of one for each of `n_axes`.
struct AttentionPattern {
  PatternKind kind = PatternKind::dense;
  bool has_grid = false;
  std::vector<int64_t> grid;
  int64_t n_prefix = 0;
  int n_axes = 0;                // that the numbers per axis say; 0: any
  std::vector<int64_t> size{1};  // kernel_size, size of a window, block of a halo
  std::vector<int64_t> dilation{1}, stride{1}, causal{0};
  std::vector<int64_t> shift{0};  // of a window, or the halo
  NeighborhoodBorder border = NeighborhoodBorder::shift;
  int64_t left = -1, right = -1;  // -1: no limit
  double radius = 1;
  double mask_value = -HUGE_VAL;
  std::vector<int64_t> lengths, cu_q, cu_k;
  std::vector<uint8_t> visible;
  int64_t n_shared = 0, n_groups = 1, offset = 0;
  int64_t block_q = 64, block_k = 64;
  /// blocks: indices, counts and levels (may be null); mask: the mask as `indices`.
  const TensorDesc *indices = nullptr, *counts = nullptr, *levels = nullptr;
};

/// More keys, for all queries or for those after the prefix.
struct AttentionExtra {
  const TensorDesc *k = nullptr, *v = nullptr;
  const TensorDesc* log_weights = nullptr;  // null: `log_weight`
  double log_weight = 0;
  bool grid_only = false;
};

/// Descriptions of the arrays; null where absent. Their slots: the order of this list, then three
/// for each extra (k, v, log_weights), then three for each pattern (indices, counts, levels).
struct AttentionInputs {
  const TensorDesc *q = nullptr, *k = nullptr, *v = nullptr;
  const TensorDesc* bias = nullptr;  // of all pairs, or a relative table
  const TensorDesc *low_a = nullptr, *low_b = nullptr;
  const TensorDesc *key_bias = nullptr, *key_mask = nullptr, *sink = nullptr;
  std::vector<AttentionExtra> extras;
  std::vector<AttentionPattern> patterns;  // one, or the members of a union
};
inline constexpr int kAttentionSlots = 9;
constexpr int extra_slot(int extra) { return kAttentionSlots + 3 * extra; }
constexpr int pattern_slot(int n_extras, int pattern) { return extra_slot(n_extras) + 3 * pattern; }

enum class AttentionBias : uint8_t { pairs, key_minus_query, query_minus_key };

struct AttentionParams {
  bool heads_last = false;  // (B, *tokens, H, D), not (B, H, *tokens, D)
  bool causal = false, return_lse = false;
  bool has_scale = false;
  double scale = 0;    // D^-1/2 unless given
  double softcap = 0;  // 0: none
  AttentionBias bias = AttentionBias::pairs;
  std::string name = "attention";
};

/// o = softmax(scale q k^T + ...) v over the pairs that the pattern allows. Outputs: o, and lse if
/// asked for.
SWATH_API Plan plan_attention(const AttentionInputs& inputs, const AttentionParams& params,
                              const PlanOptions& options = {});

}  // namespace swath
