// Patterns as their kernels see them: tables of intervals by query place, and tiles of queries.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <swath/ops/attention.h>

#include "ops/attention/problem.h"
#include "ops/common/geometry.h"

namespace swath {

using TokenShape = std::vector<int64_t>;

/// A problem together with the tables that it points to.
struct AttentionTables {
  AttentionProblem problem;
  std::vector<std::shared_ptr<std::vector<int64_t>>> numbers;
  std::vector<std::shared_ptr<std::vector<uint8_t>>> flags;

  const int64_t* keep(std::vector<int64_t> values) {
    numbers.push_back(std::make_shared<std::vector<int64_t>>(std::move(values)));
    return numbers.back()->data();
  }
  const uint8_t* keep(std::vector<uint8_t> values) {
    flags.push_back(std::make_shared<std::vector<uint8_t>>(std::move(values)));
    return flags.back()->data();
  }
};

/// What a lowered pattern is besides what kernels see.
struct PatternFacts {
  TokenShape grid;              // the places of its tiles
  std::vector<int64_t> cuts;    // on a grid of one axis: where no tile goes across, ascending
  std::vector<int64_t> period;  // per axis: the same at every multiple; 0: none
  double n_pairs = 0;           // that are allowed; at most so for lists and masks
};

struct PatternContext {
  const CallSite& site;
  const TokenShape &q_tokens, &k_tokens;
  int64_t n_q, n_k;
  bool causal;
  bool has_table;  // a relative table: Dense keeps its axes
  int n_table_axes;
};

/// Fills problem.patterns[index], or throws.
PatternFacts lower_pattern(const PatternContext& context, const AttentionPattern& pattern,
                           AttentionTables& tables, int index);

/// Cuts the queries into tiles: fills problem.axes.
void make_query_tiles(AttentionTables& tables, const PatternFacts& facts, int64_t n_queries);

}  // namespace swath
