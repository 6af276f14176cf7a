// describe of the backward of pooling and of sliding reductions.
#include <memory>
#include <numeric>

#include <swath/ops/pooling.h>

#include "ops/pooling/compose.h"
#include "ops/pooling_backward/roles.h"
#include "ops/pooling_backward/scale.h"

namespace swath {
namespace {

// What one thread reads and writes per second, for deciding about threads and the GIL; an order of
// magnitude.
constexpr double kBytesPerSecond = 4e9;

/// One checked call; `windows` are the forward's.
struct BackwardCall {
  const CallSite& site;
  const TensorDesc &dy, &x;
  Windows windows;
  Reduction reduction;
  TensorDesc dx;
};

/// The axis of the adjoint: windows over dy, whose elements stand a stride apart. Its window begins
/// as far before the element as the forward's reaches behind its output.
PoolAxis adjoint_axis(const PoolAxis& a, int64_t dy_stride, int64_t dx_stride) {
  PoolAxis b;
  b.spread = a.out > 1 ? a.stride : 1;
  b.spread_period = b.spread / std::gcd(b.spread, a.dilation);
  b.in = a.out > 0 ? (a.out - 1) * b.spread + 1 : 0;
  b.out = a.in;
  b.window = a.window;
  b.dilation = a.dilation;
  b.pad = a.dilation * (a.window - 1) - a.pad;
  b.x_stride = dy_stride;
  b.y_stride = dx_stride;
  return b;
}

/// dy times window / elements inside in temporary memory; dy itself if all elements are inside.
/// The factor is 1 but near the border, where a 16-bit value is rounded once more.
Operand add_scaled_dy(PlanImpl& plan, const BackwardCall& call, TensorDesc& scaled) {
  const Operand dy{&call.dy, input_ref(0)};
  ScaleProblem scale{.x = call.dy, .y = {}, .x_ref = dy.ref, .y_ref = {}, .factor = {}};
  bool is_one = true;
  for (int i : call.windows.pooled) {
    const PoolAxis& a = call.windows.axes[i];
    for (int64_t p = 0; p < a.out; ++p) {
      const int64_t n_inside = a.n_inside(p);
      is_one &= n_inside == a.window;
      scale.factor[i].push_back(static_cast<double>(a.window) / static_cast<double>(n_inside));
    }
  }
  if (is_one) return dy;
  scaled = contiguous_desc(call.dy.dtype, call.dy.shape.data(), call.dy.rank);
  scale.y = scaled;
  scale.y_ref = reserve_temp(plan, scaled.n_elements() * item_bytes(scaled.dtype));
  const Operand result{&scaled, scale.y_ref};
  add_scale_step(plan, std::move(scale));
  return result;
}

/// Means and sums: windowed sums of dy.
void add_spread_sums(PlanImpl& plan, const BackwardCall& call) {
  const bool by_inside = call.reduction.op == PoolOp::mean && !call.reduction.count_include_pad;
  TensorDesc scaled;
  Operand dy{&call.dy, input_ref(0)};
  if (by_inside) {
    check_no_empty_windows(call.site, call.windows);
    if (call.dx.n_elements() > 0) dy = add_scaled_dy(plan, call, scaled);
  }
  Windows adjoint = call.windows;
  for (int i = 0; i < dy.desc->rank; ++i) {
    PoolAxis& a = adjoint.axes[i];
    a.x_stride = dy.desc->strides[i];
    a.y_stride = call.dx.strides[i];
  }
  for (int i : adjoint.pooled) {
    PoolAxis& a = adjoint.axes[i];
    a = adjoint_axis(a, a.x_stride, a.y_stride);
  }
  const Operand dx{&call.dx, output_ref(0)};
  add_windows(plan, call.site, dy, dx, std::move(adjoint), {call.reduction.op, true});
}

/// Maxima and minima: a comparison per tap, and an addition per window.
void add_extremes(PlanImpl& plan, const BackwardCall& call) {
  check_no_empty_windows(call.site, call.windows);
  double n_compared = static_cast<double>(call.dy.n_elements());
  for (int i : call.windows.pooled) n_compared *= static_cast<double>(call.windows.axes[i].window);
  plan.flops += static_cast<int64_t>(n_compared) + call.dy.n_elements();
  if (call.dx.n_elements() == 0) return;
  ExtremeProblem problem = make_extreme_problem(call.windows, call.dy, call.dx);
  problem.is_min = call.reduction.op == PoolOp::min;
  static const Operator& table = find_operator("pooling_backward");
  add_step(plan, table, call.x.dtype, std::make_shared<ExtremeProblem>(problem),
           static_cast<double>(plan.bytes) / kBytesPerSecond, call.site.op);
}

Plan make_plan(BackwardCall call, const std::array<int64_t, kMaxRank>& shape,
               const PlanOptions& options) {
  check_gradient(call.site, call.dy, call.x, shape);
  call.dx = output_desc(call.site, call.x, call.x.shape.data(), call.x.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->outputs = {call.dx};
  const bool reads_x = call.reduction.op == PoolOp::max || call.reduction.op == PoolOp::min;
  plan->bytes = item_bytes(call.x.dtype) *
                (call.dy.n_elements() + call.x.n_elements() * (reads_x ? 2 : 1));
  if (reads_x) {
    add_extremes(*plan, call);
  } else {
    add_spread_sums(*plan, call);
  }
  return Plan(std::move(plan));
}

}  // namespace

Plan plan_pooling_backward(const TensorDesc& dy, const TensorDesc& x, const PoolingParams& params,
                           const PlanOptions& options) {
  const CallSite site{params.name};
  std::array<int64_t, kMaxRank> shape{};
  Windows windows = pooling_windows(site, x, params, shape);
  return make_plan(
      {site, dy, x, std::move(windows), {params.op, params.count_include_pad}, TensorDesc{}},
      shape, options);
}

Plan plan_sliding_reduce_backward(const TensorDesc& dy, const TensorDesc& x, int axis,
                                  int64_t window, PoolOp op, const Padding& padding,
                                  const PlanOptions& options) {
  static const std::string name = "grad.sliding_reduce";
  const CallSite site{name};
  std::array<int64_t, kMaxRank> shape{};
  Windows windows = reduce_windows(site, x, axis, window, padding, shape);
  return make_plan({site, dy, x, std::move(windows), {op, true}, TensorDesc{}}, shape, options);
}

}  // namespace swath
