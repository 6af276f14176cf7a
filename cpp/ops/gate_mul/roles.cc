// Which axis vectors lie along, where gates are made, and how the work is cut into tasks.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "ops/gate_mul/compose.h"

namespace swath {
namespace {

constexpr double kBytesPerSecond = 8e9;  // an order of magnitude
/// Gates of one task, and elements that it handles: 32 KB hold a row of each array.
constexpr int64_t kGates = 2048, kElements = 16384;

/// How many of the arrays would have to be gathered along the axis.
int cost_of(const GateProblem& p, const GateAxis& axis, bool is_kept) {
  const auto strided = [&](GateArray k) { return axis.stride[k] != 1 ? 1 : 0; };
  int cost = strided(kGateA);
  if (p.has_c || p.is_backward) cost += strided(kGateC);
  if (!p.is_backward || p.has_da) cost += strided(kGateY);
  if (is_kept) cost += strided(kGateB);
  if (is_kept && p.has_db) cost += strided(kGateDb);
  return cost;
}

void take_run(GateProblem& p, GateGeometry& g) {
  GateAxes* best_axes = nullptr;
  size_t best = 0;
  int best_cost = 0;
  for (GateAxes* axes : {&g.kept, &g.repeats}) {
    for (size_t i = 0; i < axes->size(); ++i) {
      const int cost = cost_of(p, (*axes)[i], axes == &g.kept);
      const bool is_better = best_axes == nullptr || cost < best_cost ||
                             (cost == best_cost && (*axes)[i].n > (*best_axes)[best].n);
      if (!is_better) continue;
      best_axes = axes;
      best = i;
      best_cost = cost;
    }
  }
  p.is_splat = best_axes == &g.repeats;
  if (best_axes == nullptr) {  // a single element
    for (int64_t& stride : p.run.stride) stride = 1;
  } else {
    p.run = take_axis(*best_axes, best);
  }
  if (!p.is_splat || g.kept.empty()) return;
  const auto nearest =
      std::min_element(g.kept.begin(), g.kept.end(), [](const GateAxis& a, const GateAxis& b) {
        return std::abs(a.stride[kGateA]) < std::abs(b.stride[kGateA]);
      });
  p.rows = take_axis(g.kept, static_cast<size_t>(nearest - g.kept.begin()));
}

/// Slowest first, so that the memory of a is walked along.
void sort_by_stride(GateAxes& axes) {
  std::stable_sort(axes.begin(), axes.end(), [](const GateAxis& a, const GateAxis& b) {
    return std::abs(a.stride[kGateA]) > std::abs(b.stride[kGateA]);
  });
}

/// By the shape of one sample's arrays alone. A backward sums over all repeats of a gate in one
/// task.
void cut(GateProblem& p) {
  const int64_t n_repeats = p.repeat.count();
  p.chunk = std::clamp<int64_t>(8192 / p.n_terms, 64, 1024);
  const int64_t most_gates = std::clamp<int64_t>(65536 / (p.n_terms + 3), 1, kGates);
  if (p.is_splat) {
    const bool is_long = !p.is_backward && p.run.n > 4 * kElements;
    p.run_block = is_long ? 2 * kElements : p.run.n;
    p.rows_block = std::clamp<int64_t>(kElements / std::max<int64_t>(1, p.run_block * n_repeats), 1,
                                       std::min(p.rows.n, most_gates));
    p.repeat_block = n_repeats;
    return;
  }
  p.run_block = std::min(p.run.n, std::max<int64_t>(64, p.is_backward ? kGates / 2 : most_gates));
  p.repeat_block =
      p.is_backward ? n_repeats : std::clamp<int64_t>(8 * kElements / p.run_block, 1, n_repeats);
}

}  // namespace

void assign_gate_roles(GateProblem& p, GateGeometry g) {
  merge_walk(g.kept);
  merge_walk(g.repeats);
  take_run(p, g);
  sort_by_stride(g.kept);
  sort_by_stride(g.repeats);
  p.outer = make_walk(g.kept);
  p.repeat = make_walk(g.repeats);
  cut(p);
}

void add_gate_step(PlanImpl& plan, const std::string& op, const GateProblem& problem,
                   int64_t bytes) {
  static const Operator& table = find_operator("gate_mul");
  add_step(plan, table, problem.dtype, std::make_shared<GateProblem>(problem),
           static_cast<double>(bytes) / kBytesPerSecond, op);
}

}  // namespace swath
