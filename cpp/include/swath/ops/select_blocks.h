#pragma once

#include <array>
#include <string>
#include <vector>

#include <swath/ops/common.h>
#include <swath/ops/linear_attention.h>

namespace swath {

/// Blocks whose place in the order of scores is in [low, high) are kept at `level`. The place is
/// the share of better candidates, or with by_weight the share of the softmax that they hold.
struct BlockLevel {
  int64_t level = 1;
  double low = 0, high = 1;
};

struct SelectBlocksParams {
  std::array<int64_t, 2> block{1, 1};  // of queries and keys
  int64_t top_k = -1;                  // -1: no limit
  double top_p = 2;                    // 1 and above: all
  double threshold = 0;                // 0: all
  std::vector<BlockLevel> levels;      // empty: all that is kept is kept as it is
  bool by_weight = false;
  std::array<int64_t, 2> parent_block{0, 0};
  bool forces_rows = false;  // forced blocks are listed row by row
  int64_t max_forced = 0;    // of a row
  double scale = 0;
  bool has_scale = false;  // else D^-1/2
  HeadLayout layout = HeadLayout::heads_first;
  std::string name = "select_blocks";
};

/// Slots: q, k, parents' indices (B|1, H|1, n, k_max), parents' counts (B|1, H|1, n), forced blocks
/// (int32, ascending), where each row's begin (int64, n_q + 1). Out: indices (B, H, n_q, k_max),
/// counts (B, H, n_q) and, if there are levels, levels (B, H, n_q, k_max), all int32.
SWATH_API Plan plan_select_blocks(const TensorDesc& q, const TensorDesc& k,
                                  const TensorDesc* parent_indices, const TensorDesc* parent_counts,
                                  const TensorDesc* forced, const TensorDesc* forced_rows,
                                  const SelectBlocksParams& params,
                                  const PlanOptions& options = {});

}  // namespace swath
