#include <algorithm>
#include <memory>

#include "ops/spatial_gate/compose.h"

namespace swath {

void add_softmax_step(PlanImpl& plan, const std::string& op, SoftmaxProblem problem,
                      SoftmaxCall call) {
  constexpr double kSecondsPerElement = 2e-9;  // an order of magnitude
  merge_walk(call.outer);
  merge_walk(call.axis);
  problem.outer = make_walk(call.outer);
  problem.axis = make_walk(call.axis);
  problem.lanes = call.lanes;
  problem.lanes_block = std::min<int64_t>(call.lanes.n, 512);
  const int64_t n = problem.outer.count() * problem.axis.count() * problem.lanes.n;
  static const Operator& table = find_operator("spatial_gate");
  add_step(plan, table, problem.dtype, std::make_shared<SoftmaxProblem>(problem),
           static_cast<double>(n) * kSecondsPerElement, op);
}

}  // namespace swath
