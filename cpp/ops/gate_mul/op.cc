// describe of gate_mul and its backward.
#include <swath/ops/gates.h>

#include <memory>

#include "core/format.h"
#include "ops/common/copy.h"
#include "ops/common/geometry.h"
#include "ops/common/plain_step.h"
#include "ops/common/scalar.h"
#include "ops/gate_mul/compose.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

GateFunction gate_function(const Gate& gate) {
  return {.kind = gate.kind,
          .value = gate.value,
          .is_asym_gauss = gate.is_asym_gauss,
          .height = gate.height,
          .mu = gate.mu,
          .left = gate.left,
          .right = gate.right};
}

/// The axis that `tile` repeats b along; -1 where there is nothing to repeat.
int channel_axis(const CallSite& site, const TensorDesc& a, const GateMulParams& params) {
  if (params.tile < 1) {
    site.fail(ErrorCode::param, "tile",
              format("tile is {}, needed is a positive number", params.tile));
  }
  if (params.tile == 1) return -1;
  const bool is_first = params.layout == Layout::channels_first;
  if (a.rank < (is_first ? 2 : 1)) {
    site.fail(ErrorCode::shape, "a",
              format("a has {} axes {}, needed is a channel axis ({}) for tile = {}", a.rank,
                     shape_text(a), is_first ? "the second" : "the last", params.tile));
  }
  return is_first ? 1 : a.rank - 1;
}

/// Returns the channel axis after checking all shapes.
int check_shapes(const CallSite& site, const TensorDesc& a, const TensorDesc& b,
                 const GateMulParams& params) {
  check_floating(site, a, "a");
  check_same_kind(site, a, b, "b", "a");
  const int channel = channel_axis(site, a, params);
  TensorDesc needed = a;
  if (channel >= 0) {
    needed.shape[channel] = a.shape[channel] / params.tile;
    if (a.shape[channel] % params.tile != 0) {
      site.fail(ErrorCode::param, "tile",
                format("tile is {}, needed is a divisor of a's {} channels (a.shape={})",
                       params.tile, a.shape[channel], shape_text(a)));
    }
  }
  bool is_same = b.rank == a.rank;
  for (int i = 0; is_same && i < a.rank; ++i) is_same = b.shape[i] == needed.shape[i];
  if (!is_same) {
    site.fail(ErrorCode::shape, "b",
              format("b has shape {}, needed is {} (a.shape={}, tile={})", shape_text(b),
                     shape_text(needed), shape_text(a), params.tile));
  }
  return channel;
}

/// Strides by axis of the arrays that are there; the others count as a.
GateGeometry geometry(const TensorDesc& a, const TensorDesc& b, const TensorDesc& c,
                      const TensorDesc& y, const TensorDesc& db, int channel, int64_t tile) {
  GateGeometry g;
  for (int i = 0; i < a.rank; ++i) {
    GateAxis axis{b.shape[i],
                  {a.strides[i], b.strides[i], c.strides[i], y.strides[i], db.strides[i]}};
    g.kept.push_back(axis);
    if (i != channel) continue;
    axis.n = tile;
    for (int64_t& stride : axis.stride) stride *= b.shape[i];
    axis.stride[kGateB] = axis.stride[kGateDb] = 0;
    g.repeats.push_back(axis);
  }
  return g;
}

GateProblem base_problem(const TensorDesc& a, const GateMulParams& params) {
  GateProblem p;
  p.dtype = a.dtype;
  p.activation = params.activation;
  p.activation_value = params.activation_value;
  p.gate = gate_function(params.gate);
  return p;
}

