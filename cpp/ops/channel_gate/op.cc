// describe of channel_gate and its backward: sums over positions, a small layer or two on them, and
// a product with x.
#include <swath/ops/gates.h>

#include <memory>

#include "core/format.h"
#include "ops/channel_gate/layers.h"
#include "ops/channel_stats/compose.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/gate_mul/compose.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

struct GateCall {
  CallSite site;
  const TensorDesc& x;
  const ChannelGateParams& params;
  GateWeights weights;
  AxisMap map;
  std::vector<GateLayer> layers;

  int64_t n_batch() const { return map.n >= 0 ? x.shape[map.n] : 1; }
  int64_t n_channels() const { return x.shape[map.c]; }
  int64_t n_positions() const {
    int64_t n = 1;
    for (int i = 0; i < params.ndim; ++i) n *= x.shape[map.spatial[i]];
    return n;
  }
  bool has_deviation() const { return params.kind == ChannelGateKind::mean_std; }
  DType acc() const { return accumulator_of(x.dtype); }
  ArrayRef reserve(PlanImpl& plan, int64_t n_per_sample) const {
    return reserve_temp(plan, n_batch() * n_per_sample * item_bytes(acc()));
  }
};

GateCall describe(const CallSite& site, const TensorDesc& x, const GateWeights& weights,
                  const ChannelGateParams& params) {
  check_floating(site, x);
  if (params.ndim < 1 || params.ndim > 3) {
    site.fail(ErrorCode::shape, "x",
              format("x has {} axes {} and {} of them after the channels, needed are 1 to 3 (give "
                     "ndim for an x without N)",
                     x.rank, shape_text(x), params.ndim));
  }
  GateCall call{site, x, params, weights, map_axes(site, x, params.ndim, params.layout, "x"), {}};
  call.layers = describe_layers(site, x, call.n_channels(), params.kind, weights);
  return call;
}

/// [n, c] of two arrays -> [n, c, 2].
void add_interleave_step(PlanImpl& plan, const GateCall& call, const ArrayRef& first,
                         const ArrayRef& second, const ArrayRef& both) {
  const auto run = [acc = call.acc(), n = call.n_channels(), first, second, both](
                       const Buffers& b, int64_t begin, int64_t end) {
    for (int64_t at = begin * n; at < end * n; ++at) {
      store_scalar(acc, b.write(both), 2 * at, load_scalar(acc, b.read(first), at));
      store_scalar(acc, b.write(both), 2 * at + 1, load_scalar(acc, b.read(second), at));
    }
  };
  add_plain_step(plan, {run, call.n_batch()},
                 static_cast<double>(call.n_batch() * call.n_channels()) * 1e-8);
}

/// What the layers read, and every layer's problem with its g (and raw) in temporary memory.
struct GateForward {
  ChannelStats stats;
  std::vector<MixProblem> layers;
};

GateForward add_gates(PlanImpl& plan, const GateCall& call, const Operand& x, const Operand& dy) {
  GateForward f;
  f.stats = add_channel_stats(plan, call.site.op,
                              {x, dy, call.map, call.params.ndim, call.has_deviation()});
  ArrayRef m = f.stats.mean;
  if (call.has_deviation()) {
    m = call.reserve(plan, 2 * call.n_channels());
    add_interleave_step(plan, call, f.stats.mean, f.stats.deviation, m);
  }
  for (const GateLayer& layer : call.layers) {
    MixProblem p = layer_problem(plan, layer, call.weights, call.x.dtype, call.n_batch());
    p.m = m;
    p.g = m = call.reserve(plan, layer.n_out);
    p.keeps_raw = dy.desc != nullptr;
    if (p.keeps_raw) p.raw = call.reserve(plan, layer.n_out);
    add_mix_step(plan, call.site.op, p);
    f.layers.push_back(p);
  }
  return f;
}

/// Axes of x or dy (a), the gates (b), x (c) and the result (y).
GateGeometry geometry(const GateCall& call, const TensorDesc& a, const TensorDesc& y) {
  GateGeometry g;
  const auto axis = [&](int at, int64_t b_stride) {
    return GateAxis{call.x.shape[at],
                    {a.strides[at], b_stride, call.x.strides[at], y.strides[at], 0}};
  };
  if (call.map.n >= 0) g.kept.push_back(axis(call.map.n, call.n_channels()));
  g.kept.push_back(axis(call.map.c, 1));
  for (int i = 0; i < call.params.ndim; ++i) g.repeats.push_back(axis(call.map.spatial[i], 0));
  return g;
}

GateProblem product(const GateCall& call, const ArrayRef& gates) {
  GateProblem p;
  p.dtype = call.x.dtype;
  p.a = input_ref(0);
  p.b = gates;
  p.b_is_acc = true;
  p.y = output_ref(0);
  return p;
}

}  // namespace

