// For operators that are composed of pooling.
#pragma once

#include <swath/ops/pooling.h>

#include "core/operator.h"

namespace swath {

/// Appends the steps of one pooling; `y` has the shape that the parameters give.
void add_pooling(PlanImpl& plan, const Operand& x, const Operand& y, const PoolingParams& params);

}  // namespace swath
