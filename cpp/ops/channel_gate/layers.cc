#include "ops/channel_gate/layers.h"

#include <memory>
#include <string>

#include "core/format.h"
#include "ops/common/copy.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"

namespace swath {
namespace {

/// Throws unless weight i is absent or has the shape; -1 stands for any length.
void check_shape(const CallSite& site, const TensorDesc& x, const GateWeights& weights, int i,
                 const char* name, std::vector<int64_t> shape) {
  if (!weights.has(i)) return;
  const TensorDesc& w = *weights.descs[i];
  if (w.dtype != x.dtype) {
    site.fail(ErrorCode::dtype, "weights",
              format("weights: {} is {}, x is {}: needed is one dtype", name, name_of(w.dtype),
                     name_of(x.dtype)));
  }
  bool fits = w.rank == static_cast<int>(shape.size());
  std::string needed;
  for (size_t k = 0; k < shape.size(); ++k) {
    fits = fits && (shape[k] < 0 || w.shape[k] == shape[k]);
    needed += (k > 0 ? ", " : "") + (shape[k] < 0 ? "any" : std::to_string(shape[k]));
  }
  if (fits) return;
  site.fail(ErrorCode::shape, "weights",
            format("weights: {} has shape {}, needed is ({}) (x.shape={})", name, shape_text(w),
                   needed, shape_text(x)));
}

void check_count(const CallSite& site, const GateWeights& weights, int count, const char* names) {
  bool is_complete = weights.count == count && weights.has(0);
  if (count == 4) is_complete = is_complete && weights.has(2);
  if (is_complete) return;
  site.fail(ErrorCode::param, "weights",
            format("weights has {} arrays, needed are {}", weights.count, names));
}

bool is_dense(const TensorDesc& x) {
  int64_t step = 1;
  for (int i = x.rank - 1; i >= 0; --i) {
    if (x.shape[i] != 1 && x.strides[i] != step) return false;
    step *= x.shape[i];
  }
  return true;
}

}  // namespace

std::vector<GateLayer> describe_layers(const CallSite& site, const TensorDesc& x,
                                       int64_t n_channels, ChannelGateKind kind,
                                       const GateWeights& weights) {
  const int64_t c = n_channels;
  switch (kind) {
    case ChannelGateKind::eca: {
      check_count(site, weights, 1, "1: (w,)");
      check_shape(site, x, weights, 0, "w", {-1});
      const int64_t k = weights.descs[0]->shape[0];
      if (k % 2 != 1) {
        site.fail(ErrorCode::shape, "weights",
                  format("weights: w has {} taps, needed is an odd number", k));
      }
      return {{0, -1, -1, c, c, k, true, Activation::sigmoid}};
    }
    case ChannelGateKind::se: {
      check_count(site, weights, 4, "4: (w1, b1, w2, b2), a bias may be None");
      check_shape(site, x, weights, 0, "w1", {-1, c});
      const int64_t h = weights.descs[0]->shape[0];
      check_shape(site, x, weights, 1, "b1", {h});
      check_shape(site, x, weights, 2, "w2", {c, h});
      check_shape(site, x, weights, 3, "b2", {c});
      return {{0, -1, 1, c, h, 0, false, Activation::relu},
              {2, -1, 3, h, c, 0, false, Activation::sigmoid}};
    }
    case ChannelGateKind::cca:
      check_count(site, weights, 2, "2: (w, b), b may be None");
      check_shape(site, x, weights, 0, "w", {c, c});
      check_shape(site, x, weights, 1, "b", {c});
      return {{0, -1, 1, c, c, 0, false, Activation::sigmoid}};
    case ChannelGateKind::mean_std:
      check_count(site, weights, 3, "3: (w, scale, shift), scale and shift may be None");
      check_shape(site, x, weights, 0, "w", {c, c, 2});
      check_shape(site, x, weights, 1, "scale", {c});
      check_shape(site, x, weights, 2, "shift", {c});
      return {{0, 1, 2, 2 * c, c, 0, false, Activation::hardsigmoid}};
  }
  return {};
}

MixProblem layer_problem(PlanImpl& plan, const GateLayer& layer, const GateWeights& weights,
                         DType dtype, int64_t n_batch) {
  MixProblem p;
  p.dtype = dtype;
  p.is_taps = layer.is_taps;
  p.n_batch = n_batch;
  p.n_in = layer.n_in;
  p.n_out = layer.n_out;
  p.n_taps = layer.n_taps;
  p.activation = layer.activation;
  const TensorDesc& w = *weights.descs[layer.w];
  p.w = input_ref(weights.first_slot + layer.w);
  if (w.n_elements() > 0 && !is_dense(w)) p.w = add_temp_copy(plan, w, p.w).ref;
  const auto vector = [&](int i, bool& has, ArrayRef& ref, int64_t& stride) {
    has = weights.has(i);
    if (!has) return;
    ref = input_ref(weights.first_slot + i);
    stride = weights.descs[i]->strides[0];
  };
  vector(layer.scale, p.has_scale, p.scale, p.scale_stride);
  vector(layer.shift, p.has_shift, p.shift, p.shift_stride);
  return p;
}

void add_mix_step(PlanImpl& plan, const std::string& op, const MixProblem& p) {
  constexpr double kFlopsPerSecond = 10e9;  // an order of magnitude
  const int64_t per_output = p.is_taps ? p.n_taps : p.n_in;
  const double flops = 2.0 * static_cast<double>(p.n_batch * p.n_out) *
                       static_cast<double>(per_output) * (p.is_backward ? 2 : 1);
  static const Operator& table = find_operator("channel_gate");
  add_step(plan, table, p.dtype, std::make_shared<MixProblem>(p), flops / kFlopsPerSecond, op);
}

namespace {

void run_slopes(const SlopeStep& s, const Buffers& b, int64_t o) {
  const MixProblem& p = s.layer;
  const DType acc = accumulator_of(p.dtype);
  const auto parameter = [&](bool has, const ArrayRef& ref, int64_t stride, double otherwise) {
    return has ? load_scalar(p.dtype, b.read(ref), o * stride) : otherwise;
  };
  const double scale = parameter(p.has_scale, p.scale, p.scale_stride, 1);
  const double shift = parameter(p.has_shift, p.shift, p.shift_stride, 0);
  ScalarSum dscale, dshift;
  for (int64_t n = 0; n < p.n_batch; ++n) {
    const int64_t at = n * p.n_out + o;
    const double raw = load_scalar(acc, b.read(p.raw), at);
    const double slope = activation_slope(raw * scale + shift, p.activation, 0);
    const double d = slope == 0 ? 0 : load_scalar(acc, b.read(s.dg), at) * slope;
    dscale.add(d * raw);
    dshift.add(d);
    store_scalar(acc, b.write(s.du), at, d * scale);
  }
  if (s.has_dscale) store_scalar(p.dtype, b.write(s.dscale), o, dscale.value());
  if (s.has_dshift) store_scalar(p.dtype, b.write(s.dshift), o, dshift.value());
}

}  // namespace

void add_slope_step(PlanImpl& plan, const SlopeStep& step) {
  const auto run = [step](const Buffers& b, int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) run_slopes(step, b, o);
  };
  const MixProblem& p = step.layer;
  add_plain_step(plan, {run, p.n_out}, static_cast<double>(p.n_batch * p.n_out) * 2e-8);
}

}  // namespace swath
