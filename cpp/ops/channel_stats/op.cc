// Sums, means and deviations over the positions of each channel: steps for other operators.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "ops/channel_stats/compose.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/common/walk_axes.h"

namespace swath {
namespace {

constexpr double kBytesPerSecond = 8e9;  // an order of magnitude
/// Elements of a part of the positions, and of a task.
constexpr int64_t kPartElements = 65536, kTaskElements = 16384;

StatsProblem make_problem(const StatsCall& call) {
  const TensorDesc& x = *call.x.desc;
  const TensorDesc& c = call.c.desc != nullptr ? *call.c.desc : x;
  const auto axis = [&](int at) { return StatsAxis{x.shape[at], {x.strides[at], c.strides[at]}}; };
  StatsProblem p;
  p.dtype = x.dtype;
  p.has_moments = call.has_deviation;
  p.has_product = call.c.desc != nullptr;
  p.x = call.x.ref;
  p.c = call.c.ref;
  if (call.map.n >= 0) p.batch = axis(call.map.n);
  p.channels = axis(call.map.c);
  WalkAxes<kStatsArrays> positions;
  for (int i = 0; i < call.ndim; ++i) positions.push_back(axis(call.map.spatial[i]));
  merge_walk(positions);
  // The axis of unit stride; the longest position axis if there is none.
  const auto cost = [](const StatsAxis& a) {
    return (a.stride[kStatsX] != 1 ? 1 : 0) + (a.stride[kStatsC] != 1 ? 1 : 0);
  };
  const auto best =
      std::min_element(positions.begin(), positions.end(), [&](const auto& a, const auto& b) {
        return cost(a) != cost(b) ? cost(a) < cost(b) : a.n > b.n;
      });
  const int run_cost = best == positions.end() ? 2 : cost(*best);
  p.by_lanes = cost(p.channels) == 0 && run_cost > 0 && p.channels.n > 1;
  if (best != positions.end() && !p.by_lanes) {
    p.run = take_axis(positions, static_cast<size_t>(best - positions.begin()));
  }
  std::stable_sort(positions.begin(), positions.end(), [](const auto& a, const auto& b) {
    return std::abs(a.stride[kStatsX]) > std::abs(b.stride[kStatsX]);
  });
  p.rows = make_walk(positions);
  return p;
}

/// By the shape of one sample alone.
void cut(StatsProblem& p) {
  const int64_t n_positions = p.rows.count() * p.run.n;
  p.channel_block = p.by_lanes ? std::min<int64_t>(p.channels.n, 256)
                               : std::clamp<int64_t>(kTaskElements / n_positions, 1, p.channels.n);
  p.n_parts = std::clamp<int64_t>(n_positions * p.channel_block / kPartElements, 1,
                                  std::min<int64_t>(16, p.n_units()));
}

struct Combine {
  StatsProblem p;
  ChannelStats to;
  DType acc;

  double sum(const Buffers& b, int64_t part, int64_t value, int64_t at) const {
    return load_scalar(acc, b.read(p.sums), p.result(part, value, 0, 0) + at);
  }

  void one(const Buffers& b, int64_t at) const {
    double count = 0, mean = 0, square = 0, dot = 0;
    for (int64_t part = 0; part < p.n_parts; ++part) {
      const auto n = static_cast<double>(p.part_count(part));
      const double first = sum(b, part, 0, at);
      const double shift = (p.has_moments ? first : first / n) - mean;
      if (p.has_moments) square += sum(b, part, 1, at) + shift * shift * count * n / (count + n);
      mean += shift * n / (count + n);
      count += n;
      if (p.has_product) dot += sum(b, part, p.n_values() - 1, at);
    }
    store_scalar(acc, b.write(to.mean), at, mean);
    if (p.has_moments)
      store_scalar(acc, b.write(to.deviation), at, std::sqrt(square / (count - 1)));
    if (p.has_product) store_scalar(acc, b.write(to.dot), at, dot);
  }

  void operator()(const Buffers& b, int64_t begin, int64_t end) const {
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t c = 0; c < p.channels.n; ++c) one(b, n * p.channels.n + c);
    }
  }
};

}  // namespace

ChannelStats add_channel_stats(PlanImpl& plan, const std::string& op, const StatsCall& call) {
  const DType acc = accumulator_of(call.x.desc->dtype);
  StatsProblem p = make_problem(call);
  const int64_t n_results = p.batch.n * p.channels.n;
  const auto reserve = [&](int64_t n) { return reserve_temp(plan, n * item_bytes(acc)); };
  ChannelStats to{reserve(n_results), {}, {}};
  if (p.has_moments) to.deviation = reserve(n_results);
  if (p.has_product) to.dot = reserve(n_results);
  if (n_results == 0) return to;
  if (call.x.desc->n_elements() == 0) {
    for (const ArrayRef& r :
         {to.mean, p.has_moments ? to.deviation : to.mean, p.has_product ? to.dot : to.mean}) {
      add_zero_step(plan, r, n_results * item_bytes(acc));
    }
    return to;
  }
  cut(p);
  p.sums = reserve(p.n_parts * p.n_values() * n_results);
  const int64_t bytes = call.x.desc->n_elements() * item_bytes(p.dtype) * (p.has_product ? 2 : 1);
  static const Operator& table = find_operator("channel_stats");
  add_step(plan, table, p.dtype, std::make_shared<StatsProblem>(p),
           static_cast<double>(bytes) / kBytesPerSecond, op);
  add_plain_step(plan, {Combine{p, to, acc}, p.batch.n},
                 static_cast<double>(n_results * p.n_parts) * 2e-8);
  return to;
}

}  // namespace swath
