// describe of pooling and of sliding reductions.
#include <swath/ops/pooling.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/format.h"
#include "core/operator.h"
#include "ops/common/copy.h"
#include "ops/pooling/compose.h"

namespace swath {
namespace {

// What one thread does per second, for deciding about threads and the GIL; orders of magnitude.
constexpr double kBytesPerSecond = 8e9;

/// A window without an element has no maximum, and no mean of the elements inside.
void check_no_empty_window(const CallSite& site, int axis, const PoolAxis& a) {
  const bool has_wide_gaps = a.dilation > a.in;  // only then can a window straddle the array
  const int64_t step = has_wide_gaps ? 1 : std::max<int64_t>(1, a.out - 1);
  for (int64_t p = 0; p < a.out; p += step) {
    if (a.n_inside(p) > 0) continue;
    site.fail(ErrorCode::param, "padding",
              format("padding leaves window {} on spatial axis {} without an element, needed is at "
                     "least one (length {}, window {}, dilation {})",
                     p, axis, a.in, a.window, a.dilation));
  }
}

int64_t divide_up(int64_t n, int64_t by) { return n <= 0 ? 0 : (n - 1) / by + 1; }

}  // namespace

void trim_window(PoolAxis& a) {
  const int64_t last_tap = a.dilation * (a.window - 1);
  const int64_t first_output = divide_up(a.pad - last_tap, a.stride);
  const int64_t last_output = std::min(a.out - 1, (a.in - 1 + a.pad) / a.stride);
  if (a.in == 0 || first_output > last_output) {
    a.in = 0;
    a.window = 1;
    return;
  }
  const int64_t end = (a.in - 1 + a.pad - first_output * a.stride) / a.dilation + 1;
  const int64_t begin = divide_up(a.pad - last_output * a.stride, a.dilation);
  a.window = std::max<int64_t>(1, std::min(a.window, end) - begin);
  a.pad -= begin * a.dilation;
}

namespace {

/// Whether neither the last pooled axis nor another one has unit stride. The kernels would have to
/// gather every value; reading a copy is faster, and one code path fewer for every dtype.
bool lanes_are_apart(const PoolingProblem& p) {
  return p.n_inner == 1 ? p.width.x_stride != 1 && p.width.in > 1 : p.x_inner_stride != 1;
}

/// Copies the elements that windows see to temporary memory, in the order of x's own, and returns
/// where they are.
ArrayRef copy_densely(PlanImpl& plan, DType dtype, const ArrayRef& x, PoolAxes& axes) {
  for (PoolAxis& a : axes) drop_unit_window(a);
  std::vector<PoolAxis*> order;
  for (PoolAxis& a : axes) order.push_back(&a);
  std::stable_sort(order.begin(), order.end(), [](const PoolAxis* a, const PoolAxis* b) {
    return std::abs(a->x_stride) > std::abs(b->x_stride);
  });
  TensorDesc from;
  from.dtype = dtype;
  from.rank = static_cast<int>(order.size());
  for (int i = 0; i < from.rank; ++i) {
    from.shape[i] = order[i]->stored(order[i]->in);
    from.strides[i] = order[i]->x_stride;
  }
  const TempCopy to = add_temp_copy(plan, from, x);
  for (int i = 0; i < from.rank; ++i) order[i]->x_stride = to.desc.strides[i];
  return to.ref;
}

}  // namespace

void check_no_empty_windows(const CallSite& site, const Windows& windows) {
  for (size_t i = 0; i < windows.pooled.size(); ++i) {
    check_no_empty_window(site, static_cast<int>(i), windows.axes[windows.pooled[i]]);
  }
}

void add_windows(PlanImpl& plan, const CallSite& site, const Operand& x, const Operand& y,
                 Windows windows, const Reduction& reduction) {
  auto& [axes, pooled] = windows;
  const DType dtype = x.desc->dtype;
  const int64_t bytes = item_bytes(dtype) * (x.desc->n_elements() + y.desc->n_elements());
  double n_taps = 1, n_added = static_cast<double>(y.desc->n_elements());
  for (int i : pooled) {
    n_taps *= static_cast<double>(axes[i].window);
    n_added *= static_cast<double>(axes[i].window) / static_cast<double>(axes[i].spread);
  }
  plan.flops += static_cast<int64_t>(n_added);

  PoolingProblem problem;
  problem.op = reduction.op;
  const bool is_mean = reduction.op == PoolOp::mean;
  problem.divides_by_inside = is_mean && !reduction.count_include_pad;
  if (is_mean) problem.divisor = n_taps;
  const bool may_be_empty = reduction.op == PoolOp::sum || (is_mean && reduction.count_include_pad);
  if (!may_be_empty) check_no_empty_windows(site, windows);
  if (y.desc->n_elements() == 0) return;
  for (int i : pooled) trim_window(axes[i]);
  problem.x = x.ref;
  problem.y = y.ref;
  const PoolingProblem without_roles = problem;
  assign_roles(axes, problem);
  if (lanes_are_apart(problem)) {
    problem = without_roles;
    problem.x = copy_densely(plan, dtype, x.ref, axes);
    assign_roles(std::move(axes), problem);
  }
  plan_steps(problem);
  choose_blocks(problem, dtype == DType::f64 ? 8 : 4);
  static const Operator& table = find_operator("pooling");
  add_step(plan, table, dtype, std::make_shared<PoolingProblem>(problem),
           static_cast<double>(bytes) / kBytesPerSecond, site.op);
}

namespace {

Plan make_plan(const CallSite& site, const TensorDesc& x, const TensorDesc& y, Windows windows,
               const Reduction& reduction, const PlanOptions& options) {
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  plan->bytes = item_bytes(x.dtype) * (x.n_elements() + y.n_elements());
  add_windows(*plan, site, {&x, input_ref(0)}, {&y, output_ref(0)}, std::move(windows), reduction);
  return Plan(std::move(plan));
}

PoolAxes plain_axes(const TensorDesc& x) {
  PoolAxes axes(x.rank);
  for (int i = 0; i < x.rank; ++i) {
    axes[i].in = axes[i].out = x.shape[i];
    axes[i].x_stride = x.strides[i];
  }
  return axes;
}

/// Fills the window of one axis and returns its output length.
int64_t set_window(const CallSite& site, PoolAxis& a, int axis, const Window& w,
                   const Padding& padding) {
  const auto pad = resolve_padding(padding, axis, a.in, w);
  a.window = w.kernel;
  a.stride = w.stride;
  a.dilation = w.dilation;
  a.pad = pad[0];
  a.out = output_length(site, axis, a.in, pad, w);
  return a.out;
}

void set_output_strides(PoolAxes& axes, const TensorDesc& y) {
  for (int i = 0; i < y.rank; ++i) axes[i].y_stride = y.strides[i];
}

}  // namespace

Windows pooling_windows(const CallSite& site, const TensorDesc& x, const PoolingParams& params,
                        std::array<int64_t, kMaxRank>& shape) {
  check_floating(site, x);
  const AxisMap map = map_axes(site, x, params.ndim, params.layout, "x");
  check_window(site, params.ndim, params.window, "window", params.stride, params.dilation,
               params.padding);
  Windows windows{plain_axes(x), {}};
  shape = x.shape;
  for (int i = 0; i < params.ndim; ++i) {
    const int at = map.spatial[i];
    shape[at] =
        set_window(site, windows.axes[at], i,
                   {params.window[i], params.stride[i], params.dilation[i]}, params.padding);
    windows.pooled.push_back(at);
  }
  return windows;
}

Windows reduce_windows(const CallSite& site, const TensorDesc& x, int axis, int64_t window,
                       const Padding& padding, std::array<int64_t, kMaxRank>& shape) {
  check_floating(site, x);
  if (x.rank == 0) site.fail(ErrorCode::shape, "x", "x has no axes, needed is at least one");
  if (axis < -x.rank || axis >= x.rank) {
    site.fail(ErrorCode::param, "axis",
              format("axis is {}, x has {} axes {}", axis, x.rank, shape_text(x)));
  }
  if (axis < 0) axis += x.rank;
  check_window(site, 1, {window, 1, 1}, "window", {1, 1, 1}, {1, 1, 1}, padding);
  Windows windows{plain_axes(x), {axis}};
  shape = x.shape;
  shape[axis] = set_window(site, windows.axes[axis], 0, {window, 1, 1}, padding);
  return windows;
}

void add_pooling(PlanImpl& plan, const Operand& x, const Operand& y, const PoolingParams& params) {
  const CallSite site{params.name};
  std::array<int64_t, kMaxRank> shape{};
  Windows windows = pooling_windows(site, *x.desc, params, shape);
  set_output_strides(windows.axes, *y.desc);
  add_windows(plan, site, x, y, std::move(windows), {params.op, params.count_include_pad});
}

Plan plan_pooling(const TensorDesc& x, const PoolingParams& params, const PlanOptions& options) {
  const CallSite site{params.name};
  std::array<int64_t, kMaxRank> shape{};
  Windows windows = pooling_windows(site, x, params, shape);
  const TensorDesc y = output_desc(site, x, shape.data(), x.rank, options.out);
  set_output_strides(windows.axes, y);
  return make_plan(site, x, y, std::move(windows), {params.op, params.count_include_pad}, options);
}

Plan plan_sliding_reduce(const TensorDesc& x, int axis, int64_t window, PoolOp op,
                         const Padding& padding, const PlanOptions& options) {
  static const std::string name = "sliding_reduce";
  const CallSite site{name};
  std::array<int64_t, kMaxRank> shape{};
  Windows windows = reduce_windows(site, x, axis, window, padding, shape);
  const TensorDesc y = output_desc(site, x, shape.data(), x.rank, options.out);
  set_output_strides(windows.axes, y);
  return make_plan(site, x, y, std::move(windows), {op, true}, options);
}

}  // namespace swath
