// Mixtures of kernels: a product of two matrices, which is a convolution of one tap whose channels
// are the experts and whose positions are the elements of a kernel.
#include <algorithm>
#include <cstdlib>

#include <swath/ops/sample_conv.h>

#include "core/format.h"
#include "ops/common/partial_sums.h"
#include "ops/common/per_sample.h"
#include "ops/common/walk_axes.h"
#include "ops/conv_weight_grad/call.h"
#include "ops/sliding_conv/describe.h"

namespace swath {
namespace {

/// coeff as (N, E) and the shape of the mixtures.
struct MixCall {
  CallSite site;
  TensorDesc coeff, mixed;
};

MixCall describe_mix(const std::string& op, const TensorDesc& coeff, const TensorDesc& experts) {
  const CallSite site{op};
  check_floating(site, coeff, "coeff");
  check_same_kind(site, coeff, experts, "experts", "coeff");
  if (coeff.rank != 1 && coeff.rank != 2) {
    site.fail(ErrorCode::shape, "coeff",
              format("coeff has {} axes {}, needed are 2: (N, E), or (E,)", coeff.rank,
                     shape_text(coeff)));
  }
  const int64_t n_experts = coeff.shape[coeff.rank - 1];
  if (experts.rank < 1 || experts.shape[0] != n_experts) {
    site.fail(ErrorCode::shape, "experts",
              format("experts has shape {}, needed is ({}, ...) by coeff.shape={}",
                     shape_text(experts), n_experts, shape_text(coeff)));
  }
  MixCall call{site, coeff, experts};
  if (coeff.rank == 2) {
    call.mixed.shape[0] = coeff.shape[0];
    return call;
  }
  call.coeff.rank = 2;
  call.coeff.shape = {1, n_experts};
  call.coeff.strides = {0, coeff.strides[0]};
  call.mixed.rank = experts.rank - 1;
  std::copy_n(experts.shape.begin() + 1, call.mixed.rank, call.mixed.shape.begin());
  return call;
}

/// One of two arrays (rows, ...) that have the same elements in a row. skip: it has no axis of
/// rows.
struct Rows {
  TensorDesc desc;
  ArrayRef ref;
  bool has_rows = true;

