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

/// What dy is multiplied by per axis where a mean counts only the elements inside: window /
/// elements inside. All 1 if no window reaches beyond the array.
bool set_inside_factors(const Windows& windows, ScaleProblem& scale) {
  bool is_one = true;
  for (int i : windows.pooled) {
    const PoolAxis& a = windows.axes[i];
    for (int64_t p = 0; p < a.out; ++p) {
      const int64_t n_inside = a.n_inside(p);
      is_one &= n_inside == a.window;
      scale.factor[i].push_back(static_cast<double>(a.window) / static_cast<double>(n_inside));
    }
  }
  return !is_one;
}

struct TempArray {
  TensorDesc desc;
  ArrayRef ref;
};
TempArray reserve_array(PlanImpl& plan, DType dtype, const TensorDesc& like) {
  TempArray a{contiguous_desc(dtype, like.shape.data(), like.rank), {}};
  a.ref = reserve_temp(plan, a.desc.n_elements() * item_bytes(dtype));
  return a;
}

/// dx = the sum of dy over the windows of each element, divided by the window for a mean.
void add_adjoint(PlanImpl& plan, const BackwardCall& call, const Operand& dy, const Operand& dx) {
  Windows adjoint = call.windows;
  for (int i = 0; i < dy.desc->rank; ++i) {
    PoolAxis& a = adjoint.axes[i];
    a.x_stride = dy.desc->strides[i];
    a.y_stride = dx.desc->strides[i];
  }
  for (int i : adjoint.pooled) {
    PoolAxis& a = adjoint.axes[i];
    a = adjoint_axis(a, a.x_stride, a.y_stride);
  }
  add_windows(plan, call.site, dy, dx, std::move(adjoint), {call.reduction.op, true});
}

/// Means and sums: windowed sums of dy. With factors, values of 16 bits are kept in float32 from
/// the first rounding to the last.
void add_sums(PlanImpl& plan, const BackwardCall& call) {
  const Operand dy{&call.dy, input_ref(0)}, dx{&call.dx, output_ref(0)};
  ScaleProblem scale{.x = call.dy, .y = {}, .x_ref = dy.ref, .y_ref = {}, .factor = {}};
  bool has_factors = call.reduction.op == PoolOp::mean && !call.reduction.count_include_pad;
  if (has_factors) check_no_empty_windows(call.site, call.windows);
  if (call.dx.n_elements() == 0) return;
  has_factors = has_factors && set_inside_factors(call.windows, scale);
  if (!has_factors) return add_adjoint(plan, call, dy, dx);
  const bool is_short = item_bytes(call.dy.dtype) == 2;
  const DType dtype = is_short ? DType::f32 : call.dy.dtype;
  const TempArray scaled = reserve_array(plan, dtype, call.dy);
  scale.y = scaled.desc;
  scale.y_ref = scaled.ref;
  add_scale_step(plan, std::move(scale));
  if (!is_short) return add_adjoint(plan, call, {&scaled.desc, scaled.ref}, dx);
  const TempArray wide = reserve_array(plan, dtype, call.dx);
  add_adjoint(plan, call, {&scaled.desc, scaled.ref}, {&wide.desc, wide.ref});
  add_scale_step(plan,
                 {.x = wide.desc, .y = call.dx, .x_ref = wide.ref, .y_ref = dx.ref, .factor = {}});
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
  plan->bytes =
      item_bytes(call.x.dtype) * (call.dy.n_elements() + call.x.n_elements() * (reads_x ? 2 : 1));
  if (reads_x) {
    add_extremes(*plan, call);
  } else {
    add_sums(*plan, call);
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
      {site, dy, x, std::move(windows), {params.op, params.count_include_pad}, TensorDesc{}}, shape,
      options);
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
