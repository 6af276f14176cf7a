#include "ops/pooling_backward/roles.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace swath {
namespace {

/// A row of a box, in elements: a few of them fit the first-level cache.
constexpr int64_t kRowElements = 2048;
/// Elements of the inner axis that are worth a task's own walk over the pixels: two cache lines.
constexpr int64_t kInner = 32;
/// The box and the winners of one task; most second-level caches hold them (four arrays of it).
constexpr int64_t kBoxElements = 16384;
/// Neighbouring tasks both read what lies between them: blocks are several windows long.
constexpr int64_t kWindowsPerBlock = 8;

using Axes = std::vector<ExtremeAxis>;

ExtremeAxis make_axis(PoolAxis a, int64_t dy_stride, int64_t dx_stride) {
  trim_window(a);
  if (a.pad < 0) {  // the box begins at the first window or before: one of the trimmed taps stays
    a.pad += a.dilation;
    ++a.window;
  }
  // A single window has no neighbour, whatever the stride.
  const int64_t stride = a.out > 1 ? a.stride : 1;
  return {.in = a.in,
          .out = a.out,
          .window = a.window,
          .stride = stride,
          .dilation = a.window > 1 ? a.dilation : 1,
          .pad = a.pad,
          .x_stride = a.x_stride,
          .dy_stride = dy_stride,
          .dx_stride = dx_stride};
}

bool is_walk_of(const ExtremeAxis& outer, const ExtremeAxis& inner) {
  return outer.x_stride == inner.in * inner.x_stride &&
         outer.dy_stride == inner.in * inner.dy_stride &&
         outer.dx_stride == inner.in * inner.dx_stride;
}

/// The axes without a window, smallest stride of x first; neighbours that are one walk are one.
Axes plain_axes(const Windows& windows, const TensorDesc& dy, const TensorDesc& dx) {
  Axes plain;
  for (int i = 0; i < dy.rank; ++i) {
    if (std::count(windows.pooled.begin(), windows.pooled.end(), i) > 0) continue;
    if (windows.axes[i].in != 1) {
      plain.push_back(make_axis(windows.axes[i], dy.strides[i], dx.strides[i]));
    }
  }
  std::stable_sort(plain.begin(), plain.end(), [](const ExtremeAxis& a, const ExtremeAxis& b) {
    return std::abs(a.x_stride) < std::abs(b.x_stride);
  });
  for (size_t i = 0; i + 1 < plain.size();) {
    if (is_walk_of(plain[i + 1], plain[i])) {
      plain[i].in = plain[i].out = plain[i].in * plain[i + 1].in;
      plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    } else {
      ++i;
    }
  }
  return plain;
}

ExtremeAxis take_first(Axes& axes) {
  const ExtremeAxis a = axes.front();
  axes.erase(axes.begin());
  return a;
}

int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

/// Blocks of nearly equal length of about `most` elements, and of several windows.
int64_t choose_block(const ExtremeAxis& a, int64_t most) {
  const int64_t least = std::max(a.stride, kWindowsPerBlock * a.span());
  const int64_t block = std::clamp<int64_t>(std::max(most, least), 1, a.in);
  return divide_up(a.in, divide_up(a.in, block));
}

void choose_blocks(ExtremeProblem& p) {
  auto& [depth, height, width] = p.axis;
  p.inner_block = p.n_inner;
  if (p.n_inner * width.in > kRowElements) {
    const int64_t n_blocks = divide_up(p.n_inner, std::max(kInner, kRowElements / width.in));
    p.inner_block = std::min(p.n_inner, divide_up(divide_up(p.n_inner, n_blocks), 16) * 16);
  }
  width.block = width.in;
  if (p.inner_block * width.in > 4 * kRowElements) {
    width.block = choose_block(width, 2 * kRowElements / p.inner_block);
  }
  const int64_t row = width.block * p.inner_block;
  height.block = choose_block(height, kBoxElements / row);
  depth.block = choose_block(depth, kBoxElements / (row * height.block));
}

}  // namespace

ExtremeProblem make_extreme_problem(const Windows& windows, const TensorDesc& dy,
                                    const TensorDesc& dx) {
  ExtremeProblem p;
  const auto n_pooled = static_cast<int>(windows.pooled.size());
  for (int i = 0; i < n_pooled; ++i) {
    const int at = windows.pooled[i];
    p.axis[3 - n_pooled + i] = make_axis(windows.axes[at], dy.strides[at], dx.strides[at]);
  }
  Axes plain = plain_axes(windows, dy, dx);
  if (!plain.empty() && std::abs(plain[0].x_stride) < std::abs(p.axis[2].x_stride)) {
    const ExtremeAxis inner = take_first(plain);
    p.n_inner = inner.in;
    p.x_inner_stride = inner.x_stride;
    p.dy_inner_stride = inner.dy_stride;
    p.dx_inner_stride = inner.dx_stride;
  }
  for (int i = 2 - n_pooled; i >= 0 && !plain.empty(); --i) p.axis[i] = take_first(plain);
  for (auto a = plain.rbegin(); a != plain.rend(); ++a) {
    p.outer[p.n_outer++] = {a->in, a->x_stride, a->dy_stride, a->dx_stride};
  }
  choose_blocks(p);
  return p;
}

}  // namespace swath