  int64_t row_stride() const { return has_rows ? desc.strides[0] : 0; }
};

Rows contiguous_rows(PlanImpl& plan, const Rows& x) {
  const TempCopy copy = add_temp_copy(plan, x.desc, x.ref);
  return {copy.desc, copy.ref, x.has_rows};
}

/// The axes of a row that both arrays share, merged.
WalkAxes<2> row_axes(const Rows& x, const Rows& y) {
  WalkAxes<2> axes;
  const int n_axes = x.desc.rank - (x.has_rows ? 1 : 0);
  for (int i = 0; i < n_axes; ++i) {
    const int at_x = i + (x.has_rows ? 1 : 0), at_y = i + (y.has_rows ? 1 : 0);
    axes.push_back({x.desc.shape[at_x], {x.desc.strides[at_x], y.desc.strides[at_y]}});
  }
  merge_walk(axes);
  std::stable_sort(axes.begin(), axes.end(), [](const WalkAxis<2>& a, const WalkAxis<2>& b) {
    return std::abs(a.stride[1]) > std::abs(b.stride[1]);
  });
  return axes;
}

/// The convolution of one tap from the rows of x to those of y, whose weight w_out x w_in is `w`.
struct Weights {
  const TensorDesc& desc;  // (N, E)
  ArrayRef ref;
  bool is_transposed = false;
};

ConvProblem row_problem(const Rows& x, const Rows& y, const WalkAxes<2>& axes, const Weights& w) {
  ConvProblem p;
  const int out = w.is_transposed ? 1 : 0;
  p.dtype = x.desc.dtype;
  p.x = x.ref;
  p.y = y.ref;
  p.w = w.ref;
  p.in_per_group = w.desc.shape[1 - out];
  p.out_per_group = w.desc.shape[out];
  p.w_out_stride = w.desc.strides[out];
  p.w_in_stride = w.desc.strides[1 - out];
  p.x_channel_stride = x.row_stride();
  p.y_channel_stride = y.row_stride();
  const ReadableSpan span = readable_span({&x.desc, x.ref});
  p.x_low = span.low;
  p.x_high = span.high;
  for (size_t i = 0; i < axes.size(); ++i) {
    ConvAxis& a = p.axis[3 - axes.size() + i];
    a.in = a.out = axes[i].n;
    a.x_stride = axes[i].stride[0];
    a.y_stride = axes[i].stride[1];
  }
  return p;
}

void add_row_product(PlanImpl& plan, Rows x, Rows y, const Weights& w, const std::string& op) {
  WalkAxes<2> axes = row_axes(x, y);
  if (axes.size() <= 3) return add_conv_step(plan, row_problem(x, y, axes, w), op);
  x = contiguous_rows(plan, x);
  const Rows to = y;
  y.desc = contiguous_desc(to.desc.dtype, to.desc.shape.data(), to.desc.rank);
  y.ref = reserve_temp(plan, y.desc.n_elements() * item_bytes(y.desc.dtype));
  add_conv_step(plan, row_problem(x, y, row_axes(x, y), w), op);
  add_copy_step(plan, {.from = y.desc, .to = to.desc, .from_ref = y.ref, .to_ref = to.ref});
}

/// dcoeff, sample by sample: a kernel that took several at once would choose by their number, and a
/// sample's bits would depend on its batch.
void add_coeff_grad(PlanImpl& plan, const MixCall& call, Rows x, Rows dw, const Operand& dcoeff,
                    const std::string& op) {
  if (row_axes(x, dw).size() > 3) {
    x = contiguous_rows(plan, x);
    dw = contiguous_rows(plan, dw);
  }
  const int64_t n_samples = call.coeff.shape[0], n_experts = call.coeff.shape[1];
  const int64_t item = item_bytes(x.desc.dtype);
  const Rows one_x{x.desc, input_ref(0)};
  Rows one_dw{dw.desc, input_ref(1), dw.has_rows};
  if (dw.has_rows) one_dw.desc.shape[0] = 1;
  TensorDesc coeff = contiguous_desc(x.desc.dtype, {1, n_experts});
  WeightGradProblem g;
  g.conv = row_problem(one_x, one_dw, row_axes(one_x, one_dw), {coeff, output_ref(0)});
  const ReadableSpan span = readable_span({&one_dw.desc, one_dw.ref});
  g.dy_low = span.low;
  g.dy_high = span.high;
  const auto one = std::make_shared<PlanImpl>();
  one->wants_reasons = plan.wants_reasons;
  add_weight_grad(*one, g, op);
  add_per_sample(plan, Plan(one), n_samples,
                 {.inputs = {{x.ref, 0}, {dw.ref, dw.row_stride() * item}},
                  .outputs = {{dcoeff.ref, n_experts * item}}});
}

}  // namespace

Plan plan_mix_kernels(const TensorDesc& coeff, const TensorDesc& experts, const std::string& op,
                      const PlanOptions& options) {
  const MixCall call = describe_mix(op, coeff, experts);
  const TensorDesc& m = call.mixed;
  const TensorDesc w = output_desc(call.site, experts, m.shape.data(), m.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = op;
  plan->outputs = {w};
  plan->bytes = item_bytes(w.dtype) * (coeff.n_elements() + experts.n_elements() + w.n_elements());
  if (w.n_elements() == 0) return Plan(std::move(plan));
  add_row_product(*plan, {experts, input_ref(1)}, {w, output_ref(0), coeff.rank == 2},
                  {call.coeff, input_ref(0)}, op);
  return Plan(std::move(plan));
}

Plan plan_mix_kernels_backward(const TensorDesc& dw, const TensorDesc& coeff,
                               const TensorDesc& experts, const std::string& op,
                               const MixNeeds& needs, const PlanOptions& options) {
  const MixCall call = describe_mix(op, coeff, experts);
  TensorDesc mixed = call.mixed;
  check_same_kind(call.site, coeff, dw, "dw", "coeff");
  if (dw.rank != mixed.rank ||
      !std::equal(dw.shape.begin(), dw.shape.begin() + dw.rank, mixed.shape.begin())) {
    call.site.fail(ErrorCode::shape, "dw",
                   format("dw has shape {}, needed is {}", shape_text(dw),
                          shape_text(mixed.shape.data(), mixed.rank)));
  }
  auto plan = std::make_shared<PlanImpl>();
  plan->wants_reasons = options.explain;
  plan->op = op;
  const auto add_output = [&](const TensorDesc& like) {
    plan->outputs.push_back(contiguous_desc(like.dtype, like.shape.data(), like.rank));
    return Operand{&plan->outputs.back(), output_ref(static_cast<int>(plan->outputs.size()) - 1)};
  };
  plan->outputs.reserve(2);  // the operands point at them
  const bool is_batched = coeff.rank == 2;
  const Operand dcoeff = needs.coeff ? add_output(coeff) : Operand{};
  const Operand dexperts = needs.experts ? add_output(experts) : Operand{};
  for (const TensorDesc* d : {&dw, &coeff, &experts}) {
    plan->bytes += d->n_elements() * item_bytes(d->dtype);
  }
  for (const TensorDesc& d : plan->outputs) plan->bytes += d.n_elements() * item_bytes(d.dtype);
  const Rows from{dw, input_ref(0), is_batched};
  if (needs.experts && dexperts.desc->n_elements() > 0) {
    if (dw.n_elements() == 0) {
      add_zeros(*plan, dexperts);
    } else {
      add_row_product(*plan, from, {*dexperts.desc, dexperts.ref}, {call.coeff, input_ref(1), true},
                      op);
    }
  }
  if (needs.coeff && dcoeff.desc->n_elements() > 0) {
    if (dw.n_elements() == 0) {
      add_zeros(*plan, dcoeff);
      return Plan(std::move(plan));
    }
    add_coeff_grad(*plan, call, {experts, input_ref(2)}, from, dcoeff, op);
  }
  return Plan(std::move(plan));
}

}  // namespace swath