/// (height, mu, left, right) from the tasks' rows of sums.
void add_param_step(PlanImpl& plan, const GateProblem& p, const ArrayRef& to) {
  const auto sum = [dtype = p.dtype, n = p.n_tasks(), from = p.params, to](const Buffers& b,
                                                                           int64_t, int64_t) {
    for (int k = 0; k < 4; ++k) {
      ScalarSum total;
      for (int64_t i = 0; i < n; ++i) {
        total.add(load_scalar(accumulator_of(dtype), b.read(from), 4 * i + k));
      }
      store_scalar(dtype, b.write(to), k, total.value());
    }
  };
  add_plain_step(plan, {sum}, static_cast<double>(p.n_tasks()) * 1e-8);
}

}  // namespace

Plan plan_gate_mul(const TensorDesc& a, const TensorDesc& b, const TensorDesc* add,
                   const GateMulParams& params, const PlanOptions& options) {
  const CallSite site{params.name};
  const int channel = check_shapes(site, a, b, params);
  if (add != nullptr) check_same_array(site, a, *add, "add", "a");
  const TensorDesc y = output_desc(site, a, a.shape.data(), a.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  plan->bytes = 2 * bytes_of(a) + bytes_of(b) + (add != nullptr ? bytes_of(a) : 0);
  plan->flops = (add != nullptr ? 2 : 1) * a.n_elements();
  if (y.n_elements() == 0) return Plan(std::move(plan));
  GateProblem p = base_problem(a, params);
  p.has_c = add != nullptr;
  p.a = input_ref(0);
  p.b = input_ref(1);
  p.c = input_ref(2);
  p.y = output_ref(0);
  assign_gate_roles(p, geometry(a, b, p.has_c ? *add : a, y, b, channel, params.tile));
  add_gate_step(*plan, site.op, p, plan->bytes);
  return Plan(std::move(plan));
}

Plan plan_gate_mul_backward(const TensorDesc& dy, const TensorDesc& a, const TensorDesc& b,
                            const TensorDesc* add, const GateMulParams& params,
                            const GateMulNeeds& needs, const PlanOptions& options) {
  const CallSite site{params.name};
  const int channel = check_shapes(site, a, b, params);
  if (add != nullptr) check_same_array(site, a, *add, "add", "a");
  check_same_array(site, a, dy, "dy", "a");
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->bytes = 2 * bytes_of(a) + bytes_of(b);
  const auto add_output = [&](const TensorDesc& desc) {
    plan->outputs.push_back(desc);
    plan->bytes += bytes_of(desc);
    return output_ref(static_cast<int>(plan->outputs.size()) - 1);
  };
  GateProblem p = base_problem(a, params);
  const TensorDesc da = contiguous_desc(a.dtype, a.shape.data(), a.rank);
  const TensorDesc db = contiguous_desc(b.dtype, b.shape.data(), b.rank);
  p.is_backward = true;
  p.has_da = needs.a;
  p.has_db = needs.b;
  p.has_params = needs.gate && params.gate.is_asym_gauss;
  if (p.has_da) p.y = add_output(da);
  if (p.has_db) p.db = add_output(db);
  if (needs.add) {
    const ArrayRef to = add_output(da);
    if (da.n_elements() > 0) add_copy_step(*plan, {.from = dy, .to = da, .to_ref = to});
  }
  ArrayRef dgate;
  if (p.has_params) dgate = add_output(contiguous_desc(a.dtype, {4}));
  plan->flops = 4 * a.n_elements();
  if (a.n_elements() == 0) {
    if (p.has_params) add_zero_step(*plan, dgate, 4 * item_bytes(a.dtype));
    return Plan(std::move(plan));
  }
  if (!p.has_da && !p.has_db && !p.has_params) return Plan(std::move(plan));
  p.c = input_ref(0);
  p.a = input_ref(1);
  p.b = input_ref(2);
  assign_gate_roles(p, geometry(a, b, dy, da, db, channel, params.tile));
  if (p.has_params) {
    p.params = reserve_temp(*plan, 4 * p.n_tasks() * item_bytes(accumulator_of(a.dtype)));
  }
  add_gate_step(*plan, site.op, p, plan->bytes);
  if (p.has_params) add_param_step(*plan, p, dgate);
  return Plan(std::move(plan));
}

}  // namespace swath
