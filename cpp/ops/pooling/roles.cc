#include "ops/pooling/roles.h"

#include <algorithm>
#include <cstdlib>

namespace swath {
namespace {

/// Below this an inner axis is too short for vectors of its own; it shares them with the width.
constexpr int64_t kLongInner = 16;
/// A row in float32 that stays in the first-level cache beside its output.
constexpr int64_t kRowElements = 4096;
/// Rows of up to so many outputs cost more to begin than to finish.
constexpr int64_t kShortRow = 128;
/// Intermediate rows of one task; most second-level caches hold this.
constexpr int64_t kScratchBytes = 192 * 1024;
/// Outputs of one task, so that handing out tasks costs nothing.
constexpr int64_t kTaskElements = 16384;

bool is_plain(const PoolAxis& a) {
  return a.window == 1 && a.stride == 1 && a.pad == 0 && a.in == a.out && a.spread == 1;
}

bool has_smaller_stride(const PoolAxis& a, const PoolAxis& b) {
  return std::abs(a.x_stride) < std::abs(b.x_stride);
}

/// `axes` in order of stride, smallest first: neighbours that are one walk become one axis.
void merge_plain(PoolAxes& axes) {
  for (size_t i = 0; i + 1 < axes.size();) {
    PoolAxis& inner = axes[i];
    const PoolAxis& outer = axes[i + 1];
    if (outer.x_stride == inner.in * inner.x_stride &&
        outer.y_stride == inner.out * inner.y_stride) {
      inner.in = inner.out = inner.in * outer.in;
      axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    } else {
      ++i;
    }
  }
}

/// Whether the only window is the whole axis.
bool is_whole(const PoolAxis& a) {
  return a.out == 1 && a.pad == 0 && a.dilation == 1 && a.window == a.in && a.spread == 1;
}

/// Pooling over whole neighbouring axes is pooling over one axis.
void merge_whole(PoolAxes& axes) {
  for (size_t i = 0; i + 1 < axes.size();) {
    const PoolAxis& outer = axes[i + 1];
    if (is_whole(axes[i]) && is_whole(outer) && outer.x_stride == axes[i].in * axes[i].x_stride) {
      axes[i].in = axes[i].window = axes[i].in * outer.in;
      axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    } else {
      ++i;
    }
  }
}

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

/// Blocks of nearly equal length of at most `most` outputs.
int64_t even_block(int64_t n, int64_t most) {
  return divide_up(n, divide_up(n, std::clamp<int64_t>(most, 1, n)));
}

/// Most outputs whose window reaches over at most n elements, but enough of them that the overlap
/// of neighbouring blocks stays the smaller part.
int64_t outputs_within(const PoolAxis& a, int64_t n, int64_t overlap_share) {
  const int64_t overlap = std::max<int64_t>(0, a.reach(1) - a.stride);
  const int64_t fitting = n < a.reach(1) ? 1 : (n - a.reach(1)) / a.stride + 1;
  return std::max(fitting, divide_up(overlap_share * overlap, a.stride));
}

}  // namespace

void drop_unit_window(PoolAxis& a) {
  if (a.window != 1 || a.pad != 0 || (a.out - 1) * a.stride >= a.in || a.spread != 1) return;
  a.x_stride *= a.stride;
  a.in = a.out;
  a.stride = a.dilation = 1;
}

void assign_roles(PoolAxes axes, PoolingProblem& problem) {
  PoolAxes plain, pooled;
  for (PoolAxis& a : axes) {
    drop_unit_window(a);
    if (!is_plain(a)) {
      pooled.push_back(a);
    } else if (a.in != 1) {
      plain.push_back(a);
    }
  }
  std::stable_sort(plain.begin(), plain.end(), has_smaller_stride);
  std::stable_sort(pooled.begin(), pooled.end(), has_smaller_stride);
  merge_plain(plain);
  merge_whole(pooled);
  const auto unit =
      std::find_if(plain.begin(), plain.end(), [](const PoolAxis& a) { return a.x_stride == 1; });
  if (unit != plain.end()) {
    problem.n_inner = unit->in;
    problem.x_inner_stride = unit->x_stride;
    problem.y_inner_stride = unit->y_stride;
    plain.erase(unit);
  } else if (pooled.empty() && !plain.empty()) {
    pooled.push_back(plain.front());
    plain.erase(plain.begin());
  }
  // With one pooled axis and a long inner one the width's row buffer would only be a detour.
  problem.has_width = !(problem.n_inner >= kLongInner && pooled.size() <= 1);
  PoolAxis* const roles[] = {&problem.width, &problem.height, &problem.depth};
  PoolAxis* const* role = problem.has_width ? roles : roles + 1;
  for (const PoolAxis& a : pooled) **role++ = a;
  if (problem.has_width && pooled.size() == 1 && !plain.empty()) {
    problem.height = plain.front();  // so that rows without a second window come many at a time
    plain.erase(plain.begin());
  }
  if (!plain.empty()) {
    problem.planes = {plain.front().in, plain.front().x_stride, plain.front().y_stride};
    plain.erase(plain.begin());
  }
  for (auto a = plain.rbegin(); a != plain.rend(); ++a) {
    problem.outer[problem.n_outer++] = {a->in, a->x_stride, a->y_stride};
  }
}

namespace {

/// Short rows go through the width many at a time, from several planes if those are small.
void choose_passes(PoolingProblem& problem) {
  const PoolAxis &w = problem.width, &h = problem.height;
  problem.row_columns = round_up(w.reach(w.block), w.stride);
  if (h.by_groups) problem.rows_per_pass = std::min(h.window, h.block);
  const bool is_long = w.block < w.out || w.out > kShortRow;
  if (!problem.has_width || problem.n_inner > 1 || is_long || h.by_groups) return;
  const int64_t n_rows = std::max<int64_t>(1, kRowElements / problem.row_columns);
  problem.rows_per_fold = problem.rows_per_pass = std::min(n_rows, h.block);
  if (!problem.depth.is_absent() || h.block < h.out || n_rows < 2 * h.out) return;
  problem.plane_block = even_block(problem.planes.n, n_rows / h.out);
  problem.rows_per_fold = problem.rows_per_pass = problem.plane_block * h.out;
}

}  // namespace

void choose_blocks(PoolingProblem& problem, int64_t acc_bytes) {
  PoolAxis &d = problem.depth, &h = problem.height, &w = problem.width;
  const int64_t budget = kScratchBytes / acc_bytes;
  const bool has_depth = !d.is_absent();
  const int64_t n_slabs = has_depth ? d.all_ring_rows() + 1 : 0;
  const int64_t n_rows =
      (h.by_groups ? h.window : h.all_ring_rows()) + n_slabs * h.reach(std::min<int64_t>(h.out, 4));
  const int64_t most = std::clamp<int64_t>(budget / (n_rows + 1), 256, kRowElements);

  problem.inner_block = problem.n_inner;
  // Whole pixels if a few of them fit, since those of a row are one run in memory.
  const int64_t n_few = problem.has_width ? w.reach(std::min<int64_t>(w.out, 4)) : 1;
  if (problem.n_inner * n_few > 2 * most) {
    const int64_t chunk = std::max<int64_t>(128, round_up(most / n_few, kLongInner));
    problem.inner_block = std::min(problem.n_inner, chunk);
  }
  w.block = w.out;
  if (problem.inner_block * w.reach(w.out) > most) {
    w.block = even_block(w.out, outputs_within(w, most / problem.inner_block, 2));
    if (w.block > kLongInner) w.block = std::min(w.out, round_up(w.block, kLongInner));
  }
  const int64_t row = w.reach(w.block) * problem.inner_block;
  const int64_t by_task = divide_up(kTaskElements, w.block * problem.inner_block);
  if (!has_depth) {
    const int64_t overlap = h.n_steps > 1 ? 4 * h.reach(1) / h.stride : 0;
    h.block = even_block(h.out, std::max(by_task, overlap));
    if (h.by_groups) h.block = std::min(h.out, round_up(h.block, h.window));
    return choose_passes(problem);
  }
  h.block = even_block(h.out, outputs_within(h, budget / (n_slabs * row), 2));
  const int64_t overlap = d.n_steps > 1 ? 4 * d.reach(1) / d.stride : 0;
  d.block = even_block(d.out, std::max(divide_up(by_task, h.block), overlap));
  choose_passes(problem);
}

}  // namespace swath
