// How long windows are made of shorter ones.
#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>

#include "ops/pooling/roles.h"

namespace swath {
namespace {

/// Cost of storing and finding an intermediate row, in terms of an addition each.
constexpr double kStoreCost = 2;
/// Windows up to here consider every radix; above, the largest does.
constexpr int64_t kExhaustive = 4096;

/// `parts` windows of `part` taps, and `rest` single taps.
struct Split {
  int64_t part = 1, parts = 1, rest = 0;
  double cost = 0;  // per output, of this step and all before it
};

class StepPlanner {
 public:
  explicit StepPlanner(bool may_overlap) : may_overlap_(may_overlap) {}

  Split split_by(int64_t window, int64_t parts) const {
    if (may_overlap_) return {(window + parts - 1) / parts, parts, 0, 0};
    return {window / parts, parts, window % parts, 0};
  }

  /// The cheapest way to a window at every position, from the single elements.
  const Split& dense(int64_t window) {
    if (const auto known = known_.find(window); known != known_.end()) return known->second;
    Split best{1, window, 0, static_cast<double>(window) + kStoreCost};
    const int64_t first = window > kExhaustive ? kMaxPoolPrev : 2;
    for (int64_t parts = first; parts <= kMaxPoolPrev && parts < window; ++parts) {
      Split s = split_by(window, parts);
      if (s.part < 2) continue;
      s.cost = static_cast<double>(s.parts + s.rest) + kStoreCost + dense(s.part).cost;
      if (s.cost < best.cost) best = s;
    }
    return known_.emplace(window, best).first->second;
  }

  /// The same for the outputs of one axis only, which may be few.
  Split last(const PoolAxis& a) {
    const auto n_out = static_cast<double>(a.out);
    Split best{1, a.window, 0, n_out * static_cast<double>(a.window)};
    if (a.window <= 4) return best;
    for (int64_t parts = 2; parts <= kMaxPoolPrev && parts < a.window; ++parts) {
      Split s = split_by(a.window, parts);
      if (s.part < 2) continue;
      const double positions = static_cast<double>((a.out - 1) * a.stride) + 1 +
                               static_cast<double>(a.dilation * (a.window - s.part));
      s.cost = n_out * static_cast<double>(s.parts + s.rest) + positions * dense(s.part).cost;
      if (s.cost < best.cost) best = s;
    }
    return best;
  }

 private:
  bool may_overlap_;
  std::unordered_map<int64_t, Split> known_;
};

void plan_axis(PoolAxis& a, bool may_overlap) {
  a.n_steps = 1;
  a.steps[0] = {.size = a.window, .n_raw = a.window};
  if (a.window <= 4 || a.by_groups) return;
  StepPlanner planner(may_overlap);
  std::array<PoolStep, kMaxPoolSteps> reversed;
  int n = 0;
  int64_t size = a.window;
  for (Split s = planner.last(a);; s = planner.dense(size)) {
    if (n == kMaxPoolSteps) return;  // the single step above serves
    const bool is_first = s.part == 1;
    reversed[n++] = is_first ? PoolStep{.size = size, .n_raw = size}
                             : PoolStep{.size = size,
                                        .prev_size = s.part,
                                        .n_raw = s.rest,
                                        .n_prev = static_cast<int32_t>(s.parts)};
    if (is_first) break;
    size = s.part;
  }
  a.n_steps = n;
  std::reverse_copy(reversed.begin(), reversed.begin() + n, a.steps);
}

/// Groups cost three operations per output and need no more than some outputs of memory. Their sums
/// run through a whole window in sequence.
bool fits_groups(const PoolAxis& a) {
  constexpr int64_t kShort = 8, kLong = 512;
  return a.stride == 1 && a.dilation == 1 && a.window >= kShort && a.window <= kLong &&
         a.out >= a.window && a.spread == 1;
}

}  // namespace

void plan_steps(PoolingProblem& problem) {
  const bool may_overlap = problem.op == PoolOp::max || problem.op == PoolOp::min;
  PoolAxis& h = problem.height;
  h.by_groups = fits_groups(h);
  for (PoolAxis* a : {&problem.depth, &problem.height, &problem.width}) plan_axis(*a, may_overlap);
  // Vectors over outputs read `window` values each, strided ones as many as there are lanes;
  // sharing one window among the lanes costs a reduction tree per output.
  PoolAxis& w = problem.width;
  if (!problem.has_width || problem.n_inner != 1 || w.dilation != 1 || w.window < 4) return;
  if (w.spread > 1) return;
  constexpr int64_t kVector = 16, kTree = 10;
  const int64_t loads = w.stride == 1 ? 1 : w.stride == 2 ? 3 : kVector;
  const int64_t by_outputs = (w.out + kVector - 1) / kVector * loads * w.window;
  const int64_t by_lanes = w.out * (kTree + 2 * (w.window + kVector - 1) / kVector);
  if (w.n_steps == 1 && by_lanes < by_outputs) problem.reduces_lanes = true;
}

}  // namespace swath
