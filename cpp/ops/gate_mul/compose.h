// For operators that are composed of products with a gate.
#pragma once

#include "core/operator.h"
#include "ops/common/walk_axes.h"
#include "ops/gate_mul/problem.h"

namespace swath {

using GateAxes = WalkAxes<kGateArrays>;

/// Axes of the arrays a, b, c, y, db; along `repeats` b and db do not move.
struct GateGeometry {
  GateAxes kept, repeats;
};

/// Gives the axes their roles by their strides and cuts the work into tasks. No axis is empty.
void assign_gate_roles(GateProblem& problem, GateGeometry geometry);

/// Appends the step of a problem with roles; `bytes` for its cost.
void add_gate_step(PlanImpl& plan, const std::string& op, const GateProblem& problem,
                   int64_t bytes);

}  // namespace swath
