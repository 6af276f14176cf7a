// describe of space_to_depth and depth_to_space.
#include <swath/ops/space_to_depth.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/format.h"
#include "core/operator.h"
#include "ops/common/geometry.h"
#include "ops/space_to_depth/problem.h"

namespace swath {
namespace {

// What one thread copies per second, for deciding about threads and the GIL; an order of magnitude.
constexpr double kBytesPerSecond = 8e9;
/// Beyond this the product of block^2 and the channels could overflow.
constexpr int64_t kMaxBlock = 32768;

using Axes = std::vector<BlockAxis>;

/// Two axes that both arrays walk along as one become one; axes of one element go.
void merge(Axes& axes) {
  std::erase_if(axes, [](const BlockAxis& a) { return a.n == 1; });
  for (size_t i = 0; i < axes.size(); ++i) {
    for (size_t j = 0; j < axes.size(); ++j) {
      const BlockAxis inner = axes[j];
      if (i == j || axes[i].x_stride != inner.n * inner.x_stride ||
          axes[i].y_stride != inner.n * inner.y_stride) {
        continue;
      }
      axes[i] = {axes[i].n * inner.n, inner.x_stride, inner.y_stride};
      axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(j));
      return merge(axes);
    }
  }
}

/// Removes and returns the axis of smallest stride of one array, the longer one of equals.
BlockAxis take_smallest(Axes& axes, int64_t BlockAxis::* stride) {
  if (axes.empty()) return {};
  const auto is_before = [stride](const BlockAxis& a, const BlockAxis& b) {
    const int64_t sa = std::abs(a.*stride), sb = std::abs(b.*stride);
    return sa != sb ? sa < sb : a.n > b.n;
  };
  const auto at = std::min_element(axes.begin(), axes.end(), is_before);
  const BlockAxis axis = *at;
  axes.erase(at);
  return axis;
}

SpaceToDepthProblem make_problem(Axes axes) {
  merge(axes);
  SpaceToDepthProblem p;
  p.run = take_smallest(axes, &BlockAxis::y_stride);
  p.across = take_smallest(axes, &BlockAxis::x_stride);
  if (p.across.n > p.run.n && p.run.x_stride != p.run.y_stride) std::swap(p.run, p.across);
  std::stable_sort(axes.begin(), axes.end(), [](const BlockAxis& a, const BlockAxis& b) {
    return std::abs(a.y_stride) > std::abs(b.y_stride);
  });
  for (const BlockAxis& a : axes) p.outer[p.n_outer++] = a;
  return p;
}

struct Offsets {
  int64_t channel, row, column;  // of one step of c, i and j in the channel index of the deep array
};
Offsets channel_offsets(BlockOrder order, int64_t block, int64_t n_channels) {
  switch (order) {
    case BlockOrder::torch:
      return {block * block, block, 1};
    case BlockOrder::tf:
      return {1, block * n_channels, n_channels};
    case BlockOrder::spd:
      return {1, n_channels, block * n_channels};
  }
  return {};
}

void check_block(const CallSite& site, const TensorDesc& x, const AxisMap& map,
                 const SpaceToDepthParams& params) {
  const int64_t b = params.block;
  if (b < 1 || b > kMaxBlock) {
    site.fail(ErrorCode::param, "block",
              format("block is {}, needed is a number from 1 to {}", b, kMaxBlock));
  }
  if (params.inverse) {
    if (x.shape[map.c] % (b * b) == 0) return;
    site.fail(ErrorCode::shape, "x",
              format("x has {} channels, needed is a multiple of block * block = {} (x.shape={})",
                     x.shape[map.c], b * b, shape_text(x)));
  }
  for (int i = 0; i < 2; ++i) {
    const int64_t n = x.shape[map.spatial[i]];
    if (n % b == 0) continue;
    site.fail(ErrorCode::shape, "x",
              format("x has {} {}, needed is a multiple of block = {} (x.shape={})", n,
                     i == 0 ? "rows" : "columns", b, shape_text(x)));
  }
}

/// Checks the call and returns the result's shape.
std::array<int64_t, kMaxRank> result_shape(const CallSite& site, const TensorDesc& x,
                                           const AxisMap& map, const SpaceToDepthParams& params) {
  check_block(site, x, map, params);
  const int64_t b = params.block;
  std::array<int64_t, kMaxRank> shape = x.shape;
  int64_t& n_channels = shape[map.c];
  n_channels = params.inverse ? n_channels / (b * b) : n_channels * b * b;
  for (int at : {map.spatial[0], map.spatial[1]}) {
    shape[at] = params.inverse ? shape[at] * b : shape[at] / b;
  }
  return shape;
}

}  // namespace

Plan plan_space_to_depth(const TensorDesc& x, const SpaceToDepthParams& params,
                         const PlanOptions& options) {
  const CallSite site{params.name};
  const AxisMap map = map_axes(site, x, 2, params.layout, "x");
  const std::array<int64_t, kMaxRank> shape = result_shape(site, x, map, params);
  const int64_t b = params.block;
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  const TensorDesc y = output_desc(site, x, shape.data(), x.rank, options.out);
  plan->outputs = {y};
  plan->bytes = item_bytes(x.dtype) * (x.n_elements() + y.n_elements());
  if (y.n_elements() == 0) return Plan(std::move(plan));

  const TensorDesc& space = params.inverse ? y : x;
  const TensorDesc& deep = params.inverse ? x : y;
  const int64_t n_space_channels = space.shape[map.c];
  const Offsets in_channel = channel_offsets(params.order, b, n_space_channels);
  const int64_t deep_channel = deep.strides[map.c];
  Axes axes;
  const auto add = [&](int64_t n, int64_t space_stride, int64_t deep_stride) {
    axes.push_back(params.inverse ? BlockAxis{n, deep_stride, space_stride}
                                  : BlockAxis{n, space_stride, deep_stride});
  };
  if (map.n >= 0) add(x.shape[map.n], space.strides[map.n], deep.strides[map.n]);
  add(n_space_channels, space.strides[map.c], in_channel.channel * deep_channel);
  for (int i = 0; i < 2; ++i) {
    const int at = map.spatial[i];
    add(deep.shape[at], space.strides[at] * b, deep.strides[at]);
    add(b, space.strides[at], (i == 0 ? in_channel.row : in_channel.column) * deep_channel);
  }
  static const Operator& table = find_operator("space_to_depth");
  add_step(*plan, table, x.dtype,
           std::make_shared<SpaceToDepthProblem>(make_problem(std::move(axes))),
           static_cast<double>(plan->bytes) / kBytesPerSecond, site.op);
  return Plan(std::move(plan));
}

Plan plan_space_to_depth_backward(const TensorDesc& dy, const TensorDesc& x,
                                  const SpaceToDepthParams& params, const PlanOptions& options) {
  const CallSite site{params.name};
  const AxisMap map = map_axes(site, x, 2, params.layout, "x");
  check_gradient(site, dy, x, result_shape(site, x, map, params));
  SpaceToDepthParams back = params;
  back.inverse = !params.inverse;
  return plan_space_to_depth(dy, back, options);
}

}  // namespace swath
