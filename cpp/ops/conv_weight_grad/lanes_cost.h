// Which lanes pay for the weight's gradient: along a row of positions or along output channels.
#pragma once

#include "ops/conv_weight_grad/parts.h"

namespace swath::SWATH_ISA {
namespace {

/// Cycles per position and group, roughly.
template <class T>
SWATH_ALWAYS_INLINE bool prefers_grad_rows(const WeightGradProblem& w) {
  const ConvProblem& p = w.conv;
  const ConvAxis& q = p.axis[2];
  constexpr double kMove = 1.5;    // a value that does not lie along the lanes
  constexpr double kTurn = 2.5;    // one of dy, which each block of input channels turns anew
  constexpr double kReduce = 5.0;  // the sum over the lanes of one register
  const double taps = static_cast<double>(p.in_per_group) * p.n_taps();
  const double outs = p.out_per_group;
  const double vectors = static_cast<double>(ceil_div(p.out_per_group, kLanes<T>));
  const double channels = vectors * taps + (p.y_channel_stride == 1 ? 0 : kTurn * outs);
  const double waste = static_cast<double>(round_up(q.out, kLanes<T>)) / max_of(q.out, 1);
  // One output channel meets each vector of x alone: it is bound by loads.
  const double loads = p.out_per_group == 1 ? 1.1 : 1.0;
  const double rows = outs * taps * waste * loads / kLanes<T> +
                      outs * taps * kReduce / max_of(p.axis[1].out * q.out, 1) +
                      (q.y_stride == 1 ? 0 : kMove * outs) +
                      (q.x_stride == 1 ? 0 : kMove * p.in_per_group);
  return rows < channels;
}

}  // namespace
}  // namespace swath::SWATH_ISA
