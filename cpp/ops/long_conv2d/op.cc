// describe of long_conv2d and its backward: by transforms of planes, or as a depthwise convolution.
#include <swath/ops/long_conv2d.h>

#include <memory>

#include "core/format.h"
#include "ops/common/copy.h"
#include "ops/common/partial_sums.h"
#include "ops/long_conv2d/call.h"

namespace swath {
namespace {

int64_t bytes_of(const TensorDesc& x) { return item_bytes(x.dtype) * x.n_elements(); }

/// Taps up to which sliding the kernel is faster: measured equal at 11x11 to 15x15 on avx512,
/// float32, planes of 14 to 160.
constexpr int64_t kDirectTaps = 150;

bool is_direct(const LongConv2dCall& call) {
  switch (call.params.method) {
    case LongConvMethod2d::fft:
      return false;
    case LongConvMethod2d::direct:
      return true;
    default:
      return call.k.shape[1] * call.k.shape[2] <= kDirectTaps;
  }
}

void add_zeros_to(PlanImpl& plan, const Operand& to) {
  // Of any strides: the elements of a zero of its own.
  const ArrayRef zero = reserve_temp(plan, 8);
  TensorDesc from = *to.desc;
  from.strides.fill(0);
  const TensorDesc one = contiguous_desc(to.desc->dtype, {1});
  add_zeros(plan, {&one, zero});
  add_copy_step(plan, {.from = from, .to = *to.desc, .from_ref = zero, .to_ref = to.ref});
}

}  // namespace

Plan plan_long_conv2d(const TensorDesc& u, const TensorDesc& k, const LongConv2dParams& params,
                      const PlanOptions& options) {
  const LongConv2dCall call = describe_long_conv2d({params.name}, u, k, params);
  const TensorDesc y = output_desc(call.site, u, call.y_shape().data(), u.rank, options.out);
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->outputs = {y};
  plan->bytes = bytes_of(u) + bytes_of(k) + bytes_of(y);
  if (y.n_elements() == 0) return Plan(std::move(plan));
  const Operand to{&y, output_ref(0)};
  if (u.n_elements() == 0) {
    add_zeros_to(*plan, to);
    return Plan(std::move(plan));
  }
  const LongConv2dArrays arrays{{&u, input_ref(0)}, {&k, input_ref(1)}};
  if (is_direct(call)) {
    add_direct(*plan, call, arrays, to);
  } else {
    add_fft(*plan, call, arrays, to);
  }
  return Plan(std::move(plan));
}

Plan plan_long_conv2d_backward(const TensorDesc& dy, const TensorDesc& u, const TensorDesc& k,
                               const LongConv2dParams& params, const LongConv2dNeeds& needs,
                               const PlanOptions& options) {
  const LongConv2dCall call = describe_long_conv2d({params.name}, u, k, params);
  check_gradient(call.site, dy, u, call.y_shape());
  auto plan = std::make_shared<PlanImpl>();
  plan->op = params.name;
  plan->wants_reasons = options.explain;
  plan->bytes = bytes_of(dy) + bytes_of(u) + bytes_of(k);
  const TensorDesc du_desc = contiguous_desc(u.dtype, u.shape.data(), u.rank);
  const TensorDesc dk_desc = contiguous_desc(k.dtype, k.shape.data(), k.rank);
  const auto add_output = [&](const TensorDesc& desc) {
    plan->outputs.push_back(desc);
    plan->bytes += bytes_of(desc);
    return Operand{&desc, output_ref(static_cast<int>(plan->outputs.size()) - 1)};
  };
  Operand du, dk;
  if (needs.u) du = add_output(du_desc);
  if (needs.k) dk = add_output(dk_desc);
  if (u.n_elements() == 0) {
    if (needs.k) add_zeros(*plan, dk);
    return Plan(std::move(plan));
  }
  const LongConv2dArrays arrays{{&u, input_ref(1)}, {&k, input_ref(2)}};
  const Operand from{&dy, input_ref(0)};
  if (is_direct(call)) {
    add_direct_backward(*plan, call, arrays, from, du, dk);
  } else {
    add_fft_backward(*plan, call, arrays, from, du, dk);
  }
  return Plan(std::move(plan));
}

}  // namespace swath
