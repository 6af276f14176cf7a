// For operators that begin with sums over the positions of each channel.
#pragma once

#include <string>

#include "core/operator.h"
#include "ops/channel_stats/problem.h"
#include "ops/common/geometry.h"

namespace swath {

/// Where the results of add_channel_stats are: accumulators in the order [n, c].
struct ChannelStats {
  ArrayRef mean, deviation, dot;
};

struct StatsCall {
  Operand x, c;  // c.desc null: no products
  AxisMap map;   // of x's axes
  int ndim = 2;
  bool has_deviation = false;  // unbiased: the root of sum (x - mean)^2 / (P - 1)
};

/// Appends the steps. Without a position mean and deviation are 0. No sample and channel: no step.
ChannelStats add_channel_stats(PlanImpl& plan, const std::string& op, const StatsCall& call);

}  // namespace swath
