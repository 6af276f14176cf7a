// Along which axis vectors lie, and how the work is cut into tasks: by the shape of one sample.
#include <algorithm>
#include <memory>

#include "ops/common/scalar.h"
#include "ops/dynamic_conv/call.h"

namespace swath {
namespace {

constexpr double kFlopsPerSecond = 30e9, kBytesPerSecond = 8e9;  // orders of magnitude
constexpr double kSecondsPerExp = 1e-9;
/// A lane per channel pays from half of a vector of the narrowest cluster on; below, channels that
/// lie last are gathered into rows.
constexpr int64_t kLeastChannels = 4;
constexpr int64_t kCols = 128;                 // of one tile of taps
constexpr int64_t kTileBytes = 64 << 10;       // of tiles of taps
constexpr int64_t kWindowBytes = 24 << 10;     // of the window of eight members
constexpr int64_t kPositionsBytes = 64 << 10;  // of a block of positions of all channels
constexpr int64_t kMostRows = 16;
constexpr int64_t kPlanePositions = 784;  // of one task of a narrow plane

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// Equal blocks of about `target`, whole vectors each.
int64_t even_block(int64_t n, int64_t target, int64_t unit) {
  const int64_t n_blocks = std::max<int64_t>(1, (4 * n + 5 * target - 1) / (5 * target));
  return std::max(unit, round_up((n + n_blocks - 1) / n_blocks, unit));
}

void choose_lanes(DynamicProblem& p) {
  const bool has_members = p.in.m == 1 && p.n_members > 1;
  const bool has_groups = p.in.g == 1 && p.n_groups > 1;
  const int64_t n_lanes = has_members ? p.n_members : has_groups ? p.n_groups : 0;
  const bool has_cols = p.in.w == 1 && p.cols().x > 1;
  p.along_channels = n_lanes >= kLeastChannels && !has_cols;
  p.lanes_are_groups = p.along_channels && !has_members;
}

/// The gradient of the taps: not through a softmax or of shared taps. Sums along vectors of members
/// pay from 32 members on: below, their shuffles cost as much as turning x, dy and the result.
bool may_lie_along_channels(const DynamicProblem& p) {
  constexpr int64_t kLeastMembers = 32;
  if (p.role != DynamicRole::taps_grad) return p.role != DynamicRole::softmax;
  const bool has_channels = p.in.m == p.dy.m && p.in.g == p.dy.g && p.out.m == 1;
  const bool has_groups = p.in.g == 1 && p.n_groups > 1 && (p.in.m != 1 || p.n_members == 1);
  return has_channels && !p.softmax && p.n_partials == 0 &&
         (has_groups || p.n_members >= kLeastMembers);
}

/// Rows of outputs whose windows overlap may share a copy; with a dilation they hardly do.
int64_t rows_for(const DynamicProblem& p, const AxisPhase& h, int64_t row_bytes, int64_t most) {
  if (p.rows().dilation > 1) return 1;
  const int64_t rows = most / std::max<int64_t>(1, row_bytes) - h.span();
  return std::clamp<int64_t>(rows / h.in_stride, 1, std::min(kMostRows, h.n));
}

void cut(DynamicProblem& p) {
  const AxisPhase h = axis_phase(p, 0, 0), w = axis_phase(p, 1, 0);
  const int64_t acc = item_bytes(accumulator_of(p.dtype)), n_taps = p.n_taps();
  if (p.along_channels) {
    p.members_block = 8;
    const int64_t position_bytes =
        acc * (p.lanes_are_groups ? p.n_members * p.n_groups : p.n_members);
    p.cols_block = std::min(
        round_up(w.n, 8), std::clamp<int64_t>(kPositionsBytes / position_bytes / 8 * 8, 16, kCols));
    const int64_t row_bytes = (p.cols_block * w.in_stride + w.span()) * position_bytes;
    p.rows_block = rows_for(p, h, row_bytes, 4 * kPositionsBytes);
    return;
  }
  int64_t target = kCols;
  while (target > 32 && n_taps * target * acc > 2 * kTileBytes) target /= 2;
  p.cols_block = even_block(w.n, target, 16);
  const int64_t line = round_up(p.cols_block + w.span(), 16) * std::min(w.in_stride, w.span());
  p.rows_block = std::min(rows_for(p, h, 8 * line * acc, kWindowBytes + 8 * line * acc * h.span()),
                          std::max<int64_t>(1, kTileBytes / (n_taps * p.cols_block * acc)));
  const int64_t member_bytes = (p.rows_block * h.in_stride + h.span()) * line * acc;
  p.positions_block = even_block(h.n * w.n, kPlanePositions, 16);
  p.members_block = std::clamp<int64_t>(kWindowBytes / member_bytes, 8, 64);
}

double seconds_of(const DynamicProblem& p) {
  const double positions = static_cast<double>(p.n_batch) * p.n_groups * p.rows().y * p.cols().y;
  const double products = positions * p.n_members * p.n_taps();
  const double taps = p.is_packed ? 0 : positions * p.n_taps();
  const double values = 2 * positions * p.n_members + taps;
  const double exps = p.softmax ? taps * kSecondsPerExp : 0;
  if (p.role == DynamicRole::softmax) return exps + taps * 8 / kBytesPerSecond;
  return exps +
         std::max(2 * products / kFlopsPerSecond, values * item_bytes(p.dtype) / kBytesPerSecond);
}

}  // namespace

void add_dynamic_step(PlanImpl& plan, DynamicProblem problem, const std::string& op) {
  if (may_lie_along_channels(problem)) choose_lanes(problem);
  cut(problem);
  static const Operator& table = find_operator("dynamic_conv");
  add_step(plan, table, problem.dtype, std::make_shared<DynamicProblem>(problem),
           seconds_of(problem), op);
}

}  // namespace swath