Plan plan_channel_gate(const TensorDesc& x, const TensorDesc* const* weights, int n_weights,
                       const ChannelGateParams& params, const PlanOptions& options) {
  const GateCall call = describe({params.name}, x, {weights, n_weights, 1}, params);
  const TensorDesc y = output_desc(call.site, x, x.shape.data(), x.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  plan->bytes = 3 * bytes_of(x);
  for (int i = 0; i < n_weights; ++i) {
    if (weights[i] != nullptr) plan->bytes += bytes_of(*weights[i]);
  }
  plan->flops = 2 * x.n_elements();
  if (y.n_elements() == 0) return Plan(std::move(plan));
  const GateForward f = add_gates(*plan, call, {&x, input_ref(0)}, {});
  GateProblem p = product(call, f.layers.back().g);
  assign_gate_roles(p, geometry(call, x, y));
  add_gate_step(*plan, call.site.op, p, 2 * bytes_of(x));
  return Plan(std::move(plan));
}

namespace {

/// Where the gradients of the weights go.
struct WeightGrads {
  bool is_needed = false;
  std::array<ArrayRef, kMaxGateWeights> to{};
};

/// Appends the layers' backward from dg on; returns the gradient by the means (and deviations).
ArrayRef add_layers_backward(PlanImpl& plan, const GateCall& call, const GateForward& f,
                             const WeightGrads& grads, bool needs_dm) {
  ArrayRef dg = f.stats.dot;
  for (int i = static_cast<int>(call.layers.size()) - 1; i >= 0; --i) {
    const GateLayer& layer = call.layers[static_cast<size_t>(i)];
    MixProblem p = f.layers[static_cast<size_t>(i)];
    SlopeStep slope{p, dg, call.reserve(plan, layer.n_out)};
    slope.has_dscale = grads.is_needed && call.weights.has(layer.scale);
    slope.has_dshift = grads.is_needed && call.weights.has(layer.shift);
    if (slope.has_dscale) slope.dscale = grads.to[static_cast<size_t>(layer.scale)];
    if (slope.has_dshift) slope.dshift = grads.to[static_cast<size_t>(layer.shift)];
    add_slope_step(plan, slope);
    p.is_backward = true;
    p.du = slope.du;
    p.has_dm = needs_dm || i > 0;
    p.has_dw = grads.is_needed;
    p.dw = grads.to[static_cast<size_t>(layer.w)];
    if (p.has_dm) p.dm = dg = call.reserve(plan, layer.n_in);
    add_mix_step(plan, call.site.op, p);
  }
  return dg;
}

/// dx = dy g + dmean / P + (x - mean) ddeviation / ((P - 1) deviation).
void add_input_grad(PlanImpl& plan, const GateCall& call, const GateForward& f, const ArrayRef& dm,
                    const TensorDesc& dy, const TensorDesc& dx) {
  GateProblem p = product(call, f.layers.back().g);
  p.has_offset = true;
  p.offset = call.reserve(plan, call.n_channels());
  p.has_c = p.has_slope = call.has_deviation();
  p.c = input_ref(1);
  p.centre = f.stats.mean;
  if (p.has_slope) p.slope = call.reserve(plan, call.n_channels());
  const auto prepare = [p, dm, deviation = f.stats.deviation, acc = call.acc(),
                        n = call.n_channels(), count = static_cast<double>(call.n_positions())](
                           const Buffers& b, int64_t begin, int64_t end) {
    const int64_t step = p.has_slope ? 2 : 1;
    for (int64_t at = begin * n; at < end * n; ++at) {
      store_scalar(acc, b.write(p.offset), at, load_scalar(acc, b.read(dm), step * at) / count);
      if (!p.has_slope) continue;
      // A constant channel has no direction to vary in: 0, as PyTorch has it.
      const double d = load_scalar(acc, b.read(deviation), at);
      const double by_deviation = load_scalar(acc, b.read(dm), 2 * at + 1);
      store_scalar(acc, b.write(p.slope), at, d == 0 ? 0 : by_deviation / ((count - 1) * d));
    }
  };
  add_plain_step(plan, {prepare, call.n_batch()},
                 static_cast<double>(call.n_batch() * call.n_channels()) * 2e-8);
  assign_gate_roles(p, geometry(call, dy, dx));
  add_gate_step(plan, call.site.op, p, (p.has_c ? 3 : 2) * bytes_of(dx));
}

}  // namespace

Plan plan_channel_gate_backward(const TensorDesc& dy, const TensorDesc& x,
                                const TensorDesc* const* weights, int n_weights,
                                const ChannelGateParams& params, const PairNeeds& needs,
                                const PlanOptions& options) {
  const GateCall call = describe({params.name}, x, {weights, n_weights, 2}, params);
  check_same_array(call.site, x, dy, "dy", "x");
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->bytes = 3 * bytes_of(x);
  plan->flops = 6 * x.n_elements();
  const auto add_output = [&](const TensorDesc& like) {
    plan->outputs.push_back(contiguous_desc(x.dtype, like.shape.data(), like.rank));
    plan->bytes += bytes_of(like);
    return output_ref(static_cast<int>(plan->outputs.size()) - 1);
  };
  if (needs.first) add_output(x);
  WeightGrads grads{needs.second};
  for (int i = 0; i < n_weights; ++i) {
    if (weights[i] == nullptr || !needs.second) continue;
    grads.to[static_cast<size_t>(i)] = add_output(*weights[i]);
    const int64_t n_bytes = bytes_of(*weights[i]);
    if (x.n_elements() == 0 && n_bytes > 0) {
      add_zero_step(*plan, grads.to[static_cast<size_t>(i)], n_bytes);
    }
  }
  if (x.n_elements() == 0 || plan->outputs.empty()) return Plan(std::move(plan));
  const GateForward f = add_gates(*plan, call, {&x, input_ref(1)}, {&dy, input_ref(0)});
  const ArrayRef dm = add_layers_backward(*plan, call, f, grads, needs.first);
  if (needs.first) add_input_grad(*plan, call, f, dm, dy, plan->outputs[0]);
  return Plan(std::move(plan));
}

}  // namespace swath
