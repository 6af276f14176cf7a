// Which lanes pay: along a row of positions or along channels.
#pragma once

#include "ops/sliding_conv/kernel_math.h"

namespace swath::SWATH_ISA {
namespace {

/// Cycles per output position and group, roughly: multiply-adds, and what moving a value costs that
/// does not lie along the lanes. Measured on dense 3x3 and 1x1 shapes of 3 to 256 channels.
SWATH_ALWAYS_INLINE double lanes_cost(const ConvProblem& p, int lanes, bool along_channels) {
  constexpr double kMove = 1.5;
  // A row tile of many channels reads short pieces of many lines, which no prefetcher foresees; at
  // 128 columns rows were 20 % faster than channels (64 channels, 3x3), at 56 still 9 % slower.
  constexpr double kShortLines = 1.15;
  constexpr int64_t kLongLine = 96;
  const ConvAxis &h = p.axis[1], &w = p.axis[2];
  const double taps = static_cast<double>(p.in_per_group) * p.n_taps();
  const double moved_in = kMove * p.in_per_group, moved_out = kMove * p.out_per_group;
  const bool is_depthwise = p.in_per_group == 1;
  if (along_channels) {
    // Depthwise lanes run over all groups; each of their taps loads x, and staging has no reuse.
    const int64_t n = is_depthwise ? p.n_out_channels() : p.out_per_group;
    const double vectors = static_cast<double>(ceil_div(n, lanes));
    const double share = is_depthwise ? vectors / p.n_groups : vectors;
    const double move_in = p.x_channel_stride == 1 ? 0 : is_depthwise ? 8 * moved_in : moved_in;
    // Positions of a few channels overlap in memory: every load crosses a line, every store is
    // masked. 60 cycles a position were measured at 2 to 4 channels, 16 lanes.
    const double crowded = is_depthwise && 2 * n < lanes ? 60.0 / static_cast<double>(n) : 0;
    return share * taps + move_in + crowded + (p.y_channel_stride == 1 ? 0 : moved_out);
  }
  double waste = static_cast<double>(round_up(w.out, lanes)) / w.out;
  if (p.out_per_group >= 4) {
    if (h.out > 1 && waste > 1.2) waste = 1.2;  // rows run together
    if (taps >= 128 && h.out > 1 && w.out < kLongLine) waste *= kShortLines;
  }
  return p.out_per_group * taps * waste / lanes + (w.x_stride == 1 ? 0 : 2 * moved_in) +
         (w.y_stride == 1 ? 0 : moved_out);
}

template <class T>
SWATH_ALWAYS_INLINE bool prefers_rows(const ConvProblem& p) {
  return lanes_cost(p, kLanes<T>, false) <= lanes_cost(p, kLanes<T>, true);
}

}  // namespace
}  // namespace swath::SWATH_ISA
