// What describe of attention knows of a call. Used by describe only.
#pragma once

#include <initializer_list>
#include <memory>

#include <swath/ops/attention.h>

#include "core/format.h"
#include "core/operator.h"
#include "ops/attention/arrays.h"
#include "ops/attention/lower.h"

namespace swath {

struct AttentionDescribe {
  const AttentionInputs& in;
  const AttentionParams& params;
  const PlanOptions& options;
  CallSite site;
  HeadAxes q{}, k{}, v{};
  std::shared_ptr<AttentionTables> tables = std::make_shared<AttentionTables>();
  std::shared_ptr<PlanImpl> plan = std::make_shared<PlanImpl>();
  double n_pairs = 0, n_extra_pairs = 0;
  AttentionProblem& problem() { return tables->problem; }
  int64_t problem_batch() const { return tables->problem.n_batch; }

  void check_head_size(const TensorDesc& x, int64_t n, const char* arg) const;
  HeadAxes read_kv(const TensorDesc& x, const char* arg) const;
  /// Keys and values that belong together.
  void check_pair(const TensorDesc& k_desc, const TensorDesc& v_desc, const HeadAxes& a,
                  const HeadAxes& b, const char* k_arg, const char* v_arg) const;
  void read_main();
  void read_outputs();
  /// Strides of an array that broadcasts to `shape`, aligned at the last axes.
  void broadcast(const TensorDesc& x, std::initializer_list<int64_t> shape, int64_t* strides,
                 const char* arg, const char* needed) const;
  void need_rank(const TensorDesc& x, int rank, const char* arg, const char* needed) const;
  void read_biases();
  /// (B|1, N).
  void read_per_key(const TensorDesc& x, int64_t n, int64_t* strides, const char* arg) const;
  void read_extras();
  void read_patterns();
  void read_lists(const AttentionPattern& given, KeyPattern& out, int slot);
  void read_mask(const TensorDesc& mask, KeyPattern& out, int slot);
  /// The first axes of a list are (B|1, H|1).
  void check_lead(const TensorDesc& x, int n) const;
  void read_blocks(const AttentionPattern& given, KeyPattern& out, int slot);
  void read_table();
  /// How far from its query a key of an axis may lie.
  int64_t farthest_key(const KeyPattern& pattern, int a) const;
  Plan finish();
};

}  // namespace swath
