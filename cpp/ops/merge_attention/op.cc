// describe of merge_attention and its backward.
#include <swath/ops/merge_attention.h>

#include <memory>

#include "core/format.h"
#include "core/operator.h"
#include "ops/common/geometry.h"
#include "ops/common/scalar.h"
#include "ops/common/walk_axes.h"
#include "ops/merge_attention/problem.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

/// o's shape without D.
TensorDesc lse_desc(const TensorDesc& o) {
  return contiguous_desc(accumulator_of(o.dtype), o.shape.data(), o.rank - 1);
}

void check_lse(const CallSite& site, const TensorDesc& o, const TensorDesc& lse, const char* arg) {
  const TensorDesc needed = lse_desc(o);
  if (lse.dtype != needed.dtype) {
    site.fail(ErrorCode::dtype, arg,
              format("{} is {}, needed is {} beside an o of {}", arg, name_of(lse.dtype),
                     name_of(needed.dtype), name_of(o.dtype)));
  }
  bool fits = lse.rank == needed.rank;
  for (int i = 0; fits && i < lse.rank; ++i) fits = lse.shape[i] == needed.shape[i];
  if (!fits) {
    site.fail(ErrorCode::shape, arg,
              format("{} has shape {}, needed is that of o without its last axis, {}", arg,
                     shape_text(lse), shape_text(needed)));
  }
  if (lse.device != o.device) site.fail(ErrorCode::device, arg, "o and lse are on two devices");
}

void check_parts(const CallSite& site, std::span<const AttentionPart> parts) {
  if (parts.empty() || parts.size() > static_cast<size_t>(kMaxMergeParts)) {
    site.fail(ErrorCode::param, "parts",
              format("{} parts are given, needed are 1 to {}", parts.size(), kMaxMergeParts));
  }
  const TensorDesc& first = *parts[0].o;
  check_floating(site, first, "parts");
  if (first.rank < 1) {
    site.fail(ErrorCode::shape, "parts", "o has no axes, needed is at least that of D");
  }
  for (const AttentionPart& part : parts) {
    check_same_array(site, first, *part.o, "parts", "the first o");
    check_lse(site, first, *part.lse, "parts");
  }
}

/// `o` and `lse`: the results, or do and dlse.
MergeProblem make_problem(std::span<const AttentionPart> parts, const TensorDesc& o,
                          const TensorDesc* lse) {
  MergeProblem p;
  const TensorDesc& first = *parts[0].o;
  p.dtype = first.dtype;
  p.n_parts = static_cast<int32_t>(parts.size());
  const int last = first.rank - 1;
  p.n_channels = first.shape[last];
  p.o_step[kMaxMergeParts] = o.strides[last];
  for (int t = 0; t < p.n_parts; ++t) p.o_step[t] = parts[t].o->strides[last];
  WalkAxes<kMergeArrays> axes;
  for (int i = 0; i < last; ++i) {
    WalkAxis<kMergeArrays> axis{first.shape[i],
                                {o.strides[i], lse != nullptr ? lse->strides[i] : 0}};
    for (int t = 0; t < p.n_parts; ++t) {
      axis.stride[merge_o(t)] = parts[t].o->strides[i];
      axis.stride[merge_lse(t)] = parts[t].lse->strides[i];
    }
    // In the order of the results' rows: only neighbours become one.
    WalkAxis<kMergeArrays>* outer = axes.empty() ? nullptr : &axes.back();
    bool is_one = outer != nullptr;
    for (int k = 0; is_one && k < kMergeArrays; ++k) {
      is_one = outer->stride[k] == axis.n * axis.stride[k];
    }
    if (axis.n == 1) continue;
    if (is_one) {
      axis.n *= outer->n;
      *outer = axis;
    } else {
      axes.push_back(axis);
    }
  }
  p.rows = make_walk(axes);
  return p;
}

void add_merge_step(PlanImpl& plan, const std::string& op, const MergeProblem& p) {
  constexpr double kSecondsPerElement = 3e-10, kSecondsPerRow = 2e-8;  // orders of magnitude
  static const Operator& table = find_operator("merge_attention");
  const int64_t n_rows = p.rows.count();
  add_step(
      plan, table, p.dtype, std::make_shared<MergeProblem>(p),
      static_cast<double>(n_rows) *
          (kSecondsPerRow + static_cast<double>(p.n_parts * p.n_channels) * kSecondsPerElement),
      op);
}

}  // namespace

Plan plan_merge_attention(std::span<const AttentionPart> parts, const std::string& name,
                          const PlanOptions& options) {
  const CallSite site{name};
  check_parts(site, parts);
  const TensorDesc& first = *parts[0].o;
  auto plan = std::make_shared<PlanImpl>();
  plan->op = name;
  plan->wants_reasons = options.explain;
  plan->outputs = {contiguous_desc(first.dtype, first.shape.data(), first.rank), lse_desc(first)};
  const int64_t n_bytes = bytes_of(plan->outputs[0]) + bytes_of(plan->outputs[1]);
  plan->bytes = (static_cast<int64_t>(parts.size()) + 1) * n_bytes;
  plan->flops = 2 * static_cast<int64_t>(parts.size()) * first.n_elements();
  if (plan->outputs[1].n_elements() == 0) return Plan(std::move(plan));
  add_merge_step(*plan, site.op, make_problem(parts, plan->outputs[0], &plan->outputs[1]));
  return Plan(std::move(plan));
}

Plan plan_merge_attention_backward(const TensorDesc& d_o, const TensorDesc* dlse,
                                   std::span<const AttentionPart> parts, const std::string& name,
                                   const PlanOptions& options) {
  const CallSite site{name};
  check_parts(site, parts);
  const TensorDesc& first = *parts[0].o;
  check_same_array(site, first, d_o, "do", "the parts' o");
  if (dlse != nullptr) check_lse(site, first, *dlse, "dlse");
  auto plan = std::make_shared<PlanImpl>();
  plan->op = name;
  plan->wants_reasons = options.explain;
  for (size_t t = 0; t < parts.size(); ++t) {
    plan->outputs.push_back(contiguous_desc(first.dtype, first.shape.data(), first.rank));
    plan->outputs.push_back(lse_desc(first));
  }
  const int64_t n_bytes = bytes_of(plan->outputs[0]) + bytes_of(plan->outputs[1]);
  plan->bytes = (2 * static_cast<int64_t>(parts.size()) + 1) * n_bytes;
  plan->flops = 3 * static_cast<int64_t>(parts.size()) * first.n_elements();
  if (plan->outputs[1].n_elements() == 0) return Plan(std::move(plan));
  MergeProblem p = make_problem(parts, d_o, dlse);
  p.is_backward = true;
  p.has_dlse = dlse != nullptr;
  add_merge_step(*plan, site.op, p);
  return Plan(std::move(plan));
}

}  // namespace swath
